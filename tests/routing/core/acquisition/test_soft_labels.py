"""Judges' votes are worth what the judge has shown."""

import numpy as np
import pytest
from scipy.special import expit, logit

from routing.core.acquisition.soft_labels import judge_accuracies, soft_targets
from routing.core.arrays import RoutingInputError

HUMAN = np.array([1.0, 1.0, 0.0, 0.5, 0.5])


def test_accuracy_counts_decided_votes_on_decided_comparisons() -> None:
    # Right on rows 0 and 2, wrong on row 1; row 3 has no human side, row 0's second vote is a tie.
    vote, row = np.array([1.0, 0.0, 0.0, 1.0, 0.5]), np.array([0, 1, 2, 3, 0])
    found = judge_accuracies(vote, np.full(5, 7), row, HUMAN)
    assert found == {7: pytest.approx((7 + 2) / (10 + 3))}


def test_an_unmeasured_judge_is_taken_for_seven_in_ten() -> None:
    found = judge_accuracies(np.array([1.0]), np.array([3]), np.array([4]), HUMAN)
    assert found == {3: pytest.approx(0.7)}


def test_no_judge_is_taken_for_worse_than_chance_or_for_infallible() -> None:
    n = 2_000
    human, row = np.ones(n), np.arange(n)
    found = judge_accuracies(
        np.concatenate([np.zeros(n), np.ones(n)]), np.repeat([1, 2], n), np.tile(row, 2), human
    )
    assert 0.5 < found[1] < 0.501
    assert found[2] == 0.98


def test_a_vote_is_as_sure_as_the_judge_and_weighs_by_what_survives_its_errors() -> None:
    target, weight = soft_targets(
        np.array([1.0, 0.0, 0.5]), np.array([1, 1, 1]), np.array([0, 1, 2]), {1: 0.8}, 4
    )
    np.testing.assert_allclose(target, [0.8, 0.2, 0.5, 0.5])
    np.testing.assert_allclose(weight, [0.36, 0.36, 0.0, 0.0], atol=1e-12)


def test_two_judges_on_one_comparison_are_averaged_in_log_odds() -> None:
    target, _ = soft_targets(
        np.array([1.0, 0.0]), np.array([1, 2]), np.array([0, 0]), {1: 0.9, 2: 0.6}, 1
    )
    np.testing.assert_allclose(target, expit((logit(0.9) - logit(0.6)) / 2))


def test_a_judge_without_an_accuracy_is_named() -> None:
    with pytest.raises(RoutingInputError, match="judge 2 has no accuracy"):
        soft_targets(np.array([1.0]), np.array([2]), np.array([0]), {1: 0.8}, 1)


def test_a_calibrated_probability_goes_before_the_judges_accuracy() -> None:
    target, weight = soft_targets(
        np.array([1.0, 1.0]),
        np.array([1, 1]),
        np.array([0, 1]),
        {1: 0.8},
        2,
        calibrated=np.array([0.6, np.nan]),
    )
    np.testing.assert_allclose(target, [0.6, 0.8])
    np.testing.assert_allclose(weight, [0.04, 0.36])
