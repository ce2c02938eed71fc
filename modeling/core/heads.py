"""Hundreds of linear preference heads over one shared feature matrix, fitted as one program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from modeling.core.types import (
    BoolArray,
    Float32Array,
    FloatArray,
    InvalidInputError,
    as_matrix,
    as_vector,
)

if TYPE_CHECKING:
    from torch import Tensor

    from modeling.core.batched_lbfgs import BatchedFit, HeadProblem, PointwiseLoss

Method = Literal["bradley_terry", "least_squares"]

DOUBLE_PRECISION_LIMIT = 1_000_000
"""Targets n*K up to which the fit runs in float64; above, float32 halves time and memory."""
RANK_TOLERANCE = 1e-12
"""Directions whose variance is below this share of the largest are rounding of the features."""


@dataclass(frozen=True, eq=False)
class HeadsFit:
    """Fitted heads.

    Attributes
    ----------
    weights_ : ndarray of float32, shape (d, K)
        Reward is `features @ weights_`.
    n_iter_ : int
        Iterations made; 0 for the closed form.
    converged_ : bool
        Whether every head met the tolerance.
    log_loss_ : ndarray of float64, shape (K,)
        Weighted mean Bradley-Terry loss on the pairs fitted, in nats, without the prior.
    """

    weights_: Float32Array
    n_iter_: int
    converged_: bool
    log_loss_: FloatArray


def fit_heads(
    differences: Any,
    targets: Any,
    weights: Any = None,
    *,
    prior_precision: float | NDArray[Any],
    method: Method = "bradley_terry",
    max_iter: int = 100,
    tol: float = 1e-6,
    device: str = "cpu",
    on_iteration: Callable[[int, FloatArray], None] | None = None,
) -> HeadsFit:
    """Fit K linear reward heads that share one matrix of feature differences.

    The Bradley-Terry head minimises
    `sum_i w_i (softplus(z_i) - t_i z_i) / W + prior / (2 W) |v|^2` with z = differences @ v and W
    the sum of its weights; the least-squares head replaces the loss by `(z_i - (2 t_i - 1))^2 / 2`.
    The prior is a Gaussian with mean 0 and the given precision, as `C = 1 / prior` in
    scikit-learn.

    Parameters
    ----------
    differences : array-like of float32, shape (n, d)
        Features of the first response minus those of the second.
    targets : array-like of float, shape (n, K)
        P(first preferred) in [0, 1] by the labels of each head; a tie is 0.5.
    weights : array-like of float, shape (n, K), optional
        Non-negative weight of each pair in each head; 0 leaves it out. All ones when left out.
    prior_precision : float or ndarray of float, shape (K,)
        Positive precision of the Gaussian prior.
    method : {"bradley_terry", "least_squares"}, default "bradley_terry"
        Least squares without weights is one factorisation for all heads.
    max_iter : int, default 100
        Largest number of iterations.
    tol : float, default 1e-6
        Decrease of the mean objective (nats) that a further step may still promise.
    device : str, default "cpu"
        Torch device that does the work.
    on_iteration : callable, optional
        Called with the iteration number and the K objectives; may raise to cancel.

    Returns
    -------
    HeadsFit
        Weights, iterations, convergence and log loss.

    Raises
    ------
    InvalidInputError
        If shapes disagree, a target leaves [0, 1], a weight is negative, a head has no weight, or
        the prior is not positive.

    References
    ----------
    Böhning and Lindsay 1988 (the 1/4 Gram bound used as metric); Nocedal and Wright 2006, ch. 7.
    """
    from modeling.core.batched_lbfgs import minimise

    design, target = as_matrix("differences", differences), _targets(targets)
    weight = None if weights is None else _weights(weights, target)
    if len(design) != len(target):
        raise InvalidInputError(f"targets has {len(target)} rows; differences has {len(design)}.")
    prior = _prior(prior_precision, target.shape[1])
    if method not in get_args(Method):
        raise InvalidInputError(f"method must be one of {get_args(Method)}; got {method!r}.")
    problem, basis = _problem(design, target, weight, prior, method, device)
    if method == "least_squares" and weight is None:
        return _result(problem, basis, _closed_form(problem), method)
    report = None if on_iteration is None else _as_numpy(on_iteration)
    fit = minimise(problem, max_iter=max_iter, tol=tol, on_iteration=report)
    return _result(problem, basis, fit, method)


def _targets(targets: Any) -> NDArray[np.floating[Any]]:
    array = np.asarray(targets)
    if array.ndim != 2 or array.size == 0:
        raise InvalidInputError(f"targets must be a non-empty matrix (n, K); got {array.shape}.")
    if array.dtype.kind != "f":
        array = array.astype(np.float32)
    # NaN fails the comparison too, which is wanted.
    inside = (array >= 0) & (array <= 1)
    _require_all("targets", array, inside, "must lie in [0, 1]; leave a pair out by weight 0")
    return array


def _weights(weights: Any, target: NDArray[Any]) -> NDArray[np.floating[Any]]:
    array = np.asarray(weights)
    if array.shape != target.shape:
        raise InvalidInputError(f"weights has shape {array.shape}; targets has {target.shape}.")
    if array.dtype.kind != "f":
        array = array.astype(np.float32)
    allowed = (array >= 0) & np.isfinite(array)
    _require_all("weights", array, allowed, "must be finite and not negative")
    empty = np.flatnonzero(array.sum(axis=0) <= 0)
    if empty.size:
        raise InvalidInputError(
            f"head {int(empty[0])} has total weight 0; give it at least one comparison."
        )
    return array


def _require_all(name: str, array: NDArray[Any], allowed: BoolArray, rule: str) -> None:
    if not allowed.all():
        row, head = (int(axis[0]) for axis in np.nonzero(~allowed))
        raise InvalidInputError(f"{name} {rule}; row {row}, head {head} is {array[row, head]}.")


def _prior(prior_precision: float | NDArray[Any], n_heads: int) -> FloatArray:
    prior = as_vector("prior_precision", np.atleast_1d(np.asarray(prior_precision)))
    if prior.size not in (1, n_heads):
        raise InvalidInputError(f"prior_precision has {prior.size} values for {n_heads} heads.")
    if (prior <= 0).any():
        raise InvalidInputError(f"prior_precision must be positive; got {prior.min()}.")
    return np.broadcast_to(prior, (n_heads,)).copy()


def _problem(
    design: Float32Array,
    target: NDArray[np.floating[Any]],
    weight: NDArray[np.floating[Any]] | None,
    prior: FloatArray,
    method: Method,
    device: str,
) -> tuple[HeadProblem, Tensor]:
    import torch

    from modeling.core.batched_lbfgs import HeadProblem

    dtype = torch.float64 if target.size <= DOUBLE_PRECISION_LIMIT else torch.float32
    # Copied by torch.tensor: callers may pass read-only broadcasts.
    shared = torch.tensor(design, dtype=dtype, device=device)
    rotated, spectrum, basis = _principal_axes(shared)
    goal = torch.tensor(target, dtype=dtype, device=device)
    if weight is None:
        total = torch.full((target.shape[1],), float(len(target)), dtype=dtype, device=device)
        share = goal.new_full((len(target), 1), 1.0 / len(target))
    else:
        given = torch.tensor(weight, dtype=dtype, device=device)
        total = given.sum(0)
        share = given / total
    ridge = torch.tensor(prior, dtype=dtype, device=device) / total
    loss = _loss(method)
    return HeadProblem(rotated, spectrum, goal, share, ridge, loss), basis


def _principal_axes(shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotate onto the eigenvectors of the Gram matrix and drop directions without variance.

    An isotropic prior does not change under rotation, and its optimum has no part in a direction
    that no pair has, so nothing is lost and every metric becomes diagonal.
    """
    import torch

    # Float64: forming the Gram matrix squares the condition number of the features.
    wide = shared.shape[1] > shared.shape[0]
    exact = shared.double()
    gram = (exact @ exact.T if wide else exact.T @ exact) / max(len(shared), 1)
    values, vectors = torch.linalg.eigh(gram)
    kept = values > RANK_TOLERANCE * values.max().clamp_min(torch.finfo(torch.float32).tiny)
    values, vectors = values[kept], vectors[:, kept]
    if wide:
        vectors = exact.T @ vectors / (len(shared) * values).sqrt()
    basis = vectors.to(shared.dtype)
    return shared @ basis, values.to(shared.dtype), basis


def _loss(method: Method) -> PointwiseLoss:
    import torch
    from torch.nn.functional import softplus

    from modeling.core.batched_lbfgs import PointwiseLoss

    if method == "bradley_terry":
        return PointwiseLoss(
            value=lambda z, t: softplus(z) - t * z,
            slope=lambda z, t: torch.sigmoid(z) - t,
            curvature=0.25,
        )
    return PointwiseLoss(
        value=lambda z, t: 0.5 * (z - (2 * t - 1)).square(),
        slope=lambda z, t: z - (2 * t - 1),
        curvature=1.0,
    )


def _closed_form(problem: HeadProblem) -> BatchedFit:
    from modeling.core.batched_lbfgs import BatchedFit

    moments = problem.design.T @ (2 * problem.target - 1) / len(problem.design)
    heads = moments / problem.metric()
    return BatchedFit(heads, problem.design @ heads, n_iter=0, converged=True)


def _as_numpy(callback: Callable[[int, FloatArray], None]) -> Callable[[int, Tensor], None]:
    return lambda iteration, objective: callback(
        iteration, np.asarray(objective.double().cpu().numpy())
    )


def _result(problem: HeadProblem, basis: Tensor, fit: BatchedFit, method: Method) -> HeadsFit:
    # A least-squares head predicts 2p - 1 = tanh(logit / 2), so to first order its logit is 2 z.
    logit = fit.predictor if method == "bradley_terry" else 2 * fit.predictor
    losses = (problem.weight * _loss("bradley_terry").value(logit, problem.target)).sum(0)
    weights = (basis @ fit.heads).float().cpu().numpy()
    return HeadsFit(weights, fit.n_iter, fit.converged, losses.double().cpu().numpy())
