import numpy as np
import pytest
from scipy.special import logit

from routing.core.acquisition import STRATEGIES, AcquisitionInputs
from routing.core.acquisition.badge import gradient_embeddings

BADGE = STRATEGIES["badge-v1"]


@pytest.mark.parametrize(
    ("chance", "feature", "length"),
    [(0.5, [2.0, 0.0], 1.0), (0.9, [2.0, 0.0], 0.2), (0.1, [2.0, 0.0], 0.2)],
)
def test_a_gradient_is_as_long_as_the_doubt_times_the_difference(
    chance: float, feature: list[float], length: float
) -> None:
    gradient = gradient_embeddings([[logit(chance)]], [feature])
    assert np.linalg.norm(gradient) == pytest.approx(length)


@pytest.mark.parametrize("step", [1e-3, 1e-5])
def test_the_gradient_is_that_of_the_loss_for_the_expected_label(step: float) -> None:
    feature, head = np.array([0.7, -0.4]), np.array([0.5, 1.5])
    z = feature @ head
    label = float(z >= 0)

    def loss(weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float(np.logaddexp(0, feature @ weights) - label * (feature @ weights))

    numeric = [(loss(head + step * u) - loss(head - step * u)) / (2 * step) for u in np.eye(2)]
    np.testing.assert_allclose(gradient_embeddings([[z]], [feature])[0], numeric, atol=1e-6)


def test_the_largest_gradient_comes_first_and_copies_of_it_last() -> None:
    features = np.array([[5.0, 0.0], [5.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 0.0]])
    inputs = AcquisitionInputs(
        5,
        np.arange(5),
        logits=np.zeros((2, 5)),
        difference_features=features,
        tie_hash=np.arange(5, dtype=np.uint64),
    )
    chosen = BADGE.select(inputs, 5, np.random.default_rng(0)).indices
    assert chosen[0] == 0
    assert chosen[-1] == 1


def test_identical_responses_are_chosen_only_when_nothing_else_is_left() -> None:
    features = np.vstack([np.zeros((10, 2)), np.random.default_rng(0).random((5, 2)) + 1])
    inputs = AcquisitionInputs(
        15, np.arange(15), logits=np.zeros((2, 15)), difference_features=features
    )
    for_sure = BADGE.select(inputs, 1, np.random.default_rng(0)).indices
    assert for_sure[0] >= 10
