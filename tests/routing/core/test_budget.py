from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.core.arrays import BoolArray, FloatArray, RoutingInputError
from routing.core.budget import Budget, frontier, knapsack_by_ratio, next_dollars
from routing.core.mixes import mix_features, sample_mixes
from routing.core.ppm import RidgePpm, instance_gains

prices = st.lists(st.tuples(st.floats(-1, 5), st.floats(0, 3)), min_size=1, max_size=9)


def best_total(utility: FloatArray, cost: FloatArray, budget: float) -> float:
    sets = np.array(list(product([0, 1], repeat=len(utility))))
    return float((sets @ utility)[sets @ cost <= budget].max())


@given(prices, st.floats(0, 10))
def test_a_purchase_never_exceeds_the_budget_nor_buys_what_is_useless(
    items: list[tuple[float, float]], budget: float
) -> None:
    utility, cost = np.array(items).T
    bought = knapsack_by_ratio(utility, cost, budget)
    assert cost[bought].sum() <= budget * (1 + 1e-8)
    assert (utility[bought] > 0).all()


@given(prices, st.floats(0, 10))
def test_a_purchase_loses_at_most_one_item_against_the_best_set(
    items: list[tuple[float, float]], budget: float
) -> None:
    utility, cost = np.array(items).T
    bought = knapsack_by_ratio(utility, cost, budget)
    largest = max(float(utility.max()), 0.0)
    assert utility[bought].sum() >= best_total(utility, cost, budget) - largest - 1e-9


@given(prices, st.floats(0, 10))
def test_nothing_useful_that_still_fits_is_left(
    items: list[tuple[float, float]], budget: float
) -> None:
    utility, cost = np.array(items).T
    bought = knapsack_by_ratio(utility, cost, budget)
    left = budget - cost[bought].sum()
    assert (cost[~bought & (utility > 0)] > left - 1e-6).all()


def test_utility_per_dollar_decides_and_what_does_not_fit_is_skipped() -> None:
    # Ratios 4, 3, 2, 1: after 1 + 2 dollars the third does not fit, the fourth does.
    bought = knapsack_by_ratio([4.0, 6.0, 8.0, 1.0], [1.0, 2.0, 4.0, 1.0], 4.0)
    assert bought.tolist() == [True, True, False, True]


def test_equal_prices_buy_the_best() -> None:
    assert knapsack_by_ratio([1.0, 3.0, 2.0], [1.0, 1.0, 1.0], 2.0).tolist() == [0, 1, 1]


def test_prices_with_rounding_errors_still_fill_the_budget() -> None:
    assert knapsack_by_ratio(np.ones(3), np.full(3, 0.1), 0.3).all()


@pytest.mark.parametrize("cost", [0.0, -2.0])
def test_free_labels_are_bought_without_a_budget_and_pay_for_nothing_else(cost: float) -> None:
    assert knapsack_by_ratio([1.0, 0.0, 5.0], [cost, cost, 1.0], 0.0).tolist() == [1, 0, 0]


def test_an_endless_budget_buys_everything_useful() -> None:
    assert knapsack_by_ratio([1.0, -1.0], [5.0, 1.0], float("inf")).tolist() == [1, 0]


def test_ties_follow_the_given_order() -> None:
    bought = knapsack_by_ratio(np.ones(4), np.ones(4), 2.0, tie_break=[3, 0, 2, 1])
    assert bought.tolist() == [0, 1, 0, 1]


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(RoutingInputError, match="budget_usd is -1"):
        knapsack_by_ratio([1.0], [1.0], -1.0)


@pytest.mark.parametrize(
    ("budget", "count"),
    [
        (Budget(human_share=1.0), 200),
        (Budget(human_share=0.25), 50),
        (Budget(n_human=1), 1),
        (Budget(n_human=900), 200),
        (Budget(usd=3.0), None),
    ],
)
def test_a_budget_of_one_is_a_share_or_a_count_as_its_field_says(
    budget: Budget, count: int | None
) -> None:
    assert budget.count(200) == count


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "exactly one"),
        ({"usd": 1.0, "n_human": 1}, "exactly one"),
        ({"usd": -1.0}, "cannot be -1"),
        ({"usd": float("nan")}, "cannot be nan"),
        ({"human_share": 25.0}, "share in"),
    ],
)
def test_an_unclear_budget_is_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(RoutingInputError, match=message):
        Budget(**fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> tuple[RidgePpm, BoolArray]:
    rng = np.random.default_rng(2)
    tags = rng.random((200, 5)) < 0.3
    shares, b = mix_features(tags, sample_mixes(tags, 80, seed=2).human)
    performance = 0.7 + shares @ np.array([0.06, -0.04, 0.03, 0.0, 0.0])
    return RidgePpm().fit(shares, b, performance + 0.003 * rng.standard_normal(80)), tags


def test_the_frontier_runs_from_all_judge_to_all_human(
    fitted: tuple[RidgePpm, BoolArray],
) -> None:
    ppm, tags = fitted
    curve = frontier(ppm, tags, instance_gains(ppm, tags).mean, np.full(200, 0.5), n_points=9)
    both = ppm.predict(*mix_features(tags, np.array([[False] * 200, [True] * 200])))
    np.testing.assert_allclose(curve.performance[[0, -1]], both)
    np.testing.assert_allclose(curve.human_share, np.linspace(0, 1, 9))
    np.testing.assert_allclose(curve.spend_usd, np.linspace(0, 100, 9))
    assert (curve.low <= curve.performance).all()
    assert (curve.performance <= curve.high).all()


def test_each_point_predicts_the_set_that_its_budget_buys(
    fitted: tuple[RidgePpm, BoolArray],
) -> None:
    ppm, tags = fitted
    utility = np.random.default_rng(0).random(200) + 0.1
    cost = np.random.default_rng(1).random(200) + 0.1
    curve = frontier(ppm, tags, utility, cost, n_points=5)
    order = np.argsort(-utility / cost)
    human = np.zeros((1, 200), dtype=bool)
    human[0, order[: round(curve.human_share[2] * 200)]] = True
    assert curve.performance[2] == pytest.approx(ppm.predict(*mix_features(tags, human))[0])
    assert curve.spend_usd[2] == pytest.approx(cost[human[0]].sum())
    assert curve.spend_usd[2] <= cost.sum() / 2


def test_a_routed_frontier_lies_above_random_and_shrinks_towards_it(
    fitted: tuple[RidgePpm, BoolArray],
) -> None:
    ppm, tags = fitted
    gains = instance_gains(ppm, tags).mean
    full, half, none = (
        frontier(ppm, tags, gains, np.ones(200), shrinkage=s) for s in (1.0, 0.5, 0.0)
    )
    assert (full.performance - full.random_performance)[1:-1].min() > 0
    np.testing.assert_allclose(none.performance, none.random_performance)
    np.testing.assert_allclose(half.performance, (full.performance + none.performance) / 2)


def test_the_next_dollars_move_along_the_frontier(fitted: tuple[RidgePpm, BoolArray]) -> None:
    ppm, tags = fitted
    curve = frontier(ppm, tags, instance_gains(ppm, tags).mean, np.ones(200), n_points=5)
    gain = next_dollars(curve, 50.0, spent_usd=50.0)
    assert gain.estimate == pytest.approx(curve.performance[2] - curve.performance[1])
    assert gain.low < gain.estimate < gain.high
    pointwise = (curve.high - curve.low)[1:3].sum()
    assert gain.high - gain.low < pointwise


def test_past_the_end_of_the_frontier_money_buys_nothing(
    fitted: tuple[RidgePpm, BoolArray],
) -> None:
    ppm, tags = fitted
    curve = frontier(ppm, tags, np.ones(200), np.ones(200))
    assert next_dollars(curve, 10.0, spent_usd=200.0).estimate == 0.0


def test_a_free_pool_has_a_frontier_that_costs_nothing(
    fitted: tuple[RidgePpm, BoolArray],
) -> None:
    ppm, tags = fitted
    curve = frontier(ppm, tags, np.ones(200), np.zeros(200), n_points=3)
    assert curve.spend_usd.tolist() == [0, 0, 0]
    assert curve.human_share.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("parameters", [{"n_points": 1}, {"shrinkage": 1.5}])
def test_impossible_frontiers_are_refused(
    parameters: dict[str, float], fitted: tuple[RidgePpm, BoolArray]
) -> None:
    ppm, tags = fitted
    with pytest.raises(RoutingInputError, match="shrinkage"):
        frontier(ppm, tags, np.ones(200), np.ones(200), **parameters)  # type: ignore[arg-type]


def test_negative_amounts_are_refused(fitted: tuple[RidgePpm, BoolArray]) -> None:
    ppm, tags = fitted
    with pytest.raises(RoutingInputError, match="usd is -1"):
        next_dollars(frontier(ppm, tags, np.ones(200), np.ones(200)), -1.0)
