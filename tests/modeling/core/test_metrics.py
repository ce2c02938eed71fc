"""Metrics against hand values and scikit-learn; intervals against known coverage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as oracle

from modeling.core import metrics
from modeling.core.types import FloatArray, InvalidInputError

probabilities = arrays(np.float64, 12, elements=st.floats(0.0, 1.0))
outcomes = arrays(np.float64, 12, elements=st.sampled_from([0.0, 1.0]))


def test_accuracy_leaves_ties_out_and_halves_undecided_predictions() -> None:
    # Right, wrong, undecided, and a tie that does not count: (1 + 0 + 0.5) / 3.
    assert metrics.pairwise_accuracy([0.9, 0.9, 0.5, 0.1], [1, 0, 1, 0.5]) == pytest.approx(0.5)


def test_accuracy_weighs_pairs() -> None:
    assert metrics.pairwise_accuracy([0.9, 0.9], [1, 0], [3, 1]) == pytest.approx(0.75)


def test_accuracy_of_ties_alone_is_undefined() -> None:
    assert np.isnan(metrics.pairwise_accuracy([0.9], [0.5]))


def test_soft_targets_count_for_the_side_they_lean_to() -> None:
    assert metrics.pairwise_accuracy([0.6], [2 / 3]) == 1.0


@pytest.mark.parametrize("metric", [metrics.pairwise_accuracy, metrics.log_loss, metrics.brier])
@given(probability=probabilities, outcome=outcomes)
def test_swapping_all_pairs_changes_no_metric(
    metric: Callable[..., float], probability: FloatArray, outcome: FloatArray
) -> None:
    swapped = metric(1 - probability, 1 - outcome)
    assert metric(probability, outcome) == pytest.approx(swapped, abs=1e-4)


@given(arrays(np.float64, 12, elements=st.floats(0.01, 0.99)), outcomes)
def test_log_loss_equals_scikit_learn(probability: FloatArray, outcome: FloatArray) -> None:
    expected = oracle.log_loss(outcome, probability, labels=[0, 1])
    assert metrics.log_loss(probability, outcome) == pytest.approx(expected)


@given(probabilities, outcomes)
def test_brier_score_equals_scikit_learn(probability: FloatArray, outcome: FloatArray) -> None:
    expected = oracle.brier_score_loss(outcome, probability, pos_label=1)
    assert metrics.brier(probability, outcome) == pytest.approx(expected)


def test_log_loss_of_a_soft_target_is_its_cross_entropy() -> None:
    expected = -(0.25 * np.log(0.6) + 0.75 * np.log(0.4))
    assert metrics.log_loss([0.6], [0.25]) == pytest.approx(expected)


def test_a_certain_and_wrong_prediction_costs_a_finite_amount() -> None:
    assert metrics.log_loss([0.0, 1.0], [1.0, 0.0]) == pytest.approx(-np.log(1e-12))


def test_calibration_error_by_hand() -> None:
    # Two bins: mean .2 against frequency 0.5 (2 rows), mean .9 against 1 (1 row).
    error = metrics.expected_calibration_error([0.1, 0.3, 0.9], [0, 1, 1], n_bins=2)
    assert error == pytest.approx((2 * 0.3 + 1 * 0.1) / 3)


def test_calibration_error_uses_weights() -> None:
    error = metrics.expected_calibration_error([0.1, 0.9], [0, 0], [3, 1], n_bins=2)
    assert error == pytest.approx((3 * 0.1 + 1 * 0.9) / 4)


def test_calibration_error_of_nothing_is_undefined() -> None:
    assert np.isnan(metrics.expected_calibration_error([], []))


def test_a_probability_of_one_falls_into_the_last_bin() -> None:
    np.testing.assert_array_equal(metrics.bin_of(np.array([0.0, 0.5, 1.0]), 4), [0, 2, 3])


def test_bins_must_be_at_least_one() -> None:
    with pytest.raises(InvalidInputError, match="n_bins must be at least 1; got 0"):
        metrics.bin_of(np.array([0.5]), 0)


def test_lengths_must_agree() -> None:
    with pytest.raises(InvalidInputError, match="target has 1 rows"):
        metrics.log_loss([0.5, 0.5], [1.0])


def test_interval_of_single_rows_matches_the_normal_approximation() -> None:
    values = np.random.default_rng(1).random(400)
    found = metrics.cluster_bootstrap_interval(values, np.arange(400), np.random.default_rng(0))
    error = values.std() / 20
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_rows_that_repeat_within_a_group_narrow_nothing() -> None:
    values = np.random.default_rng(1).random(50)
    single = metrics.cluster_bootstrap_interval(values, np.arange(50), np.random.default_rng(0))
    repeated = metrics.cluster_bootstrap_interval(
        np.repeat(values, 10), np.repeat(np.arange(50), 10), np.random.default_rng(0)
    )
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))
    assert (repeated.n, repeated.n_groups) == (500, 50)


def test_a_given_statistic_gives_the_same_interval_as_the_fast_mean() -> None:
    values, groups = np.random.default_rng(1).random(60), np.arange(60) // 3
    fast = metrics.cluster_bootstrap_interval(values, groups, np.random.default_rng(0))
    slow = metrics.cluster_bootstrap_interval(
        values, groups, np.random.default_rng(0), statistic=lambda rows: float(rows.mean())
    )
    assert slow.estimate == fast.estimate
    assert (slow.low, slow.high) == pytest.approx((fast.low, fast.high), abs=0.02)


def test_resamples_without_a_value_are_left_out() -> None:
    found = metrics.cluster_bootstrap_interval(
        np.array([1.0, 2.0]),
        np.array([0, 1]),
        np.random.default_rng(0),
        statistic=lambda rows: float("nan") if rows.max() < 2 else 5.0,
    )
    assert (found.low, found.high) == (5.0, 5.0)


def test_a_statistic_without_any_value_has_no_interval() -> None:
    found = metrics.cluster_bootstrap_interval(
        np.ones(3), np.arange(3), np.random.default_rng(0), statistic=lambda rows: float("nan")
    )
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_no_rows_have_no_interval() -> None:
    found = metrics.cluster_bootstrap_interval([], [], np.random.default_rng(0))
    assert np.isnan(found.estimate)
    assert found.n == 0


def test_level_must_be_a_share() -> None:
    with pytest.raises(InvalidInputError, match="level must lie strictly between 0 and 1"):
        metrics.cluster_bootstrap_interval([1.0], [0], np.random.default_rng(0), level=95)


def test_groups_must_be_a_vector() -> None:
    with pytest.raises(InvalidInputError, match="groups must be one-dimensional"):
        metrics.cluster_bootstrap_interval([1.0], [[0]], np.random.default_rng(0))


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = np.repeat(rng.standard_normal(60), 4) + 0.1 * rng.standard_normal(240)
        found = metrics.cluster_bootstrap_interval(
            values, np.repeat(np.arange(60), 4), rng, n_resamples=300
        )
        covered += found.low <= 0.0 <= found.high
    # 95 % aimed at; 180 of 200 is more than three standard errors below.
    assert covered > 180


def test_paired_difference_sees_what_two_intervals_hide() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    found = metrics.paired_difference_interval(hard + 0.01, hard, np.arange(200), rng)
    assert (found.low, found.high) == pytest.approx((0.01, 0.01))


def test_paired_values_must_pair() -> None:
    with pytest.raises(InvalidInputError, match="values_b has 1 rows"):
        metrics.paired_difference_interval([1, 2], [1], [0, 1], np.random.default_rng(0))


def test_wilson_interval_of_the_textbook_example() -> None:
    # 10 of 20: centre 0.5, half width 1.96 sqrt(.25/20 + 1.96^2/1600) / (1 + 1.96^2/20) = .2007.
    found = metrics.wilson_interval(10, 20)
    assert (found.low, found.high) == pytest.approx((0.2993, 0.7007), abs=1e-4)


def test_wilson_interval_of_no_success_starts_at_zero() -> None:
    assert metrics.wilson_interval(0, 10).low == 0.0
    # Known closed form: z^2 / (n + z^2).
    assert metrics.wilson_interval(0, 10).high == pytest.approx(1.959964**2 / (10 + 1.959964**2))


def test_wilson_interval_without_trials_is_everything() -> None:
    found = metrics.wilson_interval(0, 0)
    assert (found.low, found.high) == (0.0, 1.0)


def test_more_successes_than_trials_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"successes must lie in 0\.\.n; got 3 of 2"):
        metrics.wilson_interval(3, 2)


@given(st.lists(st.integers(0, 9), min_size=30, max_size=60), st.integers(0, 99))
def test_no_group_lies_on_two_sides_and_no_row_is_lost(groups: Any, seed: int) -> None:
    codes = np.array([*groups, 0, 1, 2])
    parts = metrics.group_split(codes, [0.5, 0.3, 0.2], np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(codes.size))
    sides = [set(codes[part]) for part in parts]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert min(map(len, sides)) >= 1


def test_split_comes_close_to_the_wished_shares() -> None:
    groups = np.random.default_rng(0).integers(300, size=3000)
    parts = metrics.group_split(groups, [0.7, 0.2, 0.1], np.random.default_rng(1))
    assert [part.size / 3000 for part in parts] == pytest.approx([0.7, 0.2, 0.1], abs=0.01)


def test_split_is_decided_by_the_seed() -> None:
    first, again, other = (
        metrics.group_split(np.arange(50), [0.5, 0.5], np.random.default_rng(seed))[0].tolist()
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_every_part_gets_a_group_even_when_one_group_is_huge() -> None:
    groups = np.array([0] * 98 + [1, 2])
    parts = metrics.group_split(groups, [0.98, 0.01, 0.01], np.random.default_rng(0))
    assert sorted(len(set(groups[part])) for part in parts) == [1, 1, 1]


@pytest.mark.parametrize(
    ("groups", "shares", "message"),
    [
        ([0, 1], [0.5, 0.6], "shares must be positive and sum to 1"),
        ([0, 1], [1.5, -0.5], "shares must be positive and sum to 1"),
        ([0, 0], [0.5, 0.5], "1 groups cannot fill 2 parts"),
        ([], [1.0], "0 groups cannot fill 1 parts"),
    ],
)
def test_impossible_splits_are_refused(groups: Any, shares: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        metrics.group_split(groups, shares, np.random.default_rng(0))
