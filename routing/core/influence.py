"""Closed-form influence: what flipping one label does to a smooth performance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from routing.core.arrays import FloatArray, RoutingInputError, as_matrix, as_vector


@dataclass(frozen=True)
class TrustedSet:
    """Hold the trusted comparisons that drive routing; never report quality on them.

    Attributes
    ----------
    differences : ndarray of float64, shape (m, d)
        Features of the first response minus those of the second.
    label : ndarray of float64, shape (m,)
        +1 where the first is preferred, -1 where the second is, 0 for a tie.
    category : ndarray of int, shape (m,)
        Category of each comparison; performance is the plain mean over categories.
    """

    differences: npt.ArrayLike
    label: npt.ArrayLike
    category: npt.ArrayLike


def least_squares_weights(
    differences: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    prior_precision: float,
    curvature: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return the head fitted by regularised least squares on signed labels.

    Parameters
    ----------
    differences : array-like of shape (n, d)
        Features of the first response minus those of the second.
    labels : array-like of shape (n,) or (n, K)
        Signed labels in [-1, 1], one column per head.
    prior_precision : float
        Ridge penalty added to the mean Gram matrix; positive.
    curvature : array-like of shape (n,), optional
        Weight of each comparison in the Gram matrix; 1 when None. The p (1 - p) of a
        Bradley-Terry head turns `label_influence` into that head's own.

    Returns
    -------
    ndarray of float64, shape (d,) or (d, K)
        Weights of the heads.

    Raises
    ------
    RoutingInputError
        If shapes disagree or the penalty is not positive.
    """
    phi = as_matrix("differences", differences)
    target = np.asarray(labels, dtype=np.float64)
    if len(target) != len(phi):
        raise RoutingInputError(f"{len(target)} labels for {len(phi)} comparisons.")
    return _solve_gram(phi, prior_precision, curvature, phi.T @ target / len(phi))


def _solve_gram(
    phi: FloatArray, prior_precision: float, curvature: npt.ArrayLike | None, side: FloatArray
) -> FloatArray:
    if not prior_precision > 0:
        raise RoutingInputError(f"prior_precision is {prior_precision}; pass a positive number.")
    weighted = phi
    if curvature is not None:
        weighted = phi * as_vector("curvature", curvature, len(phi))[:, None]
    gram = weighted.T @ phi / len(phi) + prior_precision * np.eye(phi.shape[1])
    return np.asarray(cho_solve(cho_factor(gram), side))


def smooth_performance(
    weights: npt.ArrayLike, trusted: TrustedSet, *, temperature: float
) -> tuple[float, FloatArray]:
    """Return a smooth accuracy of a head and its gradient in the weights.

    Parameters
    ----------
    weights : array-like of shape (d,)
        Head.
    trusted : TrustedSet
        Comparisons to be right on.
    temperature : float
        Width of the step in units of the margin; towards 0 it becomes plain accuracy.

    Returns
    -------
    performance : float
        Mean over categories of the mean of sigmoid(label * margin / temperature).
    gradient : ndarray of float64, shape (d,)
        Its derivative in the weights.

    Raises
    ------
    RoutingInputError
        If shapes disagree or the temperature is not positive.
    """
    if not temperature > 0:
        raise RoutingInputError(f"temperature is {temperature}; pass a positive number.")
    head = as_vector("weights", weights)
    phi = as_matrix("trusted.differences", trusted.differences, (None, len(head)))
    label = as_vector("trusted.label", trusted.label, len(phi))
    codes, row, size = np.unique(
        np.asarray(trusted.category), return_inverse=True, return_counts=True
    )
    if len(row) != len(phi) or not len(phi):
        raise RoutingInputError(f"{len(row)} categories for {len(phi)} trusted comparisons.")
    share = 1.0 / (len(codes) * size[row])
    right = expit(label * (phi @ head) / temperature)
    slope = share * right * (1.0 - right) * label / temperature
    return float(share @ right), slope @ phi


def expected_label_change(
    judge_label: npt.ArrayLike,
    p_disagree: npt.ArrayLike,
    human_margin: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return the expected human label minus the judge's, before the human label is bought.

    Parameters
    ----------
    judge_label : array-like of shape (n,)
        Signed judge label in [-1, 1].
    p_disagree : array-like of shape (n,)
        Calibrated probability that a human prefers the other response; where the judge says
        tie, that a human prefers one.
    human_margin : array-like of shape (n,), optional
        Logit that a human prefers the first response, by a model of human labels; 0 when None.
        It tells which side a human would take where the judge takes none.

    Returns
    -------
    ndarray of float64, shape (n,)
        Minus two times label times probability; of ties the probability times 2 p - 1, where p
        is the probability of the first response.

    Raises
    ------
    RoutingInputError
        If shapes disagree or a value is out of range.
    """
    label = as_vector("judge_label", judge_label)
    chance = as_vector("p_disagree", p_disagree, len(label))
    if (np.abs(label) > 1).any() or (np.abs(chance - 0.5) > 0.5).any():
        raise RoutingInputError("judge_label must lie in [-1, 1] and p_disagree in [0, 1].")
    side = np.zeros(len(label))
    if human_margin is not None:
        side = np.tanh(as_vector("human_margin", human_margin, len(label)) / 2.0)
    return np.where(label == 0.0, chance * side, -2.0 * label * chance)


def label_influence(
    differences: npt.ArrayLike,
    judge_label: npt.ArrayLike,
    trusted: TrustedSet,
    label_change: npt.ArrayLike,
    *,
    prior_precision: float,
    temperature: float | None = None,
    curvature: npt.ArrayLike | None = None,
) -> FloatArray:
    """Predict the gain in performance of replacing each judge label by a human one.

    Parameters
    ----------
    differences : array-like of shape (n, d)
        Features of the first response minus those of the second.
    judge_label : array-like of shape (n,)
        Signed labels the head is trained on now, in [-1, 1].
    trusted : TrustedSet
        Trusted comparisons that performance is measured on.
    label_change : array-like of shape (n,)
        Human minus judge label, known or expected (`expected_label_change`).
    prior_precision : float
        Ridge penalty of the head; positive.
    temperature : float, optional
        Width of the smooth accuracy; the median absolute trusted margin when None.
    curvature : array-like of shape (n,), optional
        See `least_squares_weights`.

    Returns
    -------
    ndarray of float64, shape (n,)
        First-order change of performance per comparison, in its unit.

    Raises
    ------
    RoutingInputError
        If shapes disagree or a parameter is not positive.

    Notes
    -----
    The least-squares head is linear in the labels, so this is the exact derivative at the
    current labels; recompute it after every batch.

    References
    ----------
    Koh and Liang, "Understanding black-box predictions via influence functions", ICML 2017,
    eq. 2, for a label perturbation of a ridge head.
    """
    phi = as_matrix("differences", differences)
    change = as_vector("label_change", label_change, len(phi))
    head = least_squares_weights(
        phi,
        as_vector("judge_label", judge_label, len(phi)),
        prior_precision=prior_precision,
        curvature=curvature,
    )
    width = _median_margin(head, trusted) if temperature is None else temperature
    _, gradient = smooth_performance(head, trusted, temperature=width)
    direction = _solve_gram(phi, prior_precision, curvature, gradient)
    return np.asarray(change * (phi @ direction) / len(phi))


def _median_margin(head: FloatArray, trusted: TrustedSet) -> float:
    phi = as_matrix("trusted.differences", trusted.differences, (None, len(head)))
    return max(float(np.median(np.abs(phi @ head))), 1e-12)
