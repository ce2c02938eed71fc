"""Strict reading of judges' replies, and both orders combined."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.core.judge_replies import JudgeAnswer, UnparsableReply, combine, parse_reply


@pytest.mark.parametrize(
    ("shown", "swapped", "verdict"),
    [("A", False, "first"), ("B", False, "second"), ("A", True, "second"), ("B", True, "first")],
)
def test_letters_are_read_in_the_order_in_which_they_were_shown(
    shown: str, swapped: bool, verdict: str
) -> None:
    reply = json.dumps({"verdict": shown, "strength": 3, "reason": "Clear."})
    assert parse_reply(reply, swapped=swapped) == JudgeAnswer(verdict, 3, "Clear.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "reply",
    [
        '{"verdict": "tie", "strength": 0}',
        '  {"verdict": "tie", "strength": 0}\n',
        '```json\n{"verdict": "tie", "strength": 0}\n```',
        '```\n{"verdict": "tie", "strength": 0}\n```',
    ],
)
def test_one_object_is_read_bare_or_in_a_fence(reply: str) -> None:
    assert parse_reply(reply, swapped=True).verdict == "tie"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "A",
        "The better one is A.",
        'Sure: {"verdict": "A", "strength": 1}',
        '{"verdict": "A", "strength": 1} {"verdict": "B", "strength": 1}',
        '["A", 1]',
        '{"verdict": "C", "strength": 1}',
        '{"verdict": "a", "strength": 1}',
        '{"verdict": null, "strength": 1}',
        '{"strength": 1}',
        '{"verdict": "A"}',
        '{"verdict": "A", "strength": 0}',
        '{"verdict": "A", "strength": 4}',
        '{"verdict": "A", "strength": 1.5}',
        '{"verdict": "A", "strength": true}',
        '{"verdict": "A", "strength": "2"}',
        '{"verdict": "tie", "strength": 1}',
        '{"verdict": "A", "strength": 1, "reason": 5}',
        '{"verdict": "A", "strength": 1, "confidence": 0.9}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_unparsable_and_never_a_tie(reply: str) -> None:
    with pytest.raises(UnparsableReply):
        parse_reply(reply, swapped=False)


def test_a_tie_is_unparsable_where_ties_are_not_allowed() -> None:
    with pytest.raises(UnparsableReply, match="one of A, B"):
        parse_reply('{"verdict": "tie", "strength": 0}', swapped=False, allow_tie=False)


@given(st.text())
def test_no_text_is_read_as_a_verdict_by_accident(text: str) -> None:
    with pytest.raises(UnparsableReply):
        parse_reply(text, swapped=False)


def test_two_equal_verdicts_keep_their_direction() -> None:
    combined = combine(JudgeAnswer("first", 1), JudgeAnswer("first", 3))
    assert (combined.verdict, combined.strength, combined.is_conflict) == ("first", -2.0, False)
    # (0.65 + 0.92) / 2, the stated probabilities of strengths 1 and 3
    assert combined.probability == pytest.approx(0.785)


def test_a_preference_for_the_second_mirrors_one_for_the_first() -> None:
    first = combine(JudgeAnswer("first", 2), JudgeAnswer("first", 3))
    second = combine(JudgeAnswer("second", 2), JudgeAnswer("second", 3))
    assert second.strength == -first.strength
    assert second.probability == pytest.approx(1 - first.probability)


@pytest.mark.parametrize("other", ["second", "tie"])
def test_orders_that_disagree_are_a_conflict_at_one_half(other: str) -> None:
    strength = 0 if other == "tie" else 2
    combined = combine(JudgeAnswer("first", 2), JudgeAnswer(other, strength))  # type: ignore[arg-type]
    assert (combined.verdict, combined.probability, combined.is_conflict) == ("tie", 0.5, True)


def test_two_ties_are_a_tie_without_conflict() -> None:
    combined = combine(JudgeAnswer("tie", 0), JudgeAnswer("tie", 0))
    assert (combined.verdict, combined.is_conflict) == ("tie", False)
