"""Does the PPM know anything? Cross-validation, noise floor and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from routing.core.arrays import (
    FloatArray,
    IntArray,
    Interval,
    RoutingInputError,
    as_matrix,
    as_vector,
)
from routing.core.ppm import Ppm, RidgePpm

_N_RESAMPLES = 1000


@dataclass(frozen=True)
class PpmValidation:
    """Hold the result of cross-validating a PPM.

    Attributes
    ----------
    spearman : Interval
        Rank correlation of held-out predictions and performance, with a 95 % interval.
    rmse_pp : float
        Root mean squared error of held-out predictions, in percentage points.
    spread_pp : float
        Standard deviation of performance over mixes, in percentage points.
    predicted : ndarray of float64, shape (n_mixes,)
        Held-out prediction of each mix.
    n_mixes : int
        Number of mixes.
    """

    spearman: Interval
    rmse_pp: float
    spread_pp: float
    predicted: FloatArray
    n_mixes: int

    @property
    def explained(self) -> float:
        """Share of the variance that held-out predictions explain.

        Returns
        -------
        float
            In [0, 1]; how much of a predicted advantage to believe (`frontier`).
        """
        if self.spread_pp <= 0:
            return 0.0
        return max(0.0, 1.0 - (self.rmse_pp / self.spread_pp) ** 2)


@dataclass(frozen=True)
class SignalVerdict:
    """Hold whether a PPM may drive routing, and the reason in one sentence."""

    has_signal: bool
    reason: str


def cross_validate(
    shares: npt.ArrayLike,
    b: npt.ArrayLike,
    performance: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    n_folds: int = 10,
    make_ppm: Callable[[], Ppm] = RidgePpm,
) -> PpmValidation:
    """Predict every mix from the others and compare with what was measured.

    Parameters
    ----------
    shares : array-like of shape (n_mixes, T)
        Tag shares.
    b : array-like of shape (n_mixes,)
        Human shares.
    performance : array-like of shape (n_mixes,)
        Performance as a share, such as accuracy in [0, 1].
    rng : numpy.random.Generator
        Draws folds and bootstrap resamples of mixes.
    n_folds : int, default 10
        Number of folds; fewer when there are fewer mixes.
    make_ppm : callable
        Returns an unfitted PPM.

    Returns
    -------
    PpmValidation
        Held-out rank correlation, error and spread.

    Raises
    ------
    RoutingInputError
        If there are fewer than eight mixes or fewer than two folds.
    """
    target = as_vector("performance", performance)
    if len(target) < 8 or n_folds < 2:
        raise RoutingInputError(
            f"{len(target)} mixes and {n_folds} folds; pass at least eight mixes and two folds."
        )
    share = as_matrix("shares", shares, (len(target), None))
    human = as_vector("b", b, len(target))
    predicted = np.empty(len(target))
    for fold in np.array_split(rng.permutation(len(target)), min(n_folds, len(target))):
        rest = np.setdiff1d(np.arange(len(target)), fold)
        ppm = make_ppm().fit(share[rest], human[rest], target[rest])
        predicted[fold] = ppm.predict(share[fold], human[fold])
    return PpmValidation(
        spearman=_spearman_interval(predicted, target, rng),
        rmse_pp=100.0 * float(np.sqrt(((predicted - target) ** 2).mean())),
        spread_pp=100.0 * float(target.std(ddof=1)),
        predicted=predicted,
        n_mixes=len(target),
    )


def _spearman_interval(
    predicted: FloatArray, target: FloatArray, rng: np.random.Generator
) -> Interval:
    rows = rng.integers(len(target), size=(_N_RESAMPLES, len(target)))
    draws = _spearman(predicted[rows], target[rows])
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(_spearman(predicted[None], target[None])[0]), float(low), float(high))


def _spearman(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return one rank correlation per row; 0 where one side does not vary."""
    a, b = (rankdata(x, axis=1) for x in (first, second))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    product = (a * b).sum(axis=1)
    return np.asarray(np.divide(product, norm, out=np.zeros(len(a)), where=norm > 0))


def noise_floor(performance_replicates: npt.ArrayLike) -> float:
    """Return how much performance varies when the same mix is trained again.

    Parameters
    ----------
    performance_replicates : array-like of shape (n_mixes, n_replicates)
        Performance of the same mixes on resampled rows; at least two replicates.

    Returns
    -------
    float
        Standard deviation within a mix, pooled over mixes, in percentage points.

    Raises
    ------
    RoutingInputError
        If there are fewer than two replicates.
    """
    replicates = as_matrix("performance_replicates", performance_replicates)
    if replicates.shape[1] < 2:
        raise RoutingInputError("A noise floor needs at least two replicates of each mix.")
    return 100.0 * float(np.sqrt(replicates.var(axis=1, ddof=1).mean()))


def replicate_rows(n: int, n_replicates: int, rng: np.random.Generator) -> IntArray:
    """Draw bootstrap rows on which to train the same mix again.

    Parameters
    ----------
    n : int
        Number of comparisons.
    n_replicates : int
        Number of resamples.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (n_replicates, n)
        Row numbers drawn with replacement.
    """
    return rng.integers(n, size=(n_replicates, n))


def has_signal(validation: PpmValidation, noise_floor_pp: float | None = None) -> SignalVerdict:
    """Decide whether a PPM may drive routing.

    Parameters
    ----------
    validation : PpmValidation
        Result of `cross_validate`.
    noise_floor_pp : float, optional
        Result of `noise_floor`; not checked when None.

    Returns
    -------
    SignalVerdict
        No signal when the interval of the rank correlation reaches 0, the error is no smaller
        than the spread, or the spread lies within the noise floor.
    """
    obstacle = _obstacle(validation, noise_floor_pp)
    if obstacle is not None:
        return SignalVerdict(has_signal=False, reason=f"No signal: {obstacle}")
    reason = (
        f"Signal: rank correlation {validation.spearman.estimate:.2f}, error "
        f"{validation.rmse_pp:.2f} pp against a spread of {validation.spread_pp:.2f} pp."
    )
    return SignalVerdict(has_signal=True, reason=reason)


def _obstacle(v: PpmValidation, noise_floor_pp: float | None) -> str | None:
    if v.spearman.low <= 0.0:
        return (
            f"the rank correlation {v.spearman.estimate:.2f} has the interval "
            f"{v.spearman.low:.2f} to {v.spearman.high:.2f}, which includes 0."
        )
    if v.rmse_pp >= v.spread_pp:
        return (
            f"the error {v.rmse_pp:.2f} pp is no smaller than the spread {v.spread_pp:.2f} pp "
            "of the mixes."
        )
    if noise_floor_pp is not None and v.spread_pp <= noise_floor_pp:
        return (
            f"the spread {v.spread_pp:.2f} pp of the mixes lies within the noise floor "
            f"{noise_floor_pp:.2f} pp."
        )
    return None
