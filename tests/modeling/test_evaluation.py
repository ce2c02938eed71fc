"""Held-out figures."""

from collections.abc import Sequence

import numpy as np
import pytest

from modeling.evaluation import HeldOut, evaluate, number, predicted_side


def held_out(target: Sequence[float], *, longer: list[float] | None = None) -> HeldOut:
    """Labels on as many prompts."""
    size = len(target)
    return HeldOut(
        target=np.array(target),
        prompt=np.arange(size),
        longer=np.array(longer or [0.5] * size),
        first_share=0.6,
    )


def test_accuracy_leaves_ties_out_and_says_on_how_many_it_stands() -> None:
    probability = np.array([0.9, 0.8, 0.3, 0.6])
    result = evaluate(probability, held_out([1, 0, 0, 0.5]), np.random.default_rng(0))
    assert result["accuracy"]["estimate"] == pytest.approx(2 / 3, abs=1e-6)
    assert (result["accuracy"]["n"], result["n"]) == (3, 4)
    assert result["held_out"] == "held-out human labels"


def test_log_loss_counts_soft_labels() -> None:
    result = evaluate(np.array([0.8, 0.5]), held_out([1, 0.5]), np.random.default_rng(0))
    expected = (-np.log(0.8) + np.log(2)) / 2
    assert result["log_loss"]["estimate"] == pytest.approx(expected, abs=1e-6)


def test_the_length_rule_is_scored_on_the_same_labels() -> None:
    data = held_out([1, 0, 1, 1], longer=[1, 1, 0.5, 0])
    result = evaluate(np.array([0.9, 0.1, 0.9, 0.9]), data, np.random.default_rng(0))
    # right, wrong, one half, wrong
    assert result["baselines"]["length"]["accuracy"]["estimate"] == pytest.approx(1.5 / 4)
    assert result["above_length"]["estimate"] == pytest.approx(1 - 1.5 / 4)


def test_the_constant_predicts_the_side_that_training_prefers() -> None:
    result = evaluate(np.full(4, 0.5), held_out([1, 1, 1, 0]), np.random.default_rng(0))
    assert result["baselines"]["constant"]["accuracy"]["estimate"] == 0.75


def test_calibration_does_not_hang_on_the_order_of_the_responses() -> None:
    rng = np.random.default_rng(3)
    probability, target = rng.random(60), rng.integers(0, 2, 60).astype(float)
    original = evaluate(probability, held_out(target.tolist()), np.random.default_rng(0))
    swapped = evaluate(1 - probability, held_out((1 - target).tolist()), np.random.default_rng(0))
    assert original["ece"]["estimate"] == pytest.approx(swapped["ece"]["estimate"], abs=1e-9)


def test_a_perfectly_calibrated_bin_has_no_error() -> None:
    probability = np.full(10, 0.7)
    result = evaluate(probability, held_out([1] * 7 + [0] * 3), np.random.default_rng(0))
    assert result["ece"]["estimate"] == pytest.approx(0.0, abs=1e-9)
    assert result["reliability"][0]["predicted"] == pytest.approx(0.7)
    assert result["reliability"][0]["estimate"] == pytest.approx(0.7)


def test_predicted_side_folds_both_halves_together() -> None:
    confidence, outcome = predicted_side(np.array([0.2, 0.8]), np.array([0.0, 1.0]))
    assert confidence.tolist() == [0.8, 0.8]
    assert outcome.tolist() == [1.0, 1.0]


def test_what_is_undefined_becomes_null_in_json() -> None:
    assert number(float("nan")) is None
