"""The owner's form: what it previews, and that saving makes a version."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from annotate.models import Assignment
from tests.e2e.conftest import Desk, DeskMaker

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def open_settings(desk: Desk) -> None:
    desk.page.goto(desk.url + reverse("annotate:settings", args=[desk.project.slug]))
    desk.page.locator("[data-preview]").wait_for()


def test_the_preview_follows_the_form_before_anything_is_saved(desk: DeskMaker) -> None:
    owner = desk(role="owner")
    open_settings(owner)
    points = owner.page.locator("[data-preview] [data-label=points] .point")
    expect(points).to_have_count(5)
    owner.page.select_option("#id_scale_points", "7")
    expect(points).to_have_count(7)
    owner.page.select_option("#id_kind", "ranking")
    expect(owner.page.locator("[data-preview] .chip")).to_have_count(4)
    owner.page.select_option("#id_kind", "rating")
    expect(owner.page.locator("[data-preview-errors]")).to_contain_text("needs a scale")
    assert owner.project.protocol.version == 1


def test_an_aspect_is_added_without_code_and_saved_as_a_new_version(desk: DeskMaker) -> None:
    owner = desk(role="owner")
    open_settings(owner)
    owner.page.get_by_role("button", name="Add an aspect").click()
    owner.page.locator("[name='aspects-0-name']").fill("Helpful")
    owner.page.locator("[name='aspects-0-reasons']").fill("Complete\nClear")
    expect(owner.page.locator("[data-preview] .reasons input")).to_have_count(2)
    owner.page.locator("#protocol-form").get_by_role("button", name="Save").click()
    owner.page.get_by_text("Protocol version 2 is in force.").wait_for()
    aspect = {"key": "helpful", "name": "Helpful", "ask": "strength"}
    assert owner.project.protocol.aspects == [{**aspect, "reasons": ["Complete", "Clear"]}]


def test_the_preview_is_the_screen_itself_and_sends_nothing(desk: DeskMaker) -> None:
    owner = desk(
        role="owner",
        span_categories=[{"key": "wrong", "name": "Wrong"}],
        flags=["unsafe"],
        skip_reasons=["too_hard"],
    )
    open_settings(owner)
    preview = owner.page.locator("[data-preview]")
    said = preview.locator("[data-preview-said]")
    preview.get_by_role("button", name="Flag").click()
    preview.get_by_role("button", name="Unsafe").click()
    expect(said).to_have_text("Flagged: Unsafe. Here it goes nowhere.")
    preview.get_by_role("button", name="Highlight", exact=True).click()
    preview.get_by_role("textbox", name="Plain text of A").press("Control+a")
    preview.locator("[data-category='0']").first.click()
    expect(preview.locator("mark.span")).to_have_text(
        "Because air scatters blue light more than red."
    )
    preview.get_by_role("button", name="B much").click()
    preview.get_by_role("button", name="Send").click()
    expect(said).to_have_text("Would be sent: B is much better.")
    assert owner.project.protocol.version == 1
    assert not Assignment.objects.exists()


def test_what_was_tried_in_the_preview_stays_until_the_form_asks_for_another_task(
    desk: DeskMaker,
) -> None:
    owner = desk(role="owner")
    open_settings(owner)
    chosen = owner.page.locator("[data-preview] [data-label=points] [aria-pressed=true]")
    owner.page.locator("[data-preview] [data-label=points] .point").first.click()
    owner.page.fill("#id_overlap", "3")
    owner.page.wait_for_timeout(800)
    expect(chosen).to_have_count(1)
    owner.page.select_option("#id_scale_points", "7")
    expect(owner.page.locator("[data-preview] [data-label=points] .point")).to_have_count(7)
    expect(chosen).to_have_count(0)


def test_axe_finds_nothing_serious_on_the_settings_page(desk: DeskMaker) -> None:
    owner = desk(role="owner", aspects=[{"key": "a", "name": "A", "reasons": ["x"]}])
    open_settings(owner)
    found = Axe().run(owner.page, options={"resultTypes": ["violations"]}).response
    bad = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
    assert bad == []
