"""The anchored posterior: its optimum, its prior, and what few prompts do to it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from modeling.core.anchored import (
    LOGIT_SCALES,
    Anchor,
    anchored_posterior,
    chosen_logit_scale,
    posterior_at,
)
from modeling.core.laplace import laplace_posterior
from modeling.core.types import InvalidInputError

Array = NDArray[np.float64]


def planted(n: int, scale: float, seed: int = 0, m: int = 6) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, m))
    truth = scale * rng.standard_normal(m) / np.sqrt(m)
    return x, (rng.random(n) < expit(x @ truth)).astype(float)


def test_the_optimum_is_that_of_scikit_learn() -> None:
    x, t = planted(200, 2.0)
    expected = LogisticRegression(C=1 / 3.0, fit_intercept=False, tol=1e-10).fit(x, t).coef_[0]
    np.testing.assert_allclose(posterior_at(x, t, np.ones(200), 3.0).mean, expected, atol=1e-5)


def test_mean_precision_and_evidence_are_those_of_the_laplace_posterior() -> None:
    x, t = planted(80, 1.0)
    mine = posterior_at(x, t, np.ones(80), 5.0)
    other = laplace_posterior(x, t, prior_precision=5.0)
    np.testing.assert_allclose(mine.mean, other.mean, atol=1e-6)
    np.testing.assert_allclose(mine.precision_cholesky, other.precision_cholesky, atol=1e-5)
    assert mine.log_evidence == pytest.approx(other.log_evidence, abs=1e-5)


def test_large_features_do_not_make_the_steps_overshoot() -> None:
    x, t = planted(60, 1.0)
    fitted = posterior_at(1e3 * x, t, np.ones(60), 1e-3)
    slope = (1e3 * x).T @ (expit(1e3 * x @ fitted.mean) - t) + 1e-3 * fitted.mean
    np.testing.assert_allclose(slope, 0.0, atol=1e-2)


def test_without_labels_to_speak_of_the_anchor_decides() -> None:
    x, t = planted(4, 1.0)
    anchor = Anchor(logit_scale=0.33, log_sd=0.05)
    scale = chosen_logit_scale(x, t, np.ones(4), np.arange(4), typical_square=6.0, anchor=anchor)
    assert scale == 0.33


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 0.15), (6.0, 1.6)])
def test_many_labels_overrule_a_loose_anchor(strength: float, expected: float) -> None:
    x, t = planted(1500, strength, seed=3)
    loose = Anchor(log_sd=50.0)
    prompts = np.arange(1500)
    scale = chosen_logit_scale(x, t, np.ones(1500), prompts, typical_square=6.0, anchor=loose)
    assert scale == expected


def test_copies_of_few_prompts_widen_the_prior_by_evidence_but_not_here() -> None:
    # Labels that hold for a prompt and for nothing else: twelve prompts, twenty rows each.
    rng = np.random.default_rng(0)
    prompt = np.repeat(np.arange(12), 20)
    x = rng.standard_normal((12, 20))[prompt] + 0.05 * rng.standard_normal((240, 20))
    t = rng.integers(0, 2, size=12)[prompt].astype(float)
    precisions = 20.0 / LOGIT_SCALES**2
    evidence = [posterior_at(x, t, np.ones(240), p).log_evidence for p in precisions]
    by_prompt = chosen_logit_scale(
        x, t, np.ones(240), prompt, typical_square=20.0, anchor=Anchor(log_sd=50.0)
    )
    assert LOGIT_SCALES[int(np.argmax(evidence))] == 1.6
    assert by_prompt <= 0.22


def test_the_fit_names_its_prior() -> None:
    x, t = planted(60, 1.0)
    fitted = anchored_posterior(x, t, np.ones(60), np.arange(60), typical_square=6.0)
    assert fitted.logit_scale in LOGIT_SCALES
    assert fitted.prior_precision == pytest.approx(6.0 / fitted.logit_scale**2)


def test_a_given_scale_is_the_prior() -> None:
    x, t = planted(60, 1.0)
    fitted = anchored_posterior(
        x, t, np.ones(60), np.arange(60), typical_square=6.0, logit_scale=0.4
    )
    assert fitted.logit_scale == 0.4
    assert fitted.prior_precision == pytest.approx(37.5)
    expected = posterior_at(x, t, np.ones(60), 37.5)
    np.testing.assert_allclose(fitted.posterior.mean, expected.mean, atol=1e-6)


def test_bad_input_is_refused_with_a_sentence() -> None:
    x, t = planted(5, 1.0)
    with pytest.raises(InvalidInputError, match="got 5 differences, 5 targets, 4 weights"):
        anchored_posterior(x, t, np.ones(4), np.arange(5), typical_square=1.0)
    with pytest.raises(InvalidInputError, match="all feature differences are zero"):
        anchored_posterior(0 * x, t, np.ones(5), np.arange(5), typical_square=0.0)
    with pytest.raises(InvalidInputError, match="anchor needs positive scales"):
        Anchor(logit_scale=0.0)
