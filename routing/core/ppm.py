"""Performance-prediction models (PPM): predict reward-model performance from a mix."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Final, Literal, Protocol, Self, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from routing.core.arrays import (
    Estimate,
    FloatArray,
    IntArray,
    RoutingInputError,
    as_mask,
    as_matrix,
    as_vector,
)

Form = Literal["linear", "quadratic_b", "low_rank"]
_PENALTIES: Final = np.logspace(-4, 6, 61)
_N_FACTORS: Final = 3


class Ppm(Protocol):
    """Say what every performance-prediction model offers to cross-validation and policies."""

    def fit(self, shares: npt.ArrayLike, b: npt.ArrayLike, performance: npt.ArrayLike) -> Self:
        """Learn from mixes and their measured performance.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares.
        performance : array-like of shape (n_mixes,)
            Measured performance.

        Returns
        -------
        Ppm
            Itself.
        """

    def predict(self, shares: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
        """Return the predicted performance of mixes.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares.

        Returns
        -------
        ndarray of float64, shape (n_mixes,)
            Performance in the unit of `fit`.
        """


class RidgePpm:
    """Bayesian ridge regression of performance on tag shares and the human share.

    Parameters
    ----------
    form : {"quadratic_b", "linear", "low_rank"}
        Columns: tag shares and human share b; plus b squared; plus all products of the three
        leading factors of the tag shares.

    Attributes
    ----------
    coef_ : ndarray of float64, shape (F,)
        Change of performance per unit of each column.
    cov_ : ndarray of float64, shape (F, F)
        Posterior covariance of `coef_`.
    intercept_ : float
        Predicted performance when the judge labels everything.
    penalty_ : float
        Ridge penalty on standardised columns, of least leave-one-out error.
    loo_rmse_ : float
        Leave-one-out error at that penalty, in the unit of performance.
    noise_sd_ : float
        Residual standard deviation.

    Notes
    -----
    Shares, not counts: a count depends on the size of the pool, a share does not. Standardised
    columns make one penalty fit all, and rare tags with little variation are shrunk most.

    References
    ----------
    Miranda et al., ACL 2025, section 2.2 (the task; they fit unregularised least squares).
    Hoerl and Kennard, Technometrics 12, 1970 (ridge). Allen, Technometrics 16, 1974 (PRESS).
    """

    coef_: FloatArray
    cov_: FloatArray
    intercept_: float
    penalty_: float
    loo_rmse_: float
    noise_sd_: float

    def __init__(self, form: Form = "quadratic_b") -> None:
        self.form = form

    def fit(
        self,
        shares: npt.ArrayLike,
        b: npt.ArrayLike,
        performance: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit by ridge regression with the penalty of least leave-one-out error.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Share of each tag that humans label, in [0, 1].
        b : array-like of shape (n_mixes,)
            Share of all comparisons that humans label, in [0, 1].
        performance : array-like of shape (n_mixes,)
            Performance of the reward model trained on each mix, such as accuracy in [0, 1].
        sample_weight : array-like of shape (n_mixes,), optional
            Positive weights, such as one over the variance of each performance.

        Returns
        -------
        RidgePpm
            Itself.

        Raises
        ------
        RoutingInputError
            If the form is unknown, shapes disagree, or there are fewer than four mixes.
        """
        if self.form not in get_args(Form):
            raise RoutingInputError(f"form is {self.form!r}; choose from {get_args(Form)}.")
        share, human, target = checked_mixes(shares, b, performance)
        weight = as_vector(
            "sample_weight",
            np.ones(len(target)) if sample_weight is None else sample_weight,
            len(target),
        )
        if (weight <= 0).any():
            raise RoutingInputError("sample_weight must be positive; leave mixes out instead.")
        self.n_tags_ = share.shape[1]
        if self.form == "low_rank":
            self.factors_ = _leading_factors(share)
        self._solve(self.design(share, human), target, weight / weight.mean())
        return self

    def _solve(self, design: FloatArray, target: FloatArray, weight: FloatArray) -> None:
        n = len(target)
        centre = weight @ design / n
        spread = np.sqrt(weight @ (design - centre) ** 2 / n)
        scale = np.where(spread > 1e-12, spread, np.inf)
        root = np.sqrt(weight)
        standard = (design - centre) / scale * root[:, None]
        offset = float(weight @ target / n)
        left, singular, right = np.linalg.svd(standard, full_matrices=False)
        residual = (target - offset) * root
        self.penalty_, self.loo_rmse_ = _best_penalty(left, singular, residual, root)
        shrink = singular**2 / (singular**2 + self.penalty_)
        projected = left.T @ residual
        beta = right.T @ (singular / (singular**2 + self.penalty_) * projected)
        left_over = residual - left @ (shrink * projected)
        freedom = max(n - 1.0 - float(shrink.sum()), 1.0)
        self.noise_sd_ = float(np.sqrt(left_over @ left_over / freedom))
        precision = standard.T @ standard + self.penalty_ * np.eye(design.shape[1])
        posterior = self.noise_sd_**2 * np.linalg.inv(precision)
        self.coef_ = beta / scale
        self.cov_ = posterior / np.outer(scale, scale)
        self.intercept_ = offset - float(centre @ self.coef_)
        self.centre_, self.n_mixes_ = centre, n

    def design(self, shares: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
        """Return the columns that `coef_` multiplies.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares.

        Returns
        -------
        ndarray of float64, shape (n_mixes, F)
            All zero for a mix that is labelled by the judge alone.

        Raises
        ------
        RoutingInputError
            If shapes disagree with each other or with `fit`.
        """
        share = as_matrix("shares", shares, (None, self.n_tags_))
        human = as_vector("b", b, len(share))
        columns = [share, human[:, None]]
        if self.form != "linear":
            columns.append(human[:, None] ** 2)
        if self.form == "low_rank":
            score = share @ self.factors_
            pairs = combinations_with_replacement(range(score.shape[1]), 2)
            columns += [(score[:, j] * score[:, k])[:, None] for j, k in pairs]
        return np.hstack(columns)

    def predict(self, shares: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
        """Return the predicted performance of mixes.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares.

        Returns
        -------
        ndarray of float64, shape (n_mixes,)
            Performance in the unit of `fit`.
        """
        return self.intercept_ + self.design(shares, b) @ self.coef_

    def predict_interval(
        self,
        shares: npt.ArrayLike,
        b: npt.ArrayLike,
        *,
        level: float = 0.95,
        with_noise: bool = False,
    ) -> Estimate:
        """Return predicted performance with an interval.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares.
        level : float in (0, 1)
            Probability the interval holds.
        with_noise : bool, default False
            Cover one new measurement instead of the expected performance.

        Returns
        -------
        Estimate
            Mean, low and high, each of shape (n_mixes,).
        """
        design = self.design(shares, b)
        offset = design - self.centre_
        variance = np.einsum("ij,jk,ik->i", offset, self.cov_, offset, optimize=True)
        variance += self.noise_sd_**2 * (1.0 / self.n_mixes_ + float(with_noise))
        return normal_estimate(self.intercept_ + design @ self.coef_, np.sqrt(variance), level)


def normal_estimate(mean: FloatArray, sd: FloatArray, level: float) -> Estimate:
    """Return a normal interval around each mean.

    Parameters
    ----------
    mean, sd : ndarray of float64, shape (n,)
        Means and standard deviations in one unit.
    level : float in (0, 1)
        Probability the interval holds.

    Returns
    -------
    Estimate
        Mean, low and high.

    Raises
    ------
    RoutingInputError
        If `level` is outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise RoutingInputError(f"level is {level}; pass a probability such as 0.95.")
    half = float(ndtri(0.5 + level / 2.0)) * sd
    return Estimate(mean, mean - half, mean + half)


def instance_gains(ppm: RidgePpm, tags: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Predict what sending one comparison alone to a human would gain.

    Parameters
    ----------
    ppm : RidgePpm
        Fitted model.
    tags : array-like of bool, shape (n, T)
        Tags of the whole pool, in the tag order of the fit.
    level : float in (0, 1)
        Probability the intervals hold.

    Returns
    -------
    Estimate
        Gain over an all-judge pool, in the unit of performance, each of shape (n,).

    References
    ----------
    Miranda et al., ACL 2025, section 2.3 (gain of one instance from the all-LLM mix).
    """
    design = _single_designs(ppm, as_mask("tags", tags))
    variance = np.einsum("ij,jk,ik->i", design, ppm.cov_, design, optimize=True)
    return normal_estimate(design @ ppm.coef_, np.sqrt(variance), level)


def _single_designs(ppm: RidgePpm, tags: FloatArray | npt.NDArray[np.bool_]) -> FloatArray:
    totals = np.maximum(tags.sum(axis=0), 1)
    n = len(tags)
    return ppm.design(tags / totals, np.full(n, 1.0 / max(n, 1)))


def greedy_gains(
    ppm: RidgePpm, tags: npt.ArrayLike, n_human: int, *, refresh: int = 1
) -> tuple[IntArray, FloatArray]:
    """Choose comparisons one after the other, each by its gain given those before it.

    Parameters
    ----------
    ppm : RidgePpm
        Fitted model of any form; only ``low_rank`` makes the order depend on the state.
    tags : array-like of bool, shape (n, T)
        Tags of the whole pool.
    n_human : int
        How many comparisons to choose, between 0 and n.
    refresh : int, default 1
        Comparisons taken before gains are recomputed; 1 is the exact greedy choice.

    Returns
    -------
    order : ndarray of int64, shape (n_human,)
        Comparisons in the order chosen.
    gains : ndarray of float64, shape (n_human,)
        Gain of each at the moment its gain was computed, in the unit of performance.

    Raises
    ------
    RoutingInputError
        If `n_human` or `refresh` is out of range.

    Notes
    -----
    Ties go to the lower index. Cost O(n_human / refresh * n * T).
    """
    matrix = as_mask("tags", tags)
    n = len(matrix)
    if not 0 <= n_human <= n or refresh < 1:
        raise RoutingInputError(f"n_human is {n_human}, refresh {refresh}; n_human <= {n}.")
    step = matrix / np.maximum(matrix.sum(axis=0), 1)
    state, human = np.zeros(matrix.shape[1]), 0.0
    order: list[int] = []
    gains: list[float] = []
    open_ = np.ones(n, dtype=np.bool_)
    while len(order) < n_human:
        before = ppm.predict(state[None], np.array([human]))[0]
        gain = ppm.predict(state + step, np.full(n, human + 1.0 / n)) - before
        ranked = np.argsort(np.where(open_, -gain, np.inf), kind="stable")
        taken = ranked[: min(refresh, n_human - len(order))]
        open_[taken] = False
        order += taken.tolist()
        gains += gain[taken].tolist()
        state, human = state + step[taken].sum(axis=0), human + len(taken) / n
    return np.asarray(order, dtype=np.int64), np.asarray(gains, dtype=np.float64)


def checked_mixes(
    shares: npt.ArrayLike, b: npt.ArrayLike, performance: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mixes and their performance as checked arrays.

    Parameters
    ----------
    shares : array-like of shape (n_mixes, T)
        Tag shares.
    b : array-like of shape (n_mixes,)
        Human shares.
    performance : array-like of shape (n_mixes,)
        Measured performance.

    Returns
    -------
    shares, b, performance : ndarray of float64
        The same numbers.

    Raises
    ------
    RoutingInputError
        If shapes disagree, a number is not finite, or there are fewer than four mixes.
    """
    target = as_vector("performance", performance)
    if len(target) < 4:
        raise RoutingInputError(f"{len(target)} mixes are too few; pass at least four.")
    share = as_matrix("shares", shares, (len(target), None))
    return share, as_vector("b", b, len(target)), target


def _leading_factors(shares: FloatArray) -> FloatArray:
    """Return the leading directions of the shares, signed so that a rerun gives the same."""
    _, _, right = np.linalg.svd(shares - shares.mean(axis=0), full_matrices=False)
    factors = right[:_N_FACTORS].T
    peak = np.abs(factors).argmax(axis=0)
    return factors * np.where(factors[peak, range(factors.shape[1])] < 0, -1.0, 1.0)


def _best_penalty(
    left: FloatArray, singular: FloatArray, residual: FloatArray, root: FloatArray
) -> tuple[float, float]:
    """Return the penalty of least leave-one-out error, from the hat-matrix shortcut."""
    n = len(residual)
    shrink = singular**2 / (singular**2 + _PENALTIES[:, None])
    fitted = (shrink * (left.T @ residual)) @ left.T
    # The weighted mean is refitted too: its own leverage is weight / n.
    leverage = shrink @ (left**2).T + root**2 / n
    error = (residual - fitted) / np.maximum(1.0 - leverage, 1e-9)
    rmse = np.sqrt((error**2).mean(axis=1))
    best = int(rmse.argmin())
    return float(_PENALTIES[best]), float(rmse[best])
