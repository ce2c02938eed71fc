"""Gaussian posterior of one linear Bradley-Terry head around its optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import expit

from modeling.core.heads import fit_heads
from modeling.core.types import FloatArray, InvalidInputError, as_matrix, as_vector

PRIOR_GRID = np.logspace(-1.0, 4.0, 11)
"""Prior precisions tried, in units of the mean squared feature difference, so that the grid fits
features of any scale."""


@dataclass(frozen=True, eq=False)
class LaplacePosterior:
    """Weights ~ Normal(mean, precision^-1).

    Attributes
    ----------
    mean : ndarray of float64, shape (d,)
        Maximum a posteriori weights.
    precision_cholesky : ndarray of float64, shape (d, d)
        Lower factor L with L @ L.T the Hessian of the negative log posterior.
    log_evidence : float
        Laplace approximation of log P(labels | prior), in nats.
    """

    mean: FloatArray
    precision_cholesky: FloatArray
    log_evidence: float

    def logit_moments(self, differences: Any) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the logit of each pair.

        Parameters
        ----------
        differences : array-like of float32, shape (n, d)
            Features of the first response minus those of the second.

        Returns
        -------
        mean : ndarray of float64, shape (n,)
            Posterior mean of the logit.
        variance : ndarray of float64, shape (n,)
            Posterior variance of the logit; falls with every label.
        """
        matrix = as_matrix("differences", differences).astype(np.float64)
        half = solve_triangular(self.precision_cholesky, matrix.T, lower=True)
        return matrix @ self.mean, np.asarray((half**2).sum(axis=0))

    def sample(self, n_samples: int, rng: np.random.Generator) -> FloatArray:
        """Draw weights.

        Parameters
        ----------
        n_samples : int
            Number of draws.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        ndarray of float64, shape (n_samples, d)
            One weight vector per row.
        """
        noise = rng.standard_normal((self.mean.size, n_samples))
        spread = solve_triangular(self.precision_cholesky.T, noise, lower=False)
        return np.asarray(self.mean + spread.T)


def laplace_posterior(
    differences: Any, target: Any, weight: Any = None, *, prior_precision: float
) -> LaplacePosterior:
    """Fit one Bradley-Terry head and the Gaussian around its optimum.

    Parameters
    ----------
    differences : array-like of float32, shape (n, d)
        Features of the first response minus those of the second.
    target : array-like of float, shape (n,)
        P(first preferred) in [0, 1].
    weight : array-like of float, shape (n,), optional
        Weight of each pair; all ones when left out.
    prior_precision : float
        Positive precision of the Gaussian prior.

    Returns
    -------
    LaplacePosterior
        Mean, Cholesky factor of the precision, log evidence.

    References
    ----------
    MacKay 1992, "The evidence framework applied to classification networks", eqs. 2.3-2.5.
    """
    grid = np.array([prior_precision])
    return laplace_posteriors(differences, target, weight, prior_precisions=grid)[0]


def laplace_posteriors(
    differences: Any, target: Any, weight: Any = None, *, prior_precisions: FloatArray
) -> list[LaplacePosterior]:
    """Fit the posterior under several priors at once.

    Parameters
    ----------
    differences : array-like of float32, shape (n, d)
        Features of the first response minus those of the second.
    target : array-like of float, shape (n,)
        P(first preferred) in [0, 1].
    weight : array-like of float, shape (n,), optional
        Weight of each pair; all ones when left out.
    prior_precisions : ndarray of float64, shape (p,)
        Positive precisions.

    Returns
    -------
    list of LaplacePosterior, length p
        One posterior per precision; the one with the largest log evidence is the data's choice.
    """
    matrix = as_matrix("differences", differences)
    observed = as_vector("target", target)
    weights = np.ones(observed.size) if weight is None else as_vector("weight", weight)
    shape = (observed.size, prior_precisions.size)
    fit = fit_heads(
        matrix,
        np.broadcast_to(observed[:, None], shape),
        np.broadcast_to(weights[:, None], shape),
        prior_precision=prior_precisions,
        tol=1e-9,
    )
    exact = matrix.astype(np.float64)
    return [
        _posterior(exact, observed, weights, fit.weights_[:, k].astype(np.float64), float(prior))
        for k, prior in enumerate(prior_precisions)
    ]


def prior_grid(differences: Any) -> FloatArray:
    """Scale the grid of prior precisions to the features.

    Parameters
    ----------
    differences : array-like of float32, shape (n, d)
        Features of the first response minus those of the second.

    Returns
    -------
    ndarray of float64, shape (11,)
        Rising precisions.

    Raises
    ------
    InvalidInputError
        If all differences are zero, so that there is nothing to learn from.
    """
    matrix = as_matrix("differences", differences)
    mean_square = float(np.mean(matrix.astype(np.float64) ** 2)) if matrix.size else 0.0
    if mean_square == 0.0:
        raise InvalidInputError(
            "all feature differences are zero: the paired responses look the same to this encoder; "
            "choose another encoder or pass prior_precision."
        )
    return np.asarray(PRIOR_GRID * mean_square)


def _posterior(
    matrix: FloatArray, observed: FloatArray, weights: FloatArray, start: FloatArray, prior: float
) -> LaplacePosterior:
    mean, factor = _newton_step(matrix, observed, weights, start, prior)
    score = matrix @ mean
    log_likelihood = weights @ (observed * score - np.logaddexp(0.0, score))
    log_prior = 0.5 * mean.size * np.log(prior) - 0.5 * prior * mean @ mean
    half_log_det = np.log(np.diag(factor)).sum()
    return LaplacePosterior(mean, factor, float(log_likelihood + log_prior - half_log_det))


def _newton_step(
    matrix: FloatArray, observed: FloatArray, weights: FloatArray, start: FloatArray, prior: float
) -> tuple[FloatArray, FloatArray]:
    # One step takes the single-precision optimum to double precision.
    probability = expit(matrix @ start)
    slope = matrix.T @ (weights * (probability - observed)) + prior * start
    curvature = weights * probability * (1.0 - probability)
    hessian = (matrix * curvature[:, None]).T @ matrix + prior * np.eye(start.size)
    factor = cholesky(hessian, lower=True)
    return start - cho_solve((factor, True), slope), factor
