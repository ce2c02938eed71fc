"""One head under every loss: oracles, planted parameters, refusals."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from modeling.core.linear_head import fit_linear_head
from modeling.core.types import ConvergenceError, Float32Array, FloatArray, InvalidInputError


def three_way(probabilities: FloatArray, seed: int) -> FloatArray:
    """Draw one of first, tie, second per row, one-hot."""
    draws = np.random.default_rng(seed).random((len(probabilities), 1))
    chosen = (draws > probabilities.cumsum(axis=1)).sum(axis=1)
    return np.asarray(np.eye(3)[chosen])


@pytest.fixture
def differences() -> Float32Array:
    return np.random.default_rng(0).standard_normal((3000, 3)).astype(np.float32)


WEIGHTS = np.array([1.5, -0.8, 0.0])


def test_bradley_terry_equals_scikit_learn(differences: Float32Array) -> None:
    wins = np.random.default_rng(1).random(3000) < 1 / (1 + np.exp(-differences @ WEIGHTS))
    shares = np.column_stack([wins, np.zeros(3000), ~wins])
    weight = np.random.default_rng(2).random(3000)
    oracle = LogisticRegression(C=1 / 5.0, fit_intercept=False, tol=1e-10, max_iter=1000)
    expected = oracle.fit(differences, wins, sample_weight=weight).coef_[0]
    head = fit_linear_head(differences, shares, weight, prior_precision=5.0)
    np.testing.assert_allclose(head.weights_, expected, atol=1e-4)
    assert head.tie_parameter_ is None


def test_davidson_finds_planted_weights_and_ties(differences: Float32Array) -> None:
    logit = differences @ WEIGHTS
    odds = np.column_stack([np.exp(logit / 2), np.full(3000, 0.7), np.exp(-logit / 2)])
    shares = three_way(odds / odds.sum(axis=1, keepdims=True), seed=3)
    head = fit_linear_head(differences, shares, loss="davidson", prior_precision=1e-3)
    np.testing.assert_allclose(head.weights_, WEIGHTS, atol=0.15)
    assert head.tie_parameter_ == pytest.approx(np.log(0.7), abs=0.1)


def test_rao_kupper_finds_planted_weights_and_threshold(differences: Float32Array) -> None:
    logit, threshold = differences @ WEIGHTS, 0.6
    first, second = (1 / (1 + np.exp(threshold - side)) for side in (logit, -logit))
    shares = three_way(np.column_stack([first, 1 - first - second, second]), seed=3)
    head = fit_linear_head(differences, shares, loss="rao_kupper", prior_precision=1e-3)
    np.testing.assert_allclose(head.weights_, WEIGHTS, atol=0.15)
    assert head.tie_parameter_ == pytest.approx(np.log(0.6), abs=0.1)


def test_knowing_the_noise_undoes_its_shrinkage(differences: Float32Array) -> None:
    honest = 1 / (1 + np.exp(-differences @ WEIGHTS))
    noisy = 0.2 + 0.6 * honest
    shares = np.column_stack([noisy, np.zeros(3000), 1 - noisy])
    plain = fit_linear_head(differences, shares, prior_precision=1e-3)
    aware = fit_linear_head(
        differences, shares, loss="noise_aware", flip_rate=0.2, prior_precision=1e-3
    )
    np.testing.assert_allclose(aware.weights_, WEIGHTS, atol=0.01)
    assert np.abs(plain.weights_[0]) < 0.7 * np.abs(aware.weights_[0])


def test_a_margin_asks_for_larger_differences(differences: Float32Array) -> None:
    wins = differences @ WEIGHTS > 0
    shares = np.column_stack([wins, np.zeros(3000), ~wins])
    plain, wide = (
        fit_linear_head(differences, shares, loss="margin", margin=lead, prior_precision=10.0)
        for lead in (0.0, 2.0)
    )
    assert np.linalg.norm(wide.weights_) > 1.2 * np.linalg.norm(plain.weights_)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of"),
        ({"prior_precision": 0.0}, "prior_precision and total weight must be positive"),
        ({"weight": [0.0, 0.0]}, "prior_precision and total weight must be positive"),
        ({"weight": [1.0]}, "weight has 1 rows"),
        ({"shares": [[1.0, 0.0, 0.0]]}, "shares has 1 rows"),
    ],
)
def test_impossible_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "differences": [[1.0], [2.0]],
        "shares": np.eye(3)[:2],
        "prior_precision": 1.0,
    }
    with pytest.raises(InvalidInputError, match=message):
        fit_linear_head(**(arguments | changes))


def test_giving_up_is_an_error(differences: Float32Array) -> None:
    shares = np.tile([1.0, 0.0, 0.0], (3000, 1))
    with pytest.raises(ConvergenceError, match="did not converge"):
        fit_linear_head(differences, shares, prior_precision=1e-3, max_iter=1)
