"""Gaussian posterior of a head against direct integration."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from modeling.core.laplace import laplace_posterior, laplace_posteriors, prior_grid
from modeling.core.types import InvalidInputError

DIFFERENCES = np.array([[1.0], [0.5], [-1.5], [2.0], [-0.3], [1.2]])
TARGET = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.5])


def unnormalised(weight: float, prior: float) -> float:
    logit = DIFFERENCES[:, 0] * weight
    log_likelihood = (TARGET * logit - np.logaddexp(0, logit)).sum()
    return float(np.exp(log_likelihood - prior * weight**2 / 2) * np.sqrt(prior / (2 * np.pi)))


@pytest.mark.parametrize("prior", [0.5, 2.0, 10.0])
def test_evidence_is_close_to_the_integral(prior: float) -> None:
    exact, _ = quad(unnormalised, -30, 30, args=(prior,))
    posterior = laplace_posterior(DIFFERENCES, TARGET, prior_precision=prior)
    assert posterior.log_evidence == pytest.approx(np.log(exact), abs=0.05)


def test_mean_is_the_mode_and_variance_the_inverse_curvature() -> None:
    posterior = laplace_posterior(DIFFERENCES, TARGET, prior_precision=2.0)
    mode = posterior.mean[0]
    slope = (DIFFERENCES[:, 0] * (expit(DIFFERENCES[:, 0] * mode) - TARGET)).sum() + 2 * mode
    assert slope == pytest.approx(0.0, abs=1e-6)
    probability = expit(DIFFERENCES[:, 0] * mode)
    curvature = 2.0 + (probability * (1 - probability) * DIFFERENCES[:, 0] ** 2).sum()
    _, variance = posterior.logit_moments([[3.0]])
    assert variance[0] == pytest.approx(9 / curvature, rel=1e-5)


def test_samples_have_the_posterior_moments() -> None:
    rng = np.random.default_rng(0)
    differences = rng.standard_normal((40, 3)).astype(np.float32)
    target = rng.integers(2, size=40).astype(float)
    posterior = laplace_posterior(differences, target, prior_precision=1.0)
    logits = posterior.sample(20_000, rng) @ differences[:4].T.astype(np.float64)
    mean, variance = posterior.logit_moments(differences[:4])
    np.testing.assert_allclose(logits.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(logits.var(axis=0), variance, rtol=0.05)


def test_more_labels_narrow_the_posterior() -> None:
    once = laplace_posterior(DIFFERENCES, TARGET, prior_precision=1.0)
    twice = laplace_posterior(DIFFERENCES, TARGET, np.full(6, 2.0), prior_precision=1.0)
    assert (twice.logit_moments(DIFFERENCES)[1] < once.logit_moments(DIFFERENCES)[1]).all()


def test_evidence_prefers_the_prior_that_drew_the_weights() -> None:
    rng = np.random.default_rng(5)
    differences = rng.standard_normal((2000, 60)).astype(np.float32)
    weights = rng.standard_normal(60) / np.sqrt(30.0)
    target = (rng.random(2000) < expit(differences @ weights)).astype(float)
    grid = np.array([0.3, 3.0, 30.0, 300.0, 3000.0])
    posteriors = laplace_posteriors(differences, target, prior_precisions=grid)
    assert int(np.argmax([posterior.log_evidence for posterior in posteriors])) == 2


def test_the_grid_follows_the_scale_of_the_features() -> None:
    differences = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    np.testing.assert_allclose(prior_grid(differences * 10), prior_grid(differences) * 100)


def test_features_without_differences_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="all feature differences are zero"):
        prior_grid(np.zeros((4, 2)))
