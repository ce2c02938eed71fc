"""How good predicted preferences are, with intervals that respect the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from modeling.core.types import (
    FloatArray,
    IntArray,
    InvalidInputError,
    as_probabilities,
    as_vector,
    as_weights,
    require_length,
)

SMALLEST_PROBABILITY = 1e-12
"""Floor under a logarithm: one certain and wrong prediction costs 27.6 nats, not infinity."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes
    ----------
    estimate : float
        Value on the whole sample; NaN where it is undefined.
    low, high : float
        Ends of the interval.
    n : int
        Number of rows.
    n_groups : int
        Number of independent groups (prompts) behind the rows.
    """

    estimate: float
    low: float
    high: float
    n: int
    n_groups: int


def pairwise_accuracy(probability: Any, target: Any, weight: Any = None) -> float:
    """Share of decided pairs whose preferred side gets the higher probability.

    Parameters
    ----------
    probability : array-like of float, shape (n,)
        Predicted P(first preferred).
    target : array-like of float, shape (n,)
        Observed P(first preferred); pairs at 0.5 are ties and are left out.
    weight : array-like of float, shape (n,), optional
        Weight of each pair.

    Returns
    -------
    float
        Accuracy in [0, 1]; a probability of exactly 0.5 counts one half; NaN without decided pairs.
    """
    correct, decided = pairwise_correct(probability, target)
    weights = _weights(weight, correct.size)[decided]
    return weighted_mean(correct[decided], weights)


def pairwise_correct(probability: Any, target: Any) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Per-pair correctness, the value that `pairwise_accuracy` averages.

    Parameters
    ----------
    probability : array-like of float, shape (n,)
        Predicted P(first preferred).
    target : array-like of float, shape (n,)
        Observed P(first preferred).

    Returns
    -------
    correct : ndarray of float64, shape (n,)
        1 right, 0 wrong, 0.5 where the prediction is undecided.
    decided : ndarray of bool, shape (n,)
        False for ties in `target`.
    """
    predicted, observed = _pair(probability, target)
    agreement = np.sign(predicted - 0.5) * np.sign(observed - 0.5)
    return (agreement + 1.0) / 2.0, observed != 0.5


def log_losses(probability: Any, target: Any) -> FloatArray:
    """Cross-entropy of every pair in nats.

    Parameters
    ----------
    probability : array-like of float, shape (n,)
        Predicted P(first preferred), floored at 1e-12 on both sides.
    target : array-like of float, shape (n,)
        Observed P(first preferred), soft values allowed.

    Returns
    -------
    ndarray of float64, shape (n,)
        Non-negative losses; ln 2 for an undecided prediction.
    """
    predicted, observed = _pair(probability, target)
    # Both tails are floored separately: 1 - 1e-12 would lose four digits of the small side.
    log_first = np.log(np.maximum(predicted, SMALLEST_PROBABILITY))
    log_second = np.log(np.maximum(1.0 - predicted, SMALLEST_PROBABILITY))
    losses: FloatArray = -(observed * log_first + (1.0 - observed) * log_second)
    return losses


def log_loss(probability: Any, target: Any, weight: Any = None) -> float:
    """Mean cross-entropy in nats.

    Parameters
    ----------
    probability : array-like of float, shape (n,)
        Predicted P(first preferred).
    target : array-like of float, shape (n,)
        Observed P(first preferred), soft values allowed.
    weight : array-like of float, shape (n,), optional
        Weight of each pair.

    Returns
    -------
    float
        0.6931 is chance; NaN for no pairs.
    """
    losses = log_losses(probability, target)
    return weighted_mean(losses, _weights(weight, losses.size))


def brier(probability: Any, target: Any, weight: Any = None) -> float:
    """Mean squared error of the probability, on the half scale (0.25 is chance).

    Parameters
    ----------
    probability : array-like of float, shape (n,)
        Predicted P(first preferred).
    target : array-like of float, shape (n,)
        Observed P(first preferred).
    weight : array-like of float, shape (n,), optional
        Weight of each pair.

    Returns
    -------
    float
        Brier score in [0, 1]; NaN for no pairs.
    """
    predicted, observed = _pair(probability, target)
    return weighted_mean((predicted - observed) ** 2, _weights(weight, predicted.size))


def expected_calibration_error(
    probability: Any, target: Any, weight: Any = None, *, n_bins: int = 15
) -> float:
    """Mean absolute gap between predicted and observed frequency over equal-width bins.

    Parameters
    ----------
    probability : array-like of float, shape (n,)
        Predicted P(first preferred).
    target : array-like of float, shape (n,)
        Observed P(first preferred).
    weight : array-like of float, shape (n,), optional
        Weight of each pair.
    n_bins : int, default 15
        Number of equal-width bins over [0, 1]; the last is closed.

    Returns
    -------
    float
        Error in [0, 1]; NaN for no pairs. The figure depends on the order of the two responses,
        so write the pairs in an order that does not follow the label.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger 2017, "On calibration of modern neural networks", eq. 3.
    """
    predicted, observed = _pair(probability, target)
    weights = _weights(weight, predicted.size)
    bins = bin_of(predicted, n_bins)
    gaps = np.bincount(bins, weights * (observed - predicted), minlength=n_bins)
    total = weights.sum()
    return float(np.abs(gaps).sum() / total) if total > 0 else float("nan")


def bin_of(probability: FloatArray, n_bins: int) -> IntArray:
    """Bin number of each probability among equal-width bins, the last one closed.

    Parameters
    ----------
    probability : ndarray of float64, shape (n,)
        Numbers in [0, 1].
    n_bins : int
        Number of bins, at least one.

    Returns
    -------
    ndarray of int64, shape (n,)
        Bin numbers 0..n_bins-1.

    Raises
    ------
    InvalidInputError
        If `n_bins` is less than one.
    """
    if n_bins < 1:
        raise InvalidInputError(f"n_bins must be at least 1; got {n_bins}.")
    return np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)


def cluster_bootstrap_interval(
    values: Any,
    groups: Any,
    rng: np.random.Generator,
    *,
    statistic: Callable[[NDArray[Any]], float] | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic, resampling whole groups.

    Parameters
    ----------
    values : array-like, shape (n,) or (n, m)
        One row per pair; rows of one group travel together.
    groups : array-like of int, shape (n,)
        Group code of each row, as a rule its prompt.
    rng : numpy.random.Generator
        Source of the resamples.
    statistic : callable, optional
        From resampled rows to a number; the mean of a vector when left out. Resamples where it
        is NaN are left out of the interval.
    n_resamples : int, default 2000
        Number of resamples.
    level : float, default 0.95
        Coverage aimed at.

    Returns
    -------
    Interval
        NaN throughout for no rows.

    References
    ----------
    Davison and Hinkley 1997, "Bootstrap methods and their application", §3.8 (strategy 1).
    """
    rows = np.asarray(values)
    codes = _group_codes(groups, len(rows))
    n_groups = int(codes.max()) + 1 if codes.size else 0
    if n_groups == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    if statistic is None:
        estimate, replicates = _bootstrap_mean(as_vector("values", rows), codes, rng, n_resamples)
    else:
        estimate = float(statistic(rows))
        replicates = _bootstrap_rows(rows, codes, rng, n_resamples, statistic)
    low, high = _percentiles(replicates, level)
    return Interval(estimate, low, high, len(rows), n_groups)


def paired_difference_interval(
    values_a: Any,
    values_b: Any,
    groups: Any,
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Interval of mean(a) - mean(b) over the same rows, resampling whole groups.

    Parameters
    ----------
    values_a, values_b : array-like of float, shape (n,)
        The two models' values (correctness, loss …) on the same pairs.
    groups : array-like of int, shape (n,)
        Group code of each row, as a rule its prompt.
    rng : numpy.random.Generator
        Source of the resamples.
    n_resamples : int, default 2000
        Number of resamples.
    level : float, default 0.95
        Coverage aimed at.

    Returns
    -------
    Interval
        Positive where a is larger.
    """
    first, second = as_vector("values_a", values_a), as_vector("values_b", values_b)
    require_length("values_b", second, first.size)
    return cluster_bootstrap_interval(
        first - second, groups, rng, n_resamples=n_resamples, level=level
    )


def wilson_interval(successes: float, n: int, level: float = 0.95) -> Interval:
    """Score interval of a share from independent trials.

    Parameters
    ----------
    successes : float
        Number of successes; halves are allowed.
    n : int
        Number of trials.
    level : float, default 0.95
        Coverage aimed at.

    Returns
    -------
    Interval
        (0, 1) around NaN for no trials.

    Raises
    ------
    InvalidInputError
        If `successes` lies outside 0..n.

    References
    ----------
    Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if not 0 <= successes <= n:
        raise InvalidInputError(f"successes must lie in 0..n; got {successes} of {n}.")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, 0, 0)
    z = float(norm.ppf(0.5 + level / 2))
    share = successes / n
    centre = share + z**2 / (2 * n)
    spread = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    low, high = max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
    return Interval(share, float(low), float(high), n, n)


def group_split(groups: Any, shares: Sequence[float], rng: np.random.Generator) -> list[IntArray]:
    """Split rows into parts so that no group is on two sides.

    Parameters
    ----------
    groups : array-like of int, shape (n,)
        Group code of each row, as a rule its prompt.
    shares : sequence of float
        Wished share of the rows in each part, all positive, summing to 1.
    rng : numpy.random.Generator
        Source of the order in which groups are dealt out.

    Returns
    -------
    list of ndarray of int64
        Sorted row numbers of each part; every part holds at least one group. Each group goes to
        the part that is then furthest below its wished number of rows.

    Raises
    ------
    InvalidInputError
        If a share is not positive, they do not sum to 1, or there are fewer groups than parts.
    """
    wished = _shares(shares)
    codes = _group_codes(groups, len(np.asarray(groups)))
    sizes = np.bincount(codes)
    if codes.size == 0 or sizes.size < wished.size:
        n_groups = sizes.size if codes.size else 0
        raise InvalidInputError(f"{n_groups} groups cannot fill {wished.size} parts.")
    part_of_group = _deal(sizes, wished * codes.size, rng.permutation(sizes.size))
    return [np.flatnonzero(part_of_group[codes] == part) for part in range(wished.size)]


def weighted_mean(values: FloatArray, weights: FloatArray) -> float:
    """Mean of `values` under `weights`.

    Parameters
    ----------
    values, weights : ndarray of float64, shape (n,)
        Numbers and their non-negative weights.

    Returns
    -------
    float
        NaN where the weights sum to zero.
    """
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else float("nan")


def _pair(probability: Any, target: Any) -> tuple[FloatArray, FloatArray]:
    predicted = as_probabilities("probability", probability)
    observed = as_probabilities("target", target)
    require_length("target", observed, predicted.size)
    return predicted, observed


def _weights(weight: Any, n_rows: int) -> FloatArray:
    if weight is None:
        return np.ones(n_rows)
    weights = as_weights("weight", weight)
    require_length("weight", weights, n_rows)
    return weights


def _group_codes(groups: Any, n_rows: int) -> IntArray:
    array = np.asarray(groups)
    if array.ndim != 1:
        raise InvalidInputError(f"groups must be one-dimensional; got shape {array.shape}.")
    require_length("groups", array, n_rows)
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _bootstrap_mean(
    values: FloatArray, codes: IntArray, rng: np.random.Generator, n_resamples: int
) -> tuple[float, FloatArray]:
    # Group sums and sizes are enough for a mean: one multinomial draw replaces indexing rows.
    sums, sizes = np.bincount(codes, values), np.bincount(codes)
    counts = rng.multinomial(sizes.size, np.full(sizes.size, 1 / sizes.size), size=n_resamples)
    replicates: FloatArray = (counts @ sums) / (counts @ sizes)
    return float(values.mean()), replicates


def _bootstrap_rows(
    rows: NDArray[Any],
    codes: IntArray,
    rng: np.random.Generator,
    n_resamples: int,
    statistic: Callable[[NDArray[Any]], float],
) -> FloatArray:
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    draws = rng.integers(len(members), size=(n_resamples, len(members)))
    picked = (np.concatenate([members[group] for group in draw]) for draw in draws)
    return np.array([statistic(rows[index]) for index in picked], dtype=np.float64)


def _percentiles(replicates: FloatArray, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise InvalidInputError(f"level must lie strictly between 0 and 1; got {level}.")
    finite = replicates[np.isfinite(replicates)]
    if finite.size == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def _shares(shares: Sequence[float]) -> FloatArray:
    wished = as_vector("shares", shares)
    if not (wished > 0).all() or not np.isclose(wished.sum(), 1.0):
        raise InvalidInputError(f"shares must be positive and sum to 1; got {list(shares)}.")
    return wished


def _deal(sizes: IntArray, wished_rows: FloatArray, order: IntArray) -> IntArray:
    part_of_group = np.empty(sizes.size, dtype=np.int64)
    room = wished_rows.copy()
    empty = np.ones(room.size, dtype=np.bool_)
    for position, group in enumerate(order):
        # The last groups are kept for parts that would otherwise stay empty.
        scarce = order.size - position <= empty.sum()
        part = int(np.argmax(np.where(empty, room, -np.inf) if scarce else room))
        part_of_group[group] = part
        room[part] -= sizes[group]
        empty[part] = False
    return part_of_group
