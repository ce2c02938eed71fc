"""Strengths from rankings against choix, enumeration and planted truths."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import choix
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.core.plackett_luce import Ranking, fit_plackett_luce, ranking_pairs
from modeling.core.types import ConvergenceError, FloatArray, InvalidInputError

# Asymmetric on purpose: partial, of different lengths, every item beaten by some other.
ORDERS = [(0, 1, 2, 3), (1, 0, 3), (2, 0), (0, 2, 1), (3, 1), (1, 2, 3, 0), (0, 3, 2)]


def ranked(items: Any, ranks: Any) -> Ranking:
    return Ranking(np.asarray(items), np.asarray(ranks))


def ordered(items: Sequence[int]) -> Ranking:
    return Ranking(np.array(items), np.arange(len(items)))


def draw(strengths: FloatArray, log_ties: list[float], seed: int, n: int) -> list[Ranking]:
    """Draw tied rankings of three items by listing all sets at each stage."""
    rng, rankings = np.random.default_rng(seed), []
    for _ in range(n):
        items = rng.choice(strengths.size, size=3, replace=False)
        left, ranks, rank = set(range(3)), np.zeros(3, dtype=int), 0
        while left:
            sizes = range(1, min(len(left), len(log_ties)) + 1)
            sets = [c for size in sizes for c in combinations(sorted(left), size)]
            scores = [strengths[items[list(c)]].mean() + log_ties[len(c) - 1] for c in sets]
            odds = np.exp(scores)
            chosen = sets[rng.choice(len(sets), p=odds / odds.sum())]
            ranks[list(chosen)] = rank
            left, rank = left - set(chosen), rank + 1
        rankings.append(ranked(items, ranks))
    return rankings


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_without_ties_strengths_equal_choix(alpha: float) -> None:
    expected = choix.opt_rankings(4, ORDERS, alpha=alpha)
    # choix penalises alpha * |theta|^2, we half the precision (style notes on its documentation).
    fit = fit_plackett_luce([ordered(o) for o in ORDERS], 4, prior_precision=2 * alpha)
    np.testing.assert_allclose(fit.log_strengths_, expected - expected.mean(), atol=1e-4)


def test_maximum_likelihood_of_pairs_equals_choix() -> None:
    pairs = [(0, 1)] * 5 + [(1, 0)] * 2 + [(1, 2)] * 4 + [(2, 1)] + [(0, 2)] * 3 + [(2, 0)]
    expected = choix.ilsr_pairwise(3, pairs)
    fit = fit_plackett_luce([ordered(pair) for pair in pairs], 3, prior_precision=0.0)
    np.testing.assert_allclose(fit.log_strengths_, expected - expected.mean(), atol=1e-4)


def test_three_items_with_known_maximum_likelihood() -> None:
    # 3:1, 3:1 and 5:1 wins; strengths .637, .258, .105 by independent computation.
    wins = {(0, 1): 3, (1, 0): 1, (1, 2): 3, (2, 1): 1, (0, 2): 5, (2, 0): 1}
    rankings = [ordered(pair) for pair, count in wins.items() for _ in range(count)]
    strengths = np.exp(fit_plackett_luce(rankings, 3, prior_precision=0.0).log_strengths_)
    np.testing.assert_allclose(strengths / strengths.sum(), [0.637, 0.258, 0.105], atol=5e-4)


def test_tied_pairs_follow_davidson_by_hand() -> None:
    # 4 wins, 4 ties, 1 loss is Davidson's model exactly at strength ratio 4 and nu 2.
    win, tie, loss = ranked([0, 1], [0, 1]), ranked([0, 1], [0, 0]), ranked([0, 1], [1, 0])
    fit = fit_plackett_luce([win] * 4 + [tie] * 4 + [loss], 2, prior_precision=0.0)
    assert fit.log_strengths_[0] - fit.log_strengths_[1] == pytest.approx(np.log(4), abs=1e-4)
    assert fit.log_ties_[1] == pytest.approx(np.log(2), abs=1e-4)
    expected = 4 * np.log(4 / 9) + 4 * np.log(4 / 9) + np.log(1 / 9)
    assert fit.log_likelihood_ == pytest.approx(expected, abs=1e-6)


def test_planted_strengths_and_ties_are_found() -> None:
    strengths, log_ties = np.array([1.0, 0.4, -0.1, -0.5, -0.8]), [0.0, -0.3, -1.0]
    fit = fit_plackett_luce(draw(strengths, log_ties, 0, 3000), 5)
    np.testing.assert_allclose(fit.log_strengths_, strengths, atol=0.1)
    np.testing.assert_allclose(fit.log_ties_, log_ties, atol=0.15)


def test_only_the_order_of_ranks_matters() -> None:
    plain = fit_plackett_luce([ranked([0, 1, 2], [0, 1, 1]), ranked([2, 0], [0, 1])], 3)
    scaled = fit_plackett_luce([ranked([1, 2, 0], [70, 70, 5]), ranked([0, 2], [9, 2])], 3)
    np.testing.assert_allclose(scaled.log_strengths_, plain.log_strengths_, atol=1e-5)


def test_a_weight_of_two_is_a_ranking_given_twice() -> None:
    rankings = [ordered(order) for order in ORDERS]
    twice = fit_plackett_luce([*rankings, rankings[0]], 4, prior_precision=0.5)
    weight = np.array([2.0, 1, 1, 1, 1, 1, 1])
    weighed = fit_plackett_luce(rankings, 4, prior_precision=0.5, weight=weight)
    np.testing.assert_allclose(weighed.log_strengths_, twice.log_strengths_, atol=1e-5)


def test_an_item_never_ranked_stays_at_the_prior_mean() -> None:
    fit = fit_plackett_luce([ordered(o) for o in ORDERS], 5, prior_precision=0.1)
    raw = fit.log_strengths_ - fit.log_strengths_[4]
    assert raw[:4].sum() == pytest.approx(0.0, abs=1e-4)


def test_one_big_tie_says_nothing_about_strength() -> None:
    fit = fit_plackett_luce([ranked([0, 1, 2], [4, 4, 4]), ranked([0, 1], [0, 1])], 3)
    assert fit.log_strengths_[0] > fit.log_strengths_[2] > fit.log_strengths_[1]


def test_an_unbeaten_item_without_prior_is_an_error() -> None:
    with pytest.raises(ConvergenceError, match="pass a larger prior_precision"):
        fit_plackett_luce([ordered((0, 1))] * 3, 2, prior_precision=0.0, max_iter=3)


@pytest.mark.parametrize(
    ("rankings", "options", "message"),
    [
        ([], {}, "no ranking has two items"),
        ([ranked([1], [0])], {}, "no ranking has two items"),
        ([ranked([0, 3], [0, 1])], {}, r"items must lie in 0\.\.2"),
        ([ranked([0, 1], [0, 1])], {"prior_precision": -1.0}, "must not be negative"),
        ([ranked([0, 1], [0, 1])], {"weight": [1, 2]}, "weight has 2 rows"),
    ],
)
def test_impossible_arguments_are_refused(
    rankings: list[Ranking], options: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        fit_plackett_luce(rankings, 3, **options)


@pytest.mark.parametrize(
    ("items", "ranks", "message"),
    [([0, 0], [0, 1], "names an item twice"), ([0, 1], [0], "ranks has 1 rows")],
)
def test_impossible_rankings_are_refused(items: Any, ranks: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ranked(items, ranks)


def test_pairs_of_a_ranking_by_hand() -> None:
    pairs = ranking_pairs([ranked([5, 7, 9], [1, 0, 1]), ranked([2, 3], [0, 1])])
    assert pairs.first.tolist() == [5, 5, 7, 2]
    assert pairs.second.tolist() == [7, 9, 9, 3]
    assert pairs.target.tolist() == [0.0, 0.5, 1.0, 1.0]
    assert pairs.weight.tolist() == [0.5, 0.5, 0.5, 1.0]
    assert pairs.ranking.tolist() == [0, 0, 0, 1]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_every_ranked_item_has_a_total_weight_of_one(ranks: Any) -> None:
    pairs = ranking_pairs([Ranking(np.arange(len(ranks)), ranks)])
    both = np.concatenate([pairs.first, pairs.second])
    np.testing.assert_allclose(np.bincount(both, np.tile(pairs.weight, 2)), 1.0)


def test_no_rankings_and_single_items_have_no_pairs() -> None:
    assert ranking_pairs([]).first.size == 0
    assert ranking_pairs([ranked([4], [0])]).first.size == 0
