"""Every task kind by keyboard alone: no test here touches the mouse."""

from typing import Any

import pytest

from tests.e2e.conftest import DeskMaker

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def in_shown_order(values: list[Any], shown: list[int] | None) -> list[Any]:
    assert shown is not None
    return [values[index] for index in shown]


@pytest.mark.parametrize(
    ("points", "key", "strength"),
    [
        (2, "1", -1),
        (3, "3", 1),
        (4, "1", -2),
        (5, "4", 1),
        (7, "7", 3),
        (8, "8", 4),
        (8, "1", -4),
    ],
)
def test_one_key_gives_a_strength_on_every_scale(
    desk: DeskMaker, points: int, key: str, strength: int
) -> None:
    ada = desk(scale_points=points, allow_tie=points % 2 == 1)
    ada.open()
    ada.press(key)
    label = ada.last()
    sign = 1 if label.shown_order == [0, 1] else -1
    assert label.strength == sign * strength


@pytest.mark.parametrize(
    ("key", "verdict"), [("3", "tie"), ("0", "both_bad"), ("b", "both_bad"), ("x", "cannot_judge")]
)
def test_one_key_gives_a_verdict_without_direction(desk: DeskMaker, key: str, verdict: str) -> None:
    ada = desk(allow_cannot_judge=True)
    ada.open()
    ada.press(key)
    assert ada.last().verdict == verdict


def test_digits_rank_the_responses_one_after_the_other(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=("One", "Two", "Three", "Four"))
    ada.open()
    ada.press("2", "1", "4", "3", "Enter")
    label = ada.last()
    assert in_shown_order(label.ranking or [], label.shown_order) == [1, 0, 3, 2]


def test_arrows_choose_and_move_and_equals_ties_with_the_one_before(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=("One", "Two", "Three"))
    ada.open()
    ada.press("1", "2", "3", "ArrowRight", "ArrowUp")
    ada.says("C: rank 2 of 3, tied with B.")
    ada.press("ArrowLeft", "=")
    ada.says("B: rank 1 of 3, tied with A.")
    ada.press("Enter")
    label = ada.last()
    assert in_shown_order(label.ranking or [], label.shown_order) == [0, 0, 1]


def test_a_ranking_of_ten_takes_zero_for_the_tenth_rank(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=tuple(f"Answer {n}" for n in range(10)))
    ada.open()
    ada.press("0", "9", "8", "7", "6", "5", "4", "3", "2", "1", "Enter")
    label = ada.last()
    assert in_shown_order(label.ranking or [], label.shown_order) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_an_incomplete_ranking_is_not_sent_and_says_what_is_missing(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=("One", "Two", "Three"))
    ada.open()
    ada.press("1", "Enter")
    ada.says("Give B, C a rank.")
    ada.stored(0)


def test_all_bad_needs_no_ranks(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=("One", "Two", "Three"))
    ada.open()
    ada.press("b", "Enter")
    label = ada.last()
    assert (label.verdict, label.ranking) == ("both_bad", None)


def test_ratings_go_from_one_open_field_to_the_next(desk: DeskMaker) -> None:
    aspects = [{"key": "helpful", "name": "Helpful", "ask": "rating"}]
    ada = desk(kind="rating", rating_points=5, aspects=aspects, texts=("One", "Two", "Three"))
    ada.open()
    ada.press("5", "4", "1", "2", "3", "4", "Enter")
    label = ada.last()
    shown = label.shown_order
    assert in_shown_order(label.ratings["helpful"], shown) == [5, 1, 3]
    assert in_shown_order(label.ratings["overall"], shown) == [4, 2, 4]
    assert in_shown_order(label.ranking or [], shown) == [0, 1, 0]


def test_strengths_ratings_reasons_and_why_on_one_screen(desk: DeskMaker) -> None:
    aspects = [
        {"key": "helpful", "name": "Helpful", "ask": "both", "reasons": ["Complete", "Clear"]},
        {"key": "truthful", "name": "Truthful", "ask": "strength", "reasons": []},
    ]
    ada = desk(aspects=aspects, rating_points=7, rationale="required", rationale_min_chars=5)
    ada.open()
    ada.press("1", "6", "7", "2")
    ada.press("2", "Enter", "4")
    ada.page.keyboard.type("Says why.")
    ada.press("Enter")
    label = ada.last()
    shown = label.shown_order
    sign = 1 if shown == [0, 1] else -1
    assert in_shown_order(label.ratings["helpful"], shown) == [6, 7]
    assert label.aspects == {"helpful": -sign, "truthful": sign}
    assert label.strength == -2 * sign
    assert label.reasons == {"helpful": ["Clear"]}
    assert label.rationale == "Says why."


def test_a_reason_asked_before_comes_before_the_verdict(desk: DeskMaker) -> None:
    ada = desk(rationale="required", rationale_when="before", rationale_min_chars=4)
    ada.open()
    ada.page.keyboard.type("ok")
    ada.press("Enter")
    ada.says("at least 4 characters")
    ada.press("Escape", "1")
    ada.page.keyboard.type(" now")
    ada.press("Enter", "2")
    assert ada.last().rationale == "ok now"


def test_a_highlight_is_stored_in_code_points_of_the_raw_text(desk: DeskMaker) -> None:
    text = "😀😀 **bold** 漢字 end"
    ada = desk(texts=(text, text), span_categories=[{"key": "error", "name": "Error"}])
    ada.open()
    ada.press("h", "Control+Home", *["ArrowRight"] * 3, *["Shift+ArrowRight"] * 8, "1")
    ada.says("Error: “**bold**”.")
    ada.press("Escape", "1", "Enter")
    label = ada.last()
    assert label.shown_order is not None
    span = {"response": label.shown_order[0], "start": 3, "end": 11, "category": "error"}
    assert label.spans == [span]


def test_skip_and_its_reason_are_two_keys(desk: DeskMaker) -> None:
    ada = desk(n_comparisons=2)
    ada.open()
    ada.press("s", "2")
    ada.says("Skipped: Not my subject.")
    reasons = ada.project.comparisons.values_list("assignments__skip_reason", flat=True)
    ada.page.wait_for_timeout(300)
    assert "not_my_field" in list(reasons.all())


def test_a_flag_is_two_keys_and_labelling_goes_on(desk: DeskMaker) -> None:
    ada = desk()
    ada.open()
    ada.press("f", "2")
    ada.says("Flagged: Personal data.")
    ada.press("1")
    comparison = ada.last().comparison
    assert [flag.reason for flag in comparison.flags.all()] == ["pii"]


def test_undo_after_the_submit_adds_a_label_that_replaces_the_first(desk: DeskMaker) -> None:
    ada = desk(kind="ranking", texts=("One", "Two"), n_comparisons=2)
    ada.open()
    ada.press("1", "2", "Enter")
    ada.stored(1)
    ada.says("Kept: A > B.")
    ada.press("u")
    ada.says("Open again: A > B.")
    ada.ready()
    ada.press("2", "ArrowRight", "1", "Enter")
    first, second = ada.stored(2)
    assert second.supersedes == first
    assert second.ranking == list(reversed(first.ranking or []))


def test_keys_do_nothing_inside_a_text_field(desk: DeskMaker) -> None:
    ada = desk(rationale="optional")
    ada.open()
    ada.press("w")
    ada.page.keyboard.type("1 s u 0")
    ada.stored(0)
    ada.press("Escape", "1")
    assert ada.last().rationale == "1 s u 0"


def test_own_keys_are_stored_and_replace_the_usual_ones(desk: DeskMaker) -> None:
    ada = desk(n_comparisons=2, allow_cannot_judge=True)
    ada.open()
    ada.press("?")
    ada.page.locator("[data-action='cannot_judge']").focus()
    ada.press("Enter", "u")
    ada.page.get_by_text("would do two things").wait_for()
    ada.press("Enter", "q")
    ada.page.get_by_text("Your keys are saved.").wait_for()
    ada.press("Escape")
    ada.open()
    ada.press("x")
    ada.stored(0)
    ada.press("q")
    assert ada.last().verdict == "cannot_judge"
