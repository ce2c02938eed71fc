"""Last-layer posterior whose prior is chosen by prompt-grouped likelihood near an anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from modeling.core.laplace import LaplacePosterior
from modeling.core.types import (
    BoolArray,
    FloatArray,
    IntArray,
    InvalidInputError,
    as_matrix,
    as_vector,
)

LOGIT_SCALES = np.array([0.15, 0.22, 0.33, 0.5, 0.75, 1.1, 1.6])
"""Prior standard deviations of the logit of a typical comparison that are tried."""
MAX_NEWTON_STEPS = 50
NEWTON_TOLERANCE = 1e-9
"""Newton decrement (nats) that a further step would still gain."""


@dataclass(frozen=True)
class Anchor:
    """Log-normal belief about how far apart two responses usually are.

    Attributes
    ----------
    logit_scale : float, default 0.55
        Median of the prior standard deviation of a typical logit. People's labels are predicted
        right six or seven times in ten, which is a logit of about 0.4 to 0.85.
    log_sd : float, default 0.25
        Standard deviation of its logarithm; the smaller, the less a few labels can move it.
    n_folds : int, default 5
        Groups of prompts that are held out in turn; fewer where there are fewer prompts.
    """

    logit_scale: float = 0.55
    log_sd: float = 0.25
    n_folds: int = 5

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        if min(self.logit_scale, self.log_sd) <= 0 or self.n_folds < 2:
            raise InvalidInputError(f"the anchor needs positive scales and 2 folds; got {self}.")

    def penalty(self) -> FloatArray:
        """Minus the log density of each scale of the grid, up to a constant.

        Returns
        -------
        ndarray of float64, shape (7,)
            Penalties in nats.
        """
        gap = (np.log(LOGIT_SCALES) - np.log(self.logit_scale)) / self.log_sd
        return np.asarray(0.5 * gap**2)


@dataclass(frozen=True, eq=False)
class AnchoredFit:
    """A posterior and the prior that was chosen for it.

    Attributes
    ----------
    posterior : LaplacePosterior
        Gaussian around the optimum.
    logit_scale : float
        Prior standard deviation of a typical logit; one of `LOGIT_SCALES`.
    prior_precision : float
        Precision of each weight before the first label.
    """

    posterior: LaplacePosterior
    logit_scale: float
    prior_precision: float


def anchored_posterior(
    differences: Any,
    target: Any,
    weight: Any,
    prompt: IntArray,
    *,
    typical_square: float,
    anchor: Anchor | None = None,
    logit_scale: float | None = None,
) -> AnchoredFit:
    """Fit one Bradley-Terry head and the Gaussian around its optimum.

    Parameters
    ----------
    differences : array-like of float, shape (n, d)
        Features of the first response minus those of the second.
    target : array-like of float, shape (n,)
        P(first preferred) in [0, 1].
    weight : array-like of float, shape (n,)
        Non-negative weight of each pair.
    prompt : ndarray of int64, shape (n,)
        Prompt of each pair; prompts are held out whole.
    typical_square : float
        Mean squared length of a difference over all comparisons, labelled or not.
    anchor : Anchor, optional
        Belief about the scale of logits; `Anchor()` when left out.
    logit_scale : float, optional
        Prior standard deviation of a typical logit; chosen when left out.

    Returns
    -------
    AnchoredFit
        Mean and precision under the chosen prior, and that prior.

    Raises
    ------
    InvalidInputError
        If shapes disagree or all differences are zero.

    Notes
    -----
    The evidence takes labels for independent. Comparisons of one prompt share responses, so it
    prefers priors that are far too wide where prompts are few; held-out prompts do not, but what
    a strategy left out is as hard as what it chose, and no sample of the rest. The anchor decides
    while labels are few.

    References
    ----------
    MacKay 1992, "The evidence framework applied to classification networks", eqs. 2.3-2.5 (the
    Gaussian); Stone 1974, "Cross-validatory choice and assessment of statistical predictions".
    """
    x = as_matrix("differences", differences).astype(np.float64)
    t, w = as_vector("target", target), as_vector("weight", weight)
    if not len(x) == len(t) == len(w) == len(prompt):
        raise InvalidInputError(
            f"got {len(x)} differences, {len(t)} targets, {len(w)} weights, {len(prompt)} prompts."
        )
    if not typical_square > 0:
        raise InvalidInputError(
            "all feature differences are zero: the paired responses look the same to this encoder; "
            "choose another encoder."
        )
    scale = logit_scale or chosen_logit_scale(
        x, t, w, prompt, typical_square=typical_square, anchor=anchor
    )
    precision = typical_square / scale**2
    return AnchoredFit(posterior_at(x, t, w, precision), scale, precision)


def chosen_logit_scale(
    x: FloatArray,
    t: FloatArray,
    w: FloatArray,
    prompt: IntArray,
    *,
    typical_square: float,
    anchor: Anchor | None = None,
) -> float:
    """Choose the prior scale by the likelihood of held-out prompts and the anchor.

    Parameters
    ----------
    x : ndarray of float64, shape (n, d)
        Feature differences.
    t, w : ndarray of float64, shape (n,)
        Targets and weights.
    prompt : ndarray of int64, shape (n,)
        Prompt of each pair.
    typical_square : float
        Mean squared length of a difference.
    anchor : Anchor, optional
        Belief about the scale; `Anchor()` when left out.

    Returns
    -------
    float
        One of `LOGIT_SCALES`.
    """
    belief = anchor or Anchor()
    score = -belief.penalty()
    for held_out in _folds(prompt, belief.n_folds):
        kept, start = ~held_out, np.zeros(x.shape[1])
        for place, scale in enumerate(LOGIT_SCALES):
            # From narrow to wide: each optimum is a good start for the next.
            start = _optimum(x[kept], t[kept], w[kept], typical_square / scale**2, start)
            z = x[held_out] @ start
            score[place] += w[held_out] @ (t[held_out] * z - np.logaddexp(0.0, z))
    return float(LOGIT_SCALES[score.argmax()])


def posterior_at(x: FloatArray, t: FloatArray, w: FloatArray, precision: float) -> LaplacePosterior:
    """Return the Gaussian around the optimum under one prior.

    Parameters
    ----------
    x : ndarray of float64, shape (n, d)
        Feature differences.
    t, w : ndarray of float64, shape (n,)
        Targets and weights.
    precision : float
        Precision of the Gaussian prior.

    Returns
    -------
    LaplacePosterior
        Mean, Cholesky factor of the precision, log evidence.
    """
    mean = _optimum(x, t, w, precision, np.zeros(x.shape[1]))
    z = x @ mean
    factor = np.tril(cho_factor(_hessian(x, w, z, precision), lower=True)[0])
    log_likelihood = w @ (t * z - np.logaddexp(0.0, z))
    log_prior = 0.5 * len(mean) * np.log(precision) - 0.5 * precision * mean @ mean
    return LaplacePosterior(
        mean, factor, float(log_likelihood + log_prior - np.log(np.diag(factor)).sum())
    )


def _folds(prompt: IntArray, n_folds: int) -> list[BoolArray]:
    """Whole prompts in turn; no generator: labels come in an order that says nothing."""
    codes = np.unique(prompt, return_inverse=True)[1]
    n = min(n_folds, int(codes.max()) + 1) if len(codes) else 0
    return [codes % n == fold for fold in range(n)] if n > 1 else []


def _optimum(
    x: FloatArray, t: FloatArray, w: FloatArray, precision: float, start: FloatArray
) -> FloatArray:
    mean = start
    for _ in range(MAX_NEWTON_STEPS):
        z = x @ mean
        slope = x.T @ (w * (expit(z) - t)) + precision * mean
        step = cho_solve(cho_factor(_hessian(x, w, z, precision)), slope)
        # A full step can overshoot where logits are large; halving restores descent.
        size = min(1.0, 10.0 / max(float(np.abs(x @ step).max(initial=0.0)), 1e-12))
        mean = mean - size * step
        if slope @ step < NEWTON_TOLERANCE:
            break
    return mean


def _hessian(x: FloatArray, w: FloatArray, z: FloatArray, precision: float) -> FloatArray:
    chance = expit(z)
    matrix = (x * (w * chance * (1.0 - chance))[:, None]).T @ x
    matrix[np.diag_indices_from(matrix)] += precision
    return np.asarray(matrix)
