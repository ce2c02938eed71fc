"""Verdicts of every kind against their protocol, without a database row."""

from typing import Any

import pytest

from annotate.errors import ApplicationError
from annotate.models import Protocol
from annotate.services.verdicts import ShownResponses, VerdictInput, canonical_values

ASPECTS = [
    {"key": "helpful", "name": "Helpful", "ask": "both", "reasons": ["Complete", "Clear"]},
    {"key": "truthful", "name": "Truthful", "ask": "strength", "reasons": []},
]
CATEGORIES = [{"key": "error", "name": "Error"}]
# Shown left to right: the third canonical response, then the first, then the second.
THREE = ShownResponses([2, 0, 1], ["third", "first 😀", "second"])
SWAPPED = ShownResponses([1, 0], ["second", "first 😀"])
RANKING = {"kind": "ranking"}
RATING = {"kind": "rating", "rating_points": 5}
FULL = {"aspects": ASPECTS, "rating_points": 5, "span_categories": CATEGORIES}
GIVEN: dict[str, Any] = {
    "strength": -2,
    "aspects": {"helpful": -1, "truthful": 2},
    "ratings": {"helpful": [5, 3]},
}


def values(protocol: dict[str, Any], shown: ShownResponses, **given: Any) -> dict[str, Any]:
    verdict = VerdictInput(**{"verdict": "ranked", **given})
    return canonical_values(verdict, Protocol(version=1, **protocol), shown)


def test_ranks_are_stored_per_canonical_response() -> None:
    stored = values(RANKING, THREE, ranking=(0, 1, 1))
    assert stored["ranking"] == [1, 1, 0]
    assert "strength" not in stored


def test_overall_ratings_give_the_ranking_with_ties() -> None:
    stored = values(RATING, THREE, ratings={"overall": [2, 5, 2]})
    assert stored["ranking"] == [0, 1, 1]
    assert stored["ratings"] == {"overall": [5, 2, 2]}


def test_equal_overall_ratings_are_a_tie_even_where_ties_are_no_choice() -> None:
    rating = {**RATING, "allow_tie": False}
    stored = values(rating, THREE, verdict="tie", ratings={"overall": [4, 4, 4]})
    assert stored["ranking"] == [0, 0, 0]


def test_strengths_and_ratings_turn_with_the_shown_order() -> None:
    stored = values(FULL, SWAPPED, **GIVEN)
    assert stored["strength"] == 2
    assert stored["aspects"] == {"helpful": 1, "truthful": -2}
    assert stored["ratings"] == {"helpful": [3, 5]}


def test_a_highlight_names_the_canonical_response_and_counts_code_points() -> None:
    span = {"response": 1, "start": 6, "end": 7, "category": "error"}
    stored = values(FULL, SWAPPED, **GIVEN, spans=[span])
    assert stored["spans"] == [{**span, "response": 0}]


def test_ticked_reasons_are_kept_and_empty_lists_left_out() -> None:
    stored = values(FULL, SWAPPED, **GIVEN, reasons={"helpful": ["Clear"]})
    assert stored["reasons"] == {"helpful": ["Clear"]}


def test_both_bad_needs_neither_strengths_nor_ratings() -> None:
    assert "ranking" not in values(FULL, SWAPPED, verdict="both_bad")


@pytest.mark.parametrize(
    ("protocol", "given", "field"),
    [
        (RANKING, {"ranking": (0, 1)}, "ranking"),
        (RANKING, {}, "ranking"),
        (RANKING, {"ranking": (0, 1, 3)}, "ranking"),
        (RANKING, {"ranking": (0, 0, 0)}, "ranking"),
        (RANKING, {"verdict": "tie", "ranking": (0, 1, 2)}, "ranking"),
        ({**RANKING, "allow_tie": False}, {"ranking": (0, 1, 1)}, "ranking"),
        (RANKING, {"ranking": (0, 1, 2), "strength": 1}, "strength"),
        (RATING, {}, "ratings"),
        (RATING, {"ratings": {"overall": [1, 2]}}, "ratings"),
        (RATING, {"ratings": {"overall": [1, 2, 6]}}, "ratings"),
        (RATING, {"ratings": {"overall": [1, 2, 0]}}, "ratings"),
        (RATING, {"ratings": {"overall": [1, 2, 3], "funny": [1, 1, 1]}}, "ratings"),
    ],
)
def test_a_ranking_or_rating_outside_the_protocol_names_its_field(
    protocol: dict[str, Any], given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ApplicationError) as refusal:
        values(protocol, THREE, **given)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"ranking": (0, 1)}, "ranking"),
        ({"aspects": {"helpful": -1}}, "aspects"),
        ({"reasons": {"truthful": ["Clear"]}}, "reasons"),
        ({"reasons": {"helpful": ["Funny"]}}, "reasons"),
        ({"reasons": {"helpful": ["Clear", "Clear"]}}, "reasons"),
        ({"spans": [{"response": 2, "start": 0, "end": 1, "category": "error"}]}, "spans"),
        ({"spans": [{"response": 0, "start": 0, "end": 7, "category": "error"}]}, "spans"),
        ({"spans": [{"response": 0, "start": 3, "end": 3, "category": "error"}]}, "spans"),
        ({"spans": [{"response": 0, "start": 0, "end": 1, "category": "nice"}]}, "spans"),
    ],
)
def test_a_pairwise_verdict_outside_the_protocol_names_its_field(
    given: dict[str, Any], field: str
) -> None:
    # In this order the left response is the second one, which a negative strength makes the best.
    with pytest.raises(ApplicationError) as refusal:
        values(FULL, SWAPPED, **{**GIVEN, "strength": 2, **given})
    assert refusal.value.field == field
