"""Performance of reward models: accuracy per category and its plain mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from routing.core.arrays import FloatArray, RoutingInputError, as_vector


def pairwise_performance(margins: npt.ArrayLike, target: npt.ArrayLike) -> FloatArray:
    """Return, per comparison and head, whether the preferred response has the higher reward.

    Parameters
    ----------
    margins : array-like of shape (m,) or (m, K)
        Reward of the first response minus that of the second, per head.
    target : array-like of shape (m,)
        1 where the first response is preferred, 0 where the second is; ties are refused.

    Returns
    -------
    ndarray of float64, shape (m,) or (m, K)
        1, 0, or 0.5 where the margin is exactly 0.

    Raises
    ------
    RoutingInputError
        If a target is neither 0 nor 1, or shapes disagree.
    """
    margin = np.asarray(margins, dtype=np.float64)
    side = as_vector("target", target, len(margin))
    if not np.isin(side, (0.0, 1.0)).all():
        raise RoutingInputError("target holds ties; leave tied comparisons out of an accuracy.")
    sign = np.where(side == 1.0, 1.0, -1.0)
    agreed = sign[:, None] * margin if margin.ndim == 2 else sign * margin
    return np.where(agreed == 0.0, 0.5, agreed > 0.0)


def category_mean(
    values: npt.ArrayLike, category: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Average within categories by weight, then over categories plainly.

    Parameters
    ----------
    values : array-like of shape (m,) or (m, K)
        One value per comparison or per subset, and head.
    category : array-like of int, shape (m,)
        Category of each row.
    weight : array-like of shape (m,), optional
        Weight of each row inside its category; equal when None.

    Returns
    -------
    overall : ndarray of float64, shape () or (K,)
        Plain mean of the category means.
    per_category : ndarray of float64, shape (C,) or (C, K)
        Weighted mean of each category, in increasing order of code.

    Raises
    ------
    RoutingInputError
        If lengths disagree or a category has no weight.

    References
    ----------
    Lambert et al., "RewardBench", arXiv 2403.13787, section 4 (mean of four categories).
    """
    value = np.asarray(values, dtype=np.float64)
    codes, row = np.unique(np.asarray(category), return_inverse=True)
    w = as_vector("weight", np.ones(len(value)) if weight is None else weight, len(value))
    if len(row) != len(value) or not len(value):
        raise RoutingInputError(f"{len(row)} categories for {len(value)} values; pass one each.")
    member = (row == np.arange(len(codes))[:, None]) * w
    total = member.sum(axis=1)
    if (total <= 0).any():
        raise RoutingInputError(f"Category {codes[total.argmin()]} has no weight; leave it out.")
    per_category = (member / total[:, None]) @ value
    return per_category.mean(axis=0), per_category
