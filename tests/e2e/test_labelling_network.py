"""Nothing is lost when the network, the tab or the server goes away."""

from typing import Any

import pytest
from playwright.sync_api import Route

from annotate.models import Preference
from tests.e2e.conftest import Desk, DeskMaker

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
RANKING = {"kind": "ranking", "texts": ("One", "Two", "Three")}
RATING = {"kind": "rating", "rating_points": 5}


def refuse(route: Route) -> None:
    route.abort("internetdisconnected")


def reopen(desk: Desk) -> None:
    """Close the tab and open the workspace in a new one, with the network back."""
    desk.page.close()
    desk.context.unroute("**/api/**")
    desk.page = desk.context.new_page()
    desk.open()


@pytest.mark.parametrize(
    ("protocol", "keys"),
    [({}, ["1"]), (RANKING, ["1", "2", "3", "Enter"]), (RATING, ["4", "2", "Enter"])],
    ids=["pairwise", "ranking", "rating"],
)
def test_a_verdict_given_while_offline_is_stored_once_after_the_tab_was_closed(
    desk: DeskMaker, protocol: dict[str, Any], keys: list[str]
) -> None:
    ada = desk(n_comparisons=2, **protocol)
    ada.open()
    ada.context.route("**/api/**", refuse)
    ada.press(*keys)
    ada.says("1 label kept here")
    ada.stored(0)
    reopen(ada)
    ada.stored(1)


def test_a_verdict_whose_answer_was_lost_is_stored_once(desk: DeskMaker) -> None:
    ada = desk(n_comparisons=2)
    ada.open()

    def deliver_then_cut(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    ada.context.route("**/submit/", deliver_then_cut)
    ada.press("1")
    ada.stored(1)
    ada.says("1 label kept here")
    ada.context.unroute("**/submit/")
    reopen(ada)
    ada.page.wait_for_timeout(1500)
    assert Preference.objects.filter(annotator__user=ada.user).count() == 1


@pytest.mark.parametrize(
    ("protocol", "keys", "drafted"),
    [
        ({"rationale": "required"}, ["4"], "[data-label=points] [aria-pressed=true]"),
        (RANKING, ["2"], ".rank[data-rank='1'] .chip"),
        (RATING, ["4"], ".rating input:checked"),
    ],
    ids=["pairwise", "ranking", "rating"],
)
def test_a_draft_is_there_again_after_the_tab_was_closed(
    desk: DeskMaker, protocol: dict[str, Any], keys: list[str], drafted: str
) -> None:
    ada = desk(**protocol)
    ada.open()
    ada.press(*keys)
    ada.page.wait_for_timeout(500)
    reopen(ada)
    assert ada.page.locator(drafted).count() == 1


def test_a_new_protocol_reloads_the_screen(desk: DeskMaker) -> None:
    ada = desk(n_comparisons=3)
    ada.open()
    ada.project.protocols.create(version=2, kind="pairwise", scale_points=7, overlap=2)
    ada.press("1")
    ada.ready()
    ada.press("1")
    ada.page.locator("[data-label=points] .point").nth(6).wait_for()
    first = Preference.objects.order_by("pk").first()
    assert first is not None
    assert first.protocol.version == 1
