"""Votes become labels by a named rule; an even split is never a label."""

from itertools import permutations

import pytest

from annotate.formats.base import ComparisonRecord, PreferenceRecord, ResponseRecord
from annotate.labels import (
    ALL_MAJORITY,
    HUMAN_MAJORITY,
    HUMAN_THEN_JUDGE,
    JUDGE_MAJORITY,
    PairLabel,
    pair_labels,
)

VERDICTS: dict[str, tuple[str, tuple[int, ...] | None]] = {
    "a": ("ranked", (0, 1)),
    "b": ("ranked", (1, 0)),
    "t": ("tie", (0, 0)),
    "x": ("both_bad", None),
    "?": ("cannot_judge", None),
}


def voters(votes: str, kind: str) -> list[PreferenceRecord]:
    """One annotator per letter."""
    return [
        PreferenceRecord(f"{kind}{i}", kind, VERDICTS[vote][0], VERDICTS[vote][1])
        for i, vote in enumerate(votes)
    ]


def a_record(preferences: list[PreferenceRecord], n_responses: int = 2) -> ComparisonRecord:
    """A comparison with these verdicts."""
    responses = tuple(ResponseRecord(str(i), f"text {i}", "") for i in range(n_responses))
    turns = ({"role": "user", "content": "p"},)
    return ComparisonRecord(1, "c", turns, responses, preferences=tuple(preferences))


def label_of(human: str, judge: str = "", rule: str = HUMAN_MAJORITY) -> PairLabel:
    """The label of a pair under these votes."""
    record = a_record(voters(human, "human") + voters(judge, "judge"))
    (label,) = pair_labels(record, rule)
    return label


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [
        ("a", "first"),
        ("aab", "first"),
        ("abb", "second"),
        ("ab", "no_consensus"),
        ("abt", "no_consensus"),
        ("at", "no_consensus"),
        ("aabbt", "no_consensus"),
        ("att", "tie"),
        ("xxa", "both_bad"),
        ("x", "both_bad"),
        ("ax", "no_consensus"),
        ("a???", "first"),
        ("?", "unlabelled"),
        ("", "unlabelled"),
    ],
)
def test_the_outcome_with_most_votes_is_the_label(votes: str, outcome: str) -> None:
    assert label_of(votes).outcome == outcome


@pytest.mark.parametrize("votes", ["ab", "aabb", "att", "aab", "xxa"])
def test_the_order_of_votes_never_matters(votes: str) -> None:
    outcomes = {label_of("".join(order)).outcome for order in permutations(votes)}
    assert len(outcomes) == 1


@pytest.mark.parametrize(
    ("rule", "human", "judge", "outcome", "source"),
    [
        (HUMAN_MAJORITY, "a", "bb", "first", "human"),
        (HUMAN_MAJORITY, "", "bb", "unlabelled", "human"),
        (JUDGE_MAJORITY, "a", "bb", "second", "judge"),
        (ALL_MAJORITY, "a", "bb", "second", "all"),
        (HUMAN_THEN_JUDGE, "a", "bb", "first", "human"),
        (HUMAN_THEN_JUDGE, "", "bb", "second", "judge"),
        (HUMAN_THEN_JUDGE, "?", "bb", "second", "judge"),
        (HUMAN_THEN_JUDGE, "ab", "bb", "no_consensus", "human"),
    ],
)
def test_a_rule_says_whose_votes_count(
    rule: str, human: str, judge: str, outcome: str, source: str
) -> None:
    label = label_of(human, judge, rule)
    assert (label.outcome, label.source) == (outcome, source)


def test_the_chosen_response_and_the_margin_follow_the_votes() -> None:
    label = label_of("bbat")
    assert (label.chosen, label.rejected) == (1, 0)
    assert label.margin == pytest.approx(1 / 4)


def test_only_the_last_revision_counts() -> None:
    first = PreferenceRecord("p", "human", "ranked", (0, 1))
    second = PreferenceRecord("p", "human", "ranked", (1, 0), revision=1)
    (label,) = pair_labels(a_record([second, first]), HUMAN_MAJORITY)
    assert (label.outcome, label.n_votes) == ("second", 1)


@pytest.mark.parametrize(
    ("replicates", "outcome"), [("aab", "first"), ("ab", "unlabelled"), ("bbb", "second")]
)
def test_a_judge_asked_many_times_has_one_vote(replicates: str, outcome: str) -> None:
    verdicts = [
        PreferenceRecord("j", "judge", VERDICTS[v][0], VERDICTS[v][1], replicate=i)
        for i, v in enumerate(replicates)
    ]
    (label,) = pair_labels(a_record(verdicts), JUDGE_MAJORITY)
    assert (label.outcome, label.n_votes) == (outcome, int(outcome != "unlabelled"))


def test_a_ranking_labels_every_pair() -> None:
    ranking = PreferenceRecord("p", "human", "ranked", (1, 0, 1))
    labels = list(pair_labels(a_record([ranking], 3), HUMAN_MAJORITY))
    assert [(label.first, label.second, label.outcome) for label in labels] == [
        (0, 1, "second"), (0, 2, "tie"), (1, 2, "first"),
    ]  # fmt: skip


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="human_majority-v1"):
        list(pair_labels(a_record([]), "mean"))
