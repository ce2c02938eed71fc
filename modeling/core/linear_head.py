"""One linear reward head under any of the losses, to compare the losses on one split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy.optimize import minimize

from modeling.core.losses import (
    Loss,
    bradley_terry_loss,
    davidson_loss,
    margin_loss,
    noise_aware_loss,
    rao_kupper_loss,
)
from modeling.core.types import (
    ConvergenceError,
    FloatArray,
    InvalidInputError,
    as_matrix,
    as_weights,
    require_length,
)

LossName = Literal["bradley_terry", "margin", "noise_aware", "davidson", "rao_kupper"]

START_TIE_PARAMETER = 0.0
"""Both tie models start at a parameter of 1: Davidson's nu, Rao and Kupper's threshold."""


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A fitted head.

    Attributes
    ----------
    weights_ : ndarray of float64, shape (d,)
        Reward is `features @ weights_`.
    tie_parameter_ : float or None
        Log of Davidson's nu or of Rao and Kupper's threshold; None for losses without ties.
    loss_ : float
        Weighted mean loss in nats, without the prior.
    n_iter_ : int
        Iterations made.
    """

    weights_: FloatArray
    tie_parameter_: float | None
    loss_: float
    n_iter_: int


def fit_linear_head(
    differences: Any,
    shares: Any,
    weight: Any = None,
    *,
    loss: LossName = "bradley_terry",
    prior_precision: float,
    margin: Any = 0.0,
    flip_rate: Any = 0.0,
    max_iter: int = 1000,
) -> LinearHead:
    """Fit one head by minimising `sum_i w_i loss_i + prior / 2 |v|^2`.

    Parameters
    ----------
    differences : array-like of float32, shape (n, d)
        Features of the first response minus those of the second.
    shares : array-like of float, shape (n, 3)
        Label shares in the order first, tie, second. Losses without a tie read a tie as half a
        label for each side.
    weight : array-like of float, shape (n,), optional
        Non-negative weight of each pair; all ones when left out.
    loss : {"bradley_terry", "margin", "noise_aware", "davidson", "rao_kupper"}
        Which loss.
    prior_precision : float
        Positive precision of the Gaussian prior on the weights; the tie parameter has none.
    margin : float or array-like of float, shape (n,), default 0.0
        For "margin": the lead asked of the preferred side.
    flip_rate : float or array-like of float, shape (n,), default 0.0
        For "noise_aware": the share of flipped labels.
    max_iter : int, default 1000
        Largest number of iterations.

    Returns
    -------
    LinearHead
        Weights, tie parameter and loss.

    Raises
    ------
    InvalidInputError
        If shapes disagree, the prior is not positive or the loss is unknown.
    ConvergenceError
        If the optimiser gives up.
    """
    matrix = as_matrix("differences", differences).astype(np.float64)
    share = np.asarray(shares, dtype=np.float64)
    require_length("shares", share, len(matrix))
    weights = np.ones(len(matrix)) if weight is None else as_weights("weight", weight)
    require_length("weight", weights, len(matrix))
    if prior_precision <= 0 or weights.sum() <= 0:
        raise InvalidInputError(
            f"prior_precision and total weight must be positive; got {prior_precision}, "
            f"{weights.sum()}."
        )
    pointwise = _pointwise(loss, share, margin, flip_rate)
    has_tie = loss in ("davidson", "rao_kupper")
    objective = _objective(matrix, weights, prior_precision, pointwise, has_tie)
    start = np.full(matrix.shape[1] + has_tie, START_TIE_PARAMETER)
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": max_iter, "gtol": 1e-8}
    )
    if not found.success:
        raise ConvergenceError(f"the {loss} head did not converge: {found.message}")
    heads = found.x[: matrix.shape[1]]
    tie = float(found.x[-1]) if has_tie else None
    value = pointwise(matrix @ heads, tie or 0.0).value
    return LinearHead(heads, tie, float(weights @ value / weights.sum()), int(found.nit))


def _pointwise(
    loss: LossName, shares: FloatArray, margin: Any, flip_rate: Any
) -> Callable[[FloatArray, float], Loss]:
    target = shares[:, 0] + 0.5 * shares[:, 1]
    lead = np.broadcast_to(np.asarray(margin, dtype=np.float64), target.shape)
    choices: dict[str, Callable[[FloatArray, float], Loss]] = {
        "bradley_terry": lambda z, tie: bradley_terry_loss(z, target),
        "margin": lambda z, tie: margin_loss(z, target, lead),
        "noise_aware": lambda z, tie: noise_aware_loss(z, target, flip_rate),
        "davidson": lambda z, tie: davidson_loss(z, shares, tie),
        "rao_kupper": lambda z, tie: rao_kupper_loss(z, shares, tie),
    }
    if loss not in choices:
        raise InvalidInputError(f"loss must be one of {get_args(LossName)}; got {loss!r}.")
    return choices[loss]


def _objective(
    matrix: FloatArray,
    weights: FloatArray,
    prior_precision: float,
    pointwise: Callable[[FloatArray, float], Loss],
    has_tie: bool,
) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    n_features, total = matrix.shape[1], float(weights.sum())

    def objective(parameters: FloatArray) -> tuple[float, FloatArray]:
        heads = parameters[:n_features]
        losses = pointwise(matrix @ heads, float(parameters[-1]) if has_tie else 0.0)
        value = weights @ losses.value + 0.5 * prior_precision * heads @ heads
        slope = matrix.T @ (weights * losses.gradient) + prior_precision * heads
        if losses.tie_gradient is not None:
            slope = np.append(slope, weights @ losses.tie_gradient)
        # Divided by the total weight, or the tolerance would tighten with the number of pairs.
        return float(value) / total, slope / total

    return objective
