"""The owner's form: what it previews, and that saving makes a version."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from tests.e2e.conftest import Desk, DeskMaker

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def open_settings(desk: Desk) -> None:
    desk.page.goto(desk.url + reverse("annotate:settings", args=[desk.project.slug]))
    desk.page.locator("[data-preview]").wait_for()


def test_the_preview_follows_the_form_before_anything_is_saved(desk: DeskMaker) -> None:
    owner = desk(role="owner")
    open_settings(owner)
    points = owner.page.locator("[data-preview-part=points] .point")
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


def test_axe_finds_nothing_serious_on_the_settings_page(desk: DeskMaker) -> None:
    owner = desk(role="owner", aspects=[{"key": "a", "name": "A", "reasons": ["x"]}])
    open_settings(owner)
    found = Axe().run(owner.page, options={"resultTypes": ["violations"]}).response
    bad = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
    assert bad == []
