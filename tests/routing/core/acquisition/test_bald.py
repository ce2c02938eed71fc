import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logit

from routing.core.acquisition.bald import (
    gaussian_mutual_information,
    log_probabilities,
    mutual_information,
    predictive_entropy,
)
from routing.core.arrays import FloatArray, RoutingInputError

logit_matrices = st.tuples(st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-900, 900))
)


@pytest.mark.parametrize(
    ("chances", "predictive", "information"),
    [
        ([0.9, 0.1], 0.693147, 0.368064),
        ([0.99, 0.01], 0.693147, 0.637146),
        ([0.6] * 5, 0.673012, 0.0),
        ([0.2, 0.4, 0.6, 0.8, 0.5], 0.693147, 0.085152),
        ([0.7, 0.75, 0.8, 0.85, 0.9], 0.500402, 0.016124),
    ],
)
def test_known_members_give_the_known_information(
    chances: list[float], predictive: float, information: float
) -> None:
    z = logit(np.array(chances))[:, None]
    assert predictive_entropy(z)[0] == pytest.approx(predictive, abs=1e-6)
    assert mutual_information(z)[0] == pytest.approx(information, abs=1e-6)


@pytest.mark.parametrize(
    ("logits", "information"),
    [([50, 50, 50, 50, -50], 0.500402), ([800, -800], 0.693147), ([0.0], 0.0)],
)
def test_extreme_logits_lose_nothing(logits: list[float], information: float) -> None:
    value = mutual_information(np.array(logits, dtype=float)[:, None])[0]
    assert value == pytest.approx(information, abs=1e-6)


@pytest.mark.parametrize(
    ("flip_rate", "information"),
    [
        (0.0, 0.3681),
        (0.05, 0.2882),
        (0.1, 0.2218),
        (0.2, 0.1201),
        (0.25, 0.0823),
        (0.3, 0.0521),
        (0.4, 0.0129),
    ],
)
def test_annotators_who_flip_carry_less_information(flip_rate: float, information: float) -> None:
    z = logit(np.array([0.9, 0.1]))[:, None]
    assert mutual_information(z, flip_rate=flip_rate)[0] == pytest.approx(information, abs=5e-5)


@pytest.mark.parametrize(
    ("mean", "sd", "information"),
    [
        (0, 0.1, 0.001245),
        (0, 1, 0.093709),
        (0, 3, 0.332611),
        (1, 1, 0.081427),
        (2, 1, 0.054164),
        (3, 1, 0.028711),
    ],
)
def test_normal_logits_give_the_known_information(
    mean: float, sd: float, information: float
) -> None:
    assert gaussian_mutual_information([mean], [sd])[0] == pytest.approx(information, abs=1e-5)


def test_many_normal_draws_agree_with_the_quadrature() -> None:
    draws = np.random.default_rng(0).normal(0.7, 1.3, size=(200_000, 1))
    quadrature = gaussian_mutual_information([0.7], [1.3])[0]
    assert mutual_information(draws)[0] == pytest.approx(quadrature, abs=1e-3)


@given(logit_matrices)
def test_information_stays_within_its_bounds(z: FloatArray) -> None:
    information = mutual_information(z)
    assert (information >= 0).all()
    assert (information <= min(np.log(2), np.log(len(z))) + 1e-12).all()
    assert np.isfinite(predictive_entropy(z)).all()


@given(logit_matrices)
def test_swapping_the_responses_changes_no_information(z: FloatArray) -> None:
    np.testing.assert_array_equal(mutual_information(z), mutual_information(-z))


@given(logit_matrices, st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(z: FloatArray, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = z[random.sample(range(len(z)), len(z))]
    np.testing.assert_allclose(mutual_information(shuffled), mutual_information(z), atol=1e-12)


@given(st.floats(-900, 900), st.integers(1, 6))
def test_members_that_agree_carry_no_information(z: float, n_members: int) -> None:
    assert mutual_information(np.full((n_members, 1), z))[0] == pytest.approx(0.0, abs=1e-12)


def test_log_probabilities_stay_finite_where_probabilities_vanish() -> None:
    first, second = log_probabilities([40.0, 800.0])
    np.testing.assert_allclose(second, [-40.0, -800.0])
    np.testing.assert_allclose(first, [-np.exp(-40.0), 0.0], atol=1e-30)


@pytest.mark.parametrize("flip_rate", [-0.1, 0.5])
def test_impossible_flip_rates_are_refused(flip_rate: float) -> None:
    with pytest.raises(RoutingInputError, match="flip_rate"):
        mutual_information(np.zeros((2, 1)), flip_rate=flip_rate)


def test_negative_deviations_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="sd holds negative"):
        gaussian_mutual_information([0.0], [-1.0])
