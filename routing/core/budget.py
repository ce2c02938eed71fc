"""Money: which comparisons a budget buys, the frontier, and the next dollars."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from routing.core.arrays import (
    BoolArray,
    Estimate,
    FloatArray,
    IntArray,
    Interval,
    RoutingInputError,
    as_mask,
    as_vector,
)
from routing.core.ppm import RidgePpm, normal_estimate

# Sums of prices such as 0.1 carry rounding errors; a budget is met to within this share.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Budget:
    """Say how much may go to humans, by exactly one of three measures.

    Attributes
    ----------
    usd : float, optional
        Extra dollars over labelling everything by the judge.
    n_human : int, optional
        Number of comparisons.
    human_share : float, optional
        Share of the comparisons, in [0, 1].
    """

    usd: float | None = None
    n_human: int | None = None
    human_share: float | None = None

    def __post_init__(self) -> None:
        """Check that exactly one measure is given and in range."""
        given = [v for v in (self.usd, self.n_human, self.human_share) if v is not None]
        if len(given) != 1:
            raise RoutingInputError("A budget takes exactly one of usd, n_human, human_share.")
        if not given[0] >= 0:
            raise RoutingInputError(f"A budget cannot be {given[0]}; pass 0 or more.")
        if self.human_share is not None and self.human_share > 1:
            raise RoutingInputError(
                f"human_share is {self.human_share}; pass a share in [0, 1], or n_human."
            )

    def count(self, n_comparisons: int) -> int | None:
        """Return how many comparisons the budget buys.

        Parameters
        ----------
        n_comparisons : int
            Size of the pool.

        Returns
        -------
        int or None
            A count rounded down, at most the pool; None for a budget in dollars.
        """
        if self.human_share is not None:
            return int(self.human_share * n_comparisons + _ROUNDING)
        return None if self.n_human is None else min(self.n_human, n_comparisons)


def knapsack_by_ratio(
    utility: npt.ArrayLike,
    extra_cost_usd: npt.ArrayLike,
    budget_usd: float,
    *,
    tie_break: npt.ArrayLike | None = None,
) -> BoolArray:
    """Buy comparisons by utility per dollar without going over the budget.

    Parameters
    ----------
    utility : array-like of shape (n,)
        Utility of a human label; only positive ones are bought.
    extra_cost_usd : array-like of shape (n,)
        Price of the human label minus that of the judge's; a negative one counts as free.
    budget_usd : float
        Dollars to spend, 0 or more; ``inf`` buys everything of positive utility.
    tie_break : array-like of shape (n,), optional
        Lower goes first among equal ratios; the row number when None.

    Returns
    -------
    ndarray of bool, shape (n,)
        What is bought.

    Raises
    ------
    RoutingInputError
        If shapes disagree or the budget is negative.

    Notes
    -----
    Greedy in the order of the fractional knapsack; what does not fit is skipped. For additive
    utilities the loss against the optimum is at most the largest single utility.

    References
    ----------
    Dantzig, "Discrete-variable extremum problems", Operations Research 5, 1957.
    """
    value = as_vector("utility", utility)
    cost = np.maximum(as_vector("extra_cost_usd", extra_cost_usd, len(value)), 0.0)
    if not budget_usd >= 0:
        raise RoutingInputError(f"budget_usd is {budget_usd}; pass 0 or more dollars.")
    order = ratio_order(value, cost, tie_break)
    order = order[value[order] > 0]
    bought = np.zeros(len(value), dtype=np.bool_)
    bought[order[affordable(cost[order], budget_usd)]] = True
    return bought


def ratio_order(
    utility: FloatArray, cost_usd: FloatArray, tie_break: npt.ArrayLike | None = None
) -> IntArray:
    """Return row numbers by falling utility per dollar, free ones first among the useful.

    Parameters
    ----------
    utility, cost_usd : ndarray of float64, shape (n,)
        Utilities and non-negative prices.
    tie_break : array-like of shape (n,), optional
        Lower goes first among equals; the row number when None.

    Returns
    -------
    ndarray of int64, shape (n,)
        Row numbers.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = np.where(cost_usd > 0, utility / cost_usd, np.copysign(np.inf, utility))
    ratio = np.where(utility == 0, 0.0, ratio)
    ties = np.arange(len(utility)) if tie_break is None else np.asarray(tie_break)
    return np.lexsort((ties, -utility, -ratio))


def affordable(cost_usd: FloatArray, budget_usd: float) -> BoolArray:
    """Mark what a budget pays for when prices are met in the given order.

    Parameters
    ----------
    cost_usd : ndarray of float64, shape (n,)
        Non-negative prices in the order of purchase.
    budget_usd : float
        Dollars to spend.

    Returns
    -------
    ndarray of bool, shape (n,)
        What is bought; an item that does not fit is skipped and later ones are tried.
    """
    bought = np.zeros(len(cost_usd), dtype=np.bool_)
    left = budget_usd * (1.0 + _ROUNDING)
    cheapest_later = np.minimum.accumulate(cost_usd[::-1])[::-1]
    for row, cost in enumerate(cost_usd):
        if cheapest_later[row] > left:
            break
        if cost <= left:
            bought[row] = True
            left -= cost
    return bought


@dataclass(frozen=True)
class Frontier:
    """Hold the predicted quality-versus-budget curve, p points from nothing to everything.

    Attributes
    ----------
    human_share, spend_usd : ndarray of float64, shape (p,)
        Share of comparisons at humans and extra dollars, both non-decreasing.
    performance, low, high : ndarray of float64, shape (p,)
        Predicted performance along the policy, shrunken, with its interval.
    random_performance : ndarray of float64, shape (p,)
        Predicted performance of a random choice of the same size.
    design : ndarray of float64, shape (p, F)
        Columns of the PPM behind each point; differences of rows give intervals of gains.
    coef : ndarray of float64, shape (F,)
        Coefficients of the PPM.
    cov : ndarray of float64, shape (F, F)
        Their covariance.
    """

    human_share: FloatArray
    spend_usd: FloatArray
    performance: FloatArray
    low: FloatArray
    high: FloatArray
    random_performance: FloatArray
    design: FloatArray
    coef: FloatArray
    cov: FloatArray


def frontier(
    ppm: RidgePpm,
    tags: npt.ArrayLike,
    utility: npt.ArrayLike,
    extra_cost_usd: npt.ArrayLike,
    *,
    n_points: int = 21,
    shrinkage: float = 1.0,
    level: float = 0.95,
) -> Frontier:
    """Predict performance as a policy spends more and more.

    Parameters
    ----------
    ppm : RidgePpm
        Fitted model.
    tags : array-like of bool, shape (n, T)
        Tags of the pool.
    utility : array-like of shape (n,)
        Utilities of the policy.
    extra_cost_usd : array-like of shape (n,)
        Price of the human label minus that of the judge's; a negative one counts as free.
    n_points : int, default 21
        Number of budgets, equally spaced from 0 to the price of everything.
    shrinkage : float in [0, 1]
        Part of the predicted advantage over a random choice that is believed: the best of many
        predictions is optimistic (the winner's curse). Pass `PpmValidation.explained`.
    level : float in (0, 1)
        Probability the intervals hold.

    Returns
    -------
    Frontier
        The curve, in the unit of performance of the PPM.

    Raises
    ------
    RoutingInputError
        If shapes disagree, there are no comparisons, or a parameter is out of range.
    """
    matrix = as_mask("tags", tags)
    n = len(matrix)
    value = as_vector("utility", utility, n)
    cost = np.maximum(as_vector("extra_cost_usd", extra_cost_usd, n), 0.0)
    if not n or n_points < 2 or not 0.0 <= shrinkage <= 1.0:
        raise RoutingInputError(
            f"{n} comparisons, {n_points} points, shrinkage {shrinkage}; pass at least one "
            "comparison, two points and a shrinkage in [0, 1]."
        )
    order = ratio_order(value, cost)
    sizes, spend = _prefixes(cost[order], n_points)
    share = sizes / n
    routed = ppm.design(_prefix_shares(matrix[order], sizes), share)
    random = ppm.design(np.repeat(share[:, None], matrix.shape[1], axis=1), share)
    design = shrinkage * routed + (1.0 - shrinkage) * random
    curve = _estimate(ppm, design, level)
    return Frontier(
        share,
        spend,
        curve.mean,
        curve.low,
        curve.high,
        ppm.intercept_ + random @ ppm.coef_,
        design,
        ppm.coef_,
        ppm.cov_,
    )


def _prefixes(cost: FloatArray, n_points: int) -> tuple[IntArray, FloatArray]:
    """Return how many of the ordered comparisons each budget buys, and what they cost."""
    total = np.concatenate([[0.0], np.cumsum(cost)])
    if total[-1] == 0:
        sizes = np.linspace(0, len(cost), n_points).astype(np.int64)
        return sizes, np.zeros(n_points)
    budgets = np.linspace(0.0, total[-1], n_points)
    sizes = np.searchsorted(total, budgets * (1.0 + _ROUNDING), side="right") - 1
    return sizes, total[sizes]


def _prefix_shares(tags: BoolArray, sizes: IntArray) -> FloatArray:
    edges = np.concatenate([[0], sizes])
    parts = [tags[a:b].sum(axis=0) for a, b in pairwise(edges)]
    counts = np.cumsum(parts, axis=0)
    return np.asarray(counts / np.maximum(tags.sum(axis=0), 1), dtype=np.float64)


def _estimate(ppm: RidgePpm, design: FloatArray, level: float) -> Estimate:
    offset = design - ppm.centre_
    variance = np.einsum("ij,jk,ik->i", offset, ppm.cov_, offset, optimize=True)
    variance += ppm.noise_sd_**2 / ppm.n_mixes_
    return normal_estimate(ppm.intercept_ + design @ ppm.coef_, np.sqrt(variance), level)


def next_dollars(
    curve: Frontier, usd: float, *, spent_usd: float = 0.0, level: float = 0.95
) -> Interval:
    """Predict what the next dollars buy.

    Parameters
    ----------
    curve : Frontier
        Result of `frontier`.
    usd : float
        Dollars to spend next, 0 or more.
    spent_usd : float, default 0
        Dollars already spent along the curve.
    level : float in (0, 1)
        Probability the interval holds.

    Returns
    -------
    Interval
        Change of performance, in its unit. Past the end of the curve nothing more is bought.

    Raises
    ------
    RoutingInputError
        If an amount is negative.

    Notes
    -----
    The interval is that of the difference, which is narrower than two pointwise intervals
    suggest, because both ends share the coefficients.
    """
    if usd < 0 or spent_usd < 0:
        raise RoutingInputError(f"usd is {usd} and spent_usd {spent_usd}; pass 0 or more.")
    step = _design_at(curve, spent_usd + usd) - _design_at(curve, spent_usd)
    sd = np.sqrt(max(float(step @ curve.cov @ step), 0.0))
    gain = normal_estimate(np.array([step @ curve.coef]), np.array([sd]), level)
    return Interval(float(gain.mean[0]), float(gain.low[0]), float(gain.high[0]))


def _design_at(curve: Frontier, usd: float) -> FloatArray:
    spend, last = np.unique(curve.spend_usd[::-1], return_index=True)
    rows = curve.design[::-1][last]
    return np.array([np.interp(usd, spend, column) for column in rows.T])
