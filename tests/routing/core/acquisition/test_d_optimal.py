import numpy as np
import pytest

from routing.core.acquisition import STRATEGIES, AcquisitionInputs
from routing.core.acquisition.d_optimal import SequentialDesign


def design() -> SequentialDesign:
    rng = np.random.default_rng(0)
    return SequentialDesign(rng.standard_normal((30, 6)), rng.uniform(0.05, 0.25, 30), np.eye(6))


def log_det(matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    return float(np.linalg.slogdet(matrix)[1])


def test_a_gain_is_the_growth_of_the_log_determinant() -> None:
    d = design()
    grown = [
        log_det(np.eye(6) + v * np.outer(x, x))
        for x, v in zip(d.features, d.curvature, strict=True)
    ]
    np.testing.assert_allclose(d.gain, grown, atol=1e-10)


def test_after_many_additions_the_inverse_is_still_the_inverse() -> None:
    d, information = design(), np.eye(6)
    for row in range(20):
        d.add(row)
        information += d.curvature[row] * np.outer(d.features[row], d.features[row])
    np.testing.assert_allclose(d.inverse, np.linalg.inv(information), atol=1e-9)
    before = log_det(information)
    x, v = d.features[25], d.curvature[25]
    assert d.gain[25] == pytest.approx(log_det(information + v * np.outer(x, x)) - before)


def test_copies_are_discounted_within_the_batch() -> None:
    features = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 1.8]])
    inputs = AcquisitionInputs(
        3, np.arange(3), difference_features=features, tie_hash=np.arange(3, dtype=np.uint64)
    )
    chosen = STRATEGIES["d_optimal-v1"].select(inputs, 2, np.random.default_rng(0)).indices
    assert chosen.tolist() == [0, 2]


def test_what_is_labelled_already_is_worth_less() -> None:
    features = np.array([[2.0, 0.0], [0.0, 1.9]])
    inputs = AcquisitionInputs(
        2,
        np.arange(2),
        difference_features=features,
        labelled_differences=np.tile([2.0, 0.0], (10, 1)),
    )
    chosen = STRATEGIES["d_optimal-v1"].select(inputs, 1, np.random.default_rng(0)).indices
    assert chosen.tolist() == [1]


def test_a_decided_model_leaves_little_to_learn() -> None:
    logits = np.array([[6.0, 0.0]])
    inputs = AcquisitionInputs(2, np.arange(2), logits=logits, difference_features=np.ones((2, 3)))
    chosen = STRATEGIES["d_optimal-v1"].select(inputs, 1, np.random.default_rng(0)).indices
    assert chosen.tolist() == [1]
