"""How far annotators agree, beyond chance, with intervals that respect the prompt."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modeling.core.metrics import Interval, cluster_bootstrap_interval
from modeling.core.types import FloatArray, IntArray, InvalidInputError, as_integers, require_length

MISSING = -1
"""Code of "this annotator did not label this comparison"."""

AlphaLevel = Literal["nominal", "ordinal"]


class PairVerdict(IntEnum):
    """Three-class code of a pairwise preference, in order along the preference scale."""

    A = 0
    TIE = 1
    B = 2


def percent_agreement(ratings: Any) -> float:
    """Share of agreeing pairs of annotators, over all pairs on all comparisons.

    Parameters
    ----------
    ratings : array-like of int, shape (n_comparisons, n_annotators)
        Class codes from 0; -1 where missing.

    Returns
    -------
    float
        In [0, 1]; NaN where no comparison has two labels.
    """
    counts = category_counts(_ratings(ratings))
    n = counts.sum(axis=1)
    agreeing, pairs = (counts * (counts - 1)).sum(), (n * (n - 1)).sum()
    return float(agreeing / pairs) if pairs else float("nan")


def cohen_kappa(first: Any, second: Any) -> float:
    """Agreement of two annotators beyond what their own class shares would give.

    Parameters
    ----------
    first, second : array-like of int, shape (n,)
        Class codes from 0; rows where either is -1 are left out.

    Returns
    -------
    float
        1 perfect, 0 chance; NaN without rows or where both use one and the same class throughout.

    Raises
    ------
    InvalidInputError
        If the lengths differ.

    References
    ----------
    Cohen 1960, "A coefficient of agreement for nominal scales", eq. 1.
    """
    a, b = as_integers("first", first), as_integers("second", second)
    require_length("second", b, a.size)
    both = (a != MISSING) & (b != MISSING)
    if not both.any():
        return float("nan")
    a, b = a[both], b[both]
    n_classes = int(max(a.max(), b.max())) + 1
    shares_a, shares_b = (np.bincount(x, minlength=n_classes) / a.size for x in (a, b))
    return _beyond_chance(float((a == b).mean()), float(shares_a @ shares_b))


def fleiss_kappa(ratings: Any) -> float:
    """Agreement of several annotators beyond the pooled class shares.

    Comparisons may have different numbers of labels: each is weighted by its pairs of labels, which
    is Fleiss' formula where all have the same number.

    Parameters
    ----------
    ratings : array-like of int, shape (n_comparisons, n_annotators)
        Class codes from 0; -1 where missing.

    Returns
    -------
    float
        1 perfect, 0 chance; NaN without two labels somewhere or where only one class is used.

    References
    ----------
    Fleiss 1971, "Measuring nominal scale agreement among many raters", eq. 7.
    """
    matrix = _ratings(ratings)
    counts = category_counts(matrix)
    shared = counts[counts.sum(axis=1) >= 2]
    if shared.size == 0:
        return float("nan")
    shares = shared.sum(axis=0) / shared.sum()
    return _beyond_chance(percent_agreement(matrix), float(shares @ shares))


def krippendorff_alpha(ratings: Any, level: AlphaLevel = "nominal") -> float:
    """One minus observed over expected disagreement, with missing labels.

    Parameters
    ----------
    ratings : array-like of int, shape (n_comparisons, n_annotators)
        Class codes from 0, in order of the scale for "ordinal"; -1 where missing.
    level : {"nominal", "ordinal"}, default "nominal"
        How far apart two classes are.

    Returns
    -------
    float
        1 perfect, 0 chance; NaN without two labels somewhere or where only one class is used.

    Raises
    ------
    InvalidInputError
        If the level is unknown.

    References
    ----------
    Krippendorff 2011, "Computing Krippendorff's alpha-reliability", sections C and D.
    """
    counts = category_counts(_ratings(ratings))
    n_labels = counts.sum(axis=1)
    counts, n_labels = counts[n_labels >= 2], n_labels[n_labels >= 2]
    if n_labels.size == 0:
        return float("nan")
    scaled = counts / (n_labels - 1)[:, None]
    coincidence = counts.T @ scaled - np.diag(scaled.sum(axis=0))
    totals = coincidence.sum(axis=1)
    distance = _distance(totals, level)
    expected = float(totals @ distance @ totals) / (totals.sum() - 1)
    observed = float((coincidence * distance).sum())
    return 1.0 - observed / expected if expected > 0 else float("nan")


def one_vs_rest_majority(ratings: Any) -> float:
    """Share of labels that equal the majority of the other annotators.

    Parameters
    ----------
    ratings : array-like of int, shape (n_comparisons, n_annotators)
        Class codes from 0; -1 where missing.

    Returns
    -------
    float
        Over labels whose comparison has other labels with one most frequent class; NaN without any.
    """
    matches, _ = one_vs_rest_matches(ratings)
    return float(matches.mean()) if matches.size else float("nan")


def one_vs_rest_matches(ratings: Any) -> tuple[FloatArray, IntArray]:
    """Whether each label equals the majority of the others, the values behind the mean.

    Parameters
    ----------
    ratings : array-like of int, shape (n_comparisons, n_annotators)
        Class codes from 0; -1 where missing.

    Returns
    -------
    matches : ndarray of float64, shape (m,)
        1 where the label equals the others' single most frequent class, else 0.
    comparison : ndarray of int64, shape (m,)
        Row of each of them.
    """
    matrix = _ratings(ratings)
    counts = category_counts(matrix)
    row, annotator = np.nonzero(matrix != MISSING)
    label = matrix[row, annotator]
    others = counts[row]
    others[np.arange(row.size), label] -= 1
    if row.size == 0:
        return np.empty(0), row
    most = others.max(axis=1)
    decided = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
    matches = (others.argmax(axis=1) == label)[decided]
    return matches.astype(np.float64), row[decided]


def agreement_interval(
    statistic: Callable[[NDArray[Any]], float],
    ratings: Any,
    groups: Any,
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Interval of any agreement figure, resampling whole prompts.

    Parameters
    ----------
    statistic : callable
        From a rating matrix to a number, for example `fleiss_kappa`.
    ratings : array-like of int, shape (n_comparisons, n_annotators)
        Class codes from 0; -1 where missing.
    groups : array-like of int, shape (n_comparisons,)
        Group code of each comparison, as a rule its prompt.
    rng : numpy.random.Generator
        Source of the resamples.
    n_resamples : int, default 2000
        Number of resamples.
    level : float, default 0.95
        Coverage aimed at.

    Returns
    -------
    Interval
        Estimate and percentile interval.
    """
    return cluster_bootstrap_interval(
        _ratings(ratings),
        groups,
        rng,
        statistic=statistic,
        n_resamples=n_resamples,
        level=level,
    )


def category_counts(ratings: IntArray) -> IntArray:
    """Count how often each class was given to each comparison.

    Parameters
    ----------
    ratings : ndarray of int64, shape (n_comparisons, n_annotators)
        Class codes from 0; -1 where missing.

    Returns
    -------
    ndarray of int64, shape (n_comparisons, n_classes)
        Label counts; the number of classes is the largest code plus one.
    """
    n_rows = len(ratings)
    n_classes = int(ratings.max(initial=0)) + 1
    row, annotator = np.nonzero(ratings != MISSING)
    cells = row * n_classes + ratings[row, annotator]
    return np.bincount(cells, minlength=n_rows * n_classes).reshape(n_rows, n_classes)


def _ratings(ratings: Any) -> IntArray:
    matrix = np.asarray(ratings)
    if matrix.ndim != 2:
        raise InvalidInputError(
            f"ratings must be a matrix (comparisons, annotators); got shape {matrix.shape}."
        )
    if matrix.size and (matrix.dtype.kind not in "iu" or matrix.min() < MISSING):
        raise InvalidInputError(
            f"ratings must hold class codes from 0, or -1 where missing; got {matrix.dtype} "
            f"with minimum {matrix.min()}."
        )
    return matrix.astype(np.int64)


def _beyond_chance(observed: float, by_chance: float) -> float:
    # Rounding can leave 1 - by_chance at 1e-17 where only one class is used.
    room = 1.0 - by_chance
    return (observed - by_chance) / room if room > 1e-12 else float("nan")


def _distance(totals: FloatArray, level: AlphaLevel) -> FloatArray:
    size = totals.size
    if level == "nominal":
        return 1.0 - np.eye(size)
    if level != "ordinal":
        raise InvalidInputError(f"level must be 'nominal' or 'ordinal'; got {level!r}.")
    # Ranks with ties: the distance of two classes is the number of labels between their middles.
    middle = np.cumsum(totals) - totals / 2.0
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)
