"""Judging more than two responses: which pairs meet, how replies are read, what they come to."""

import itertools

import choix
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.core.judge_prompts import JudgeQuestion
from modeling.core.judge_rankings import (
    CombinedRanking,
    RankingAnswer,
    combine_ranking,
    compared_pairs,
    parse_ranking_reply,
    ranks_of,
    without_ties,
)
from modeling.core.judge_replies import JudgeAnswer, UnparsableReply
from modeling.core.judge_templates import PromptTemplate, template_messages, template_schema

Pairs = dict[tuple[int, int], tuple[list[JudgeAnswer], list[JudgeAnswer]]]

FOUR = JudgeQuestion(
    turns=({"role": "user", "content": "Name a river."},),
    first="Rhine",
    second="Blue",
    more=("Danube, of course", "No"),
)
RANKER = PromptTemplate("Rank them.")
RATER = PromptTemplate("Rate them.", kind="rating")


def replies(better: dict[tuple[int, int], str], swapped: dict[tuple[int, int], str]) -> Pairs:
    """One reply an order: "first", "second" or "tie" for each pair."""
    return {
        pair: (
            [JudgeAnswer(said, 0 if said == "tie" else 2)],  # type: ignore[arg-type]
            [JudgeAnswer(swapped[pair], 0 if swapped[pair] == "tie" else 2)],  # type: ignore[arg-type]
        )
        for pair, said in better.items()
    }


def by_order(order: list[int]) -> dict[tuple[int, int], str]:
    """What a judge says of every pair that ranks the responses so, best first."""
    place = {response: rank for rank, response in enumerate(order)}
    return {
        (i, j): "first" if place[i] < place[j] else "second"
        for i, j in itertools.combinations(range(len(order)), 2)
    }


@given(st.permutations(range(6)))
def test_a_judge_of_one_mind_gets_its_own_order_back(order: list[int]) -> None:
    said = by_order(order)
    combined = combine_ranking(replies(said, said), 6)
    assert [combined.ranks[response] for response in order] == [0, 1, 2, 3, 4, 5]
    assert (combined.n_pairs, combined.n_conflicts) == (15, 0)


@given(st.permutations(range(7)))
def test_a_share_of_the_pairs_puts_the_best_before_the_worst(order: list[int]) -> None:
    said = {pair: by_order(order)[pair] for pair in compared_pairs(7, 14)}
    combined = combine_ranking(replies(said, said), 7)
    assert len(said) == 14
    assert combined.ranks[order[0]] < combined.ranks[order[-1]]


def test_two_opposite_orders_leave_everything_equal_and_are_a_conflict() -> None:
    combined = combine_ranking(replies(by_order([0, 1, 2]), by_order([2, 1, 0])), 3)
    assert combined.ranks == (0, 0, 0)
    assert combined.n_conflicts == 3
    assert combined.is_conflict


def test_a_cycle_is_a_tie_of_three() -> None:
    said = {(0, 1): "first", (1, 2): "first", (0, 2): "second"}
    assert combine_ranking(replies(said, said), 3).ranks == (0, 0, 0)


def test_one_pair_told_apart_differently_is_half_a_win_each_and_no_conflict() -> None:
    said = by_order([0, 1, 2])
    other = {**said, (1, 2): "second"}
    combined = combine_ranking(replies(said, other), 3)
    assert combined.ranks == (0, 1, 1)
    assert (combined.n_conflicts, combined.is_conflict) == (1, False)


def test_ranks_are_those_of_bradley_terry_strengths_where_not_all_pairs_met() -> None:
    # Response 3 met the weakest only, 0 the two strong ones: counting wins would put 3 above 1.
    said = {
        (0, 1): "first", (0, 2): "first", (1, 2): "first", (1, 4): "first", (3, 4): "first",
        (2, 4): "second",
    }  # fmt: skip
    wins = [(i, j) if word == "first" else (j, i) for (i, j), word in said.items()]
    # The same prior: a tenth of a win either way on every pair that met.
    weighted = wins * 11 + [(j, i) for i, j in wins]
    expected = choix.ilsr_pairwise(5, weighted)
    assert combine_ranking(replies(said, said), 5).ranks == ranks_of(
        [round(x, 4) for x in expected]
    )


@pytest.mark.parametrize(
    ("n", "most", "pairs"), [(3, 15, 3), (6, 15, 15), (10, 45, 45), (10, 15, 10), (8, 1, 8)]
)
def test_every_response_meets_equally_many_others_within_the_bound(
    n: int, most: int, pairs: int
) -> None:
    chosen = compared_pairs(n, most)
    met = [sum(place in pair for pair in chosen) for place in range(n)]
    assert len(chosen) == pairs
    assert len(set(met)) == 1


def test_strengths_settle_ties_where_none_may_be() -> None:
    assert without_ties(CombinedRanking((0, 0, 1), (2.0, 1.0, -3.0), 3, 0)) == (0, 1, 2)
    assert without_ties(CombinedRanking((0, 0, 1), (1.0, 1.0, -2.0), 3, 0)) is None


def parsed(text: str, *, swapped: bool = False, is_rating: bool = False) -> RankingAnswer:
    """A reply about four responses."""
    return parse_ranking_reply(text, n_responses=4, swapped=swapped, is_rating=is_rating)


def test_a_ranking_is_read_in_the_order_shown() -> None:
    text = '{"ranking": [["B"], ["A", "D"], ["C"]], "reason": "B is right."}'
    assert parsed(text) == RankingAnswer((1, 0, 2, 1), "B is right.")
    assert parsed(text, swapped=True).ranks == (1, 2, 0, 1)
    assert parsed('{"ranking": ["B", "A", "D", "C"]}').ranks == (1, 0, 3, 2)


def test_ratings_become_ranks_and_strengths() -> None:
    text = '{"ratings": {"A": 7, "B": 9, "C": 1, "D": 7}}'
    answer = parsed(text, is_rating=True)
    assert (answer.ranks, answer.ratings) == ((1, 0, 2, 1), (7.0, 9.0, 1.0, 7.0))
    assert answer.pair(0, 1) == JudgeAnswer("second", 2)
    assert answer.pair(0, 3) == JudgeAnswer("tie", 0)
    assert parsed(text, swapped=True, is_rating=True).ratings == (7.0, 1.0, 9.0, 7.0)


@pytest.mark.parametrize(
    "text",
    [
        "B is best.",
        '{"ranking": "BACD"}',
        '{"ranking": [["B"], ["A"], ["C"]]}',
        '{"ranking": [["B"], ["A"], ["C"], ["D"], ["A"]]}',
        '{"ranking": [["B"], [], ["A", "C", "D"]]}',
        '{"ranking": [["B", "A", "C", "E"]]}',
        '{"ranking": [["B", "A", "C", 4]]}',
        '{"ranking": ["A", "B", "C", "D"], "winner": "A"}',
        '{"ranking": ["A", "B", "C", "D"], "reason": 3}',
    ],
)
def test_anything_but_a_whole_ranking_is_unparsable(text: str) -> None:
    with pytest.raises(UnparsableReply):
        parsed(text)


@pytest.mark.parametrize(
    "ratings", ['{"A": 7, "B": 9, "C": 1}', '{"A": 7, "B": 9, "C": 1, "D": 11}', "[7, 9, 1, 7]"]
)
def test_ratings_must_be_whole_and_in_range(ratings: str) -> None:
    with pytest.raises(UnparsableReply):
        parsed(f'{{"ratings": {ratings}}}', is_rating=True)


def test_equal_ranks_are_refused_where_there_are_no_ties() -> None:
    with pytest.raises(UnparsableReply, match="no ties"):
        parse_ranking_reply(
            '{"ranking": [["A", "B"], ["C"]]}',
            n_responses=3, swapped=False, is_rating=False, allow_tie=False,
        )  # fmt: skip


def test_all_responses_are_shown_with_letters_and_reversed_in_the_other_order() -> None:
    shown = template_messages(RANKER, FOUR, swapped=False)[1]["content"]
    other = template_messages(RANKER, FOUR, swapped=True)[1]["content"]
    assert [line for line in shown.splitlines() if line in FOUR.responses] == list(FOUR.responses)
    assert [line for line in other.splitlines() if line in FOUR.responses] == list(
        reversed(FOUR.responses)
    )
    assert "response D]" in shown


def test_what_is_asked_for_hangs_on_the_kind_of_prompt() -> None:
    ranked = template_messages(RANKER, FOUR, swapped=False)[0]["content"]
    rated = template_messages(RATER, FOUR, swapped=False)[0]["content"]
    assert '"ranking": [["B"], ["A", "C"], ...]' in ranked
    assert '"ratings": {"A": 1-10, "B": 1-10, "C": 1-10, "D": 1-10}' in rated


def test_the_schema_of_a_list_names_every_letter() -> None:
    ranked = template_schema(RANKER, allow_tie=True, n_responses=4)
    rated = template_schema(RATER, allow_tie=True, n_responses=4)
    assert ranked["properties"]["ranking"]["items"]["items"]["enum"] == ["A", "B", "C", "D"]
    assert rated["properties"]["ratings"]["required"] == ["A", "B", "C", "D"]


def test_a_question_about_some_responses_holds_only_those() -> None:
    about = FOUR.about((1, 3))
    assert about.responses == ("Blue", "No")
    assert "Danube" not in template_messages(RANKER, about, swapped=False)[1]["content"]
