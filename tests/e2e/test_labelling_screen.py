"""What the pointer, the finger and assistive technology meet."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Page, expect

from annotate.models import Gold, Preference, QualityPolicy
from tests.e2e.conftest import Desk, DeskMaker

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
ASPECTS = [
    {"key": "helpful", "name": "Helpful", "ask": "both", "reasons": ["Complete", "Clear"]},
    {"key": "truthful", "name": "Truthful", "ask": "strength", "reasons": []},
]
CATEGORIES = [{"key": "error", "name": "Wrong fact"}, {"key": "good", "name": "Well said"}]
RICH = "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1\n```\n\n$\\frac{1}{2}$ [x](https://e.org)"
KINDS: dict[str, dict[str, Any]] = {
    "pairwise": {"texts": (RICH, "Second."), "allow_cannot_judge": True},
    "aspects": {
        "texts": (RICH, "Second."),
        "aspects": ASPECTS,
        "rating_points": 5,
        "span_categories": CATEGORIES,
        "rationale": "required",
    },
    "ranking": {"kind": "ranking", "texts": ("One", RICH, "Three", "Four")},
    "rating": {"kind": "rating", "rating_points": 10, "texts": ("One", RICH, "Three")},
    "rtl": {"texts": ("مرحبا بالعالم\n\nHello", "שלום עולם"), "rationale_when": "before"},
}
PHONE = (390, 844)


def serious(page: Page) -> list[str]:
    """What axe finds serious or critical on the page, by rule and place."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [(1280, 800), PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(
    desk: DeskMaker, kind: str, viewport: tuple[int, int], theme: str
) -> None:
    ada = desk(viewport=viewport, comparison={"criterion": "The shorter one"}, **KINDS[kind])
    ada.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # parametrized
    ada.open()
    assert serious(ada.page) == []


@pytest.mark.parametrize("opened", ["?", "s", "f", "g", "h"])
def test_axe_finds_nothing_serious_in_what_keys_open(desk: DeskMaker, opened: str) -> None:
    ada = desk(**KINDS["aspects"])
    ada.open()
    ada.press(opened)
    assert serious(ada.page) == []


def test_axe_finds_nothing_serious_on_the_history_page(desk: DeskMaker) -> None:
    ada = desk()
    ada.open()
    ada.press("1")
    ada.stored(1)
    ada.page.goto(ada.url + reverse("annotate:history", args=[ada.project.slug]))
    assert serious(ada.page) == []


def test_a_dragged_response_lands_in_the_rank_under_the_pointer(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=("One", "Two", "Three"))
    ada.open()
    for place, rank in enumerate((2, 0, 2)):
        ada.page.locator(f".chip[data-place='{place}']").drag_to(
            ada.page.locator(f".rank[data-rank='{rank}']"), target_position={"x": 12, "y": 8}
        )
    ada.says("C: rank 3 of 3, tied with A.")
    ada.press("Enter")
    label = ada.last()
    assert label.shown_order is not None
    assert [(label.ranking or [])[index] for index in label.shown_order] == [1, 0, 1]


def test_every_drag_has_a_path_of_buttons(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=("One", "Two", "Three"))
    ada.open()
    button = ada.page.get_by_role("button", name="Put the chosen response: rank 2")
    button.click()
    ada.page.locator(".chip[data-place='1']").click()
    ada.page.get_by_role("button", name="Worse by one rank").click()
    ada.says("B: rank 1 of 3.")
    ada.page.locator(".chip[data-place='2']").click()
    ada.page.get_by_role("button", name="Tie with the one before").click()
    ada.says("C: rank 2 of 3, tied with A.")
    ada.page.get_by_role("button", name="Send").click()
    label = ada.last()
    assert label.shown_order is not None
    assert [(label.ranking or [])[index] for index in label.shown_order] == [1, 0, 1]


@pytest.mark.parametrize("kind", ["pairwise", "ranking", "rating"])
def test_a_label_is_given_by_touch_on_a_phone(desk: DeskMaker, kind: str) -> None:
    ada = desk(viewport=PHONE, **KINDS[kind])
    ada.open()
    TOUCH[kind](ada)
    assert ada.last().verdict == "ranked"


def _sides(ada: Desk) -> list[Any]:
    return ada.page.locator("[data-show-side]").all()


def _tap_pairwise(ada: Desk) -> None:
    _sides(ada)[1].tap()
    ada.page.locator("[data-label=points] .point").first.tap()


def _tap_ranking(ada: Desk) -> None:
    for side in _sides(ada):
        side.tap()
    for place in range(4):
        ada.page.locator(f".chip[data-place='{place}']").tap()
        ada.page.locator(f".rank[data-rank='{place}'] .rank-name").tap()
    ada.page.get_by_role("button", name="Send").tap()


def _tap_rating(ada: Desk) -> None:
    for place, side in enumerate(_sides(ada)):
        side.tap()
        ada.page.locator(f".rating[data-place='{place}'] label").nth(place).tap()
    ada.page.get_by_role("button", name="Send").tap()


TOUCH = {"pairwise": _tap_pairwise, "ranking": _tap_ranking, "rating": _tap_rating}


def test_on_a_phone_a_verdict_waits_until_both_sides_were_open(desk: DeskMaker) -> None:
    ada = desk(viewport=PHONE)
    ada.open()
    ada.page.locator("[data-label=points] .point").first.tap(force=True)
    ada.says("Open every response before you decide.")
    ada.stored(0)


def test_a_missed_known_answer_is_told_where_the_owner_wants_it(desk: DeskMaker) -> None:
    ada = desk(n_comparisons=2)
    QualityPolicy.objects.create(project=ada.project, gold_share=1.0, gold_feedback="always")
    known = ada.project.comparisons.first()
    assert known is not None
    known.is_gold, known.open_slots = True, 0
    known.save()
    Gold.objects.create(comparison=known, accepted=["both_bad"], explanation="Both invent a date.")
    ada.open()
    ada.press("1")
    ada.page.wait_for_timeout(400)
    ada.press("1")
    expect(ada.page.locator("#feedback")).to_contain_text("Both invent a date.")
    assert serious(ada.page) == []
    ada.press("Enter")
    expect(ada.page.locator("#feedback")).to_be_hidden()


def test_a_label_is_revised_from_the_history(desk: DeskMaker) -> None:
    ada = desk(kind="rating", rating_points=5)
    ada.open()
    ada.press("5", "1", "Enter")
    ada.stored(1)
    ada.page.goto(ada.url + reverse("annotate:history", args=[ada.project.slug]))
    ada.page.get_by_role("link", name="Revise").click()
    ada.ready()
    expect(ada.page.locator(".rating input:checked")).to_have_count(2)
    ada.press("2", "Enter")
    first, second = ada.stored(2)
    assert second.supersedes == first
    assert list(Preference.objects.current()) == [second]
