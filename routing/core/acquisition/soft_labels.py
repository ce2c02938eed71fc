"""Judges' votes as soft labels: as sure as the judge has been right, and no surer."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import expit, logit

from routing.core.arrays import BoolArray, FloatArray, IntArray, RoutingInputError

# Ten imagined comparisons on which a judge was right seven times stand for what is not known yet.
PRIOR_RIGHT: Final = 7.0
PRIOR_TOTAL: Final = 10.0
_SUREST: Final = 0.98


def judge_accuracies(
    vote: FloatArray, judge: IntArray, row: IntArray, human: FloatArray
) -> dict[int, float]:
    """Return how often each judge sides with people, shrunk towards .7.

    Parameters
    ----------
    vote : ndarray of float64, shape (m,)
        1 first preferred, 0 second preferred, 0.5 tie.
    judge : ndarray of int64, shape (m,)
        Who voted.
    row : ndarray of int64, shape (m,)
        Comparison of each vote.
    human : ndarray of float64, shape (n,)
        People's mean vote per comparison; 0.5 where they are undecided or absent.

    Returns
    -------
    dict of int to float
        Accuracy of each judge in (0.5, 0.98].
    """
    decided: BoolArray = (vote != 0.5) & (human[row] != 0.5)
    right = decided & ((vote > 0.5) == (human[row] > 0.5))
    found = {}
    for name in np.unique(judge).tolist():
        mine = judge == name
        share = (PRIOR_RIGHT + right[mine].sum()) / (PRIOR_TOTAL + decided[mine].sum())
        found[name] = float(np.clip(share, 0.5 + 1e-6, _SUREST))
    return found


def soft_targets(
    vote: FloatArray,
    judge: IntArray,
    row: IntArray,
    accuracy: dict[int, float],
    n_rows: int,
    *,
    calibrated: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Turn judges' votes into a probability per comparison and what it is worth.

    Parameters
    ----------
    vote, judge, row : ndarray, shape (m,)
        Votes as in `judge_accuracies`.
    accuracy : dict of int to float
        Accuracy of each judge.
    n_rows : int
        Number n of comparisons.
    calibrated : ndarray of float64, shape (m,), optional
        P(people prefer the first) of each vote by a map fitted to people's labels; NaN, where
        there is none, falls back on the judge's accuracy.

    Returns
    -------
    target : ndarray of float64, shape (n,)
        P(people prefer the first); 0.5 without a vote.
    weight : ndarray of float64, shape (n,)
        ``(2 p - 1)^2``, the share of a label's information that survives an error rate of 1 - p;
        0 without a vote.

    Raises
    ------
    RoutingInputError
        If a judge has no accuracy.

    Notes
    -----
    Several judges on one comparison are averaged in log odds, not added: their errors go together.
    """
    unknown = set(np.unique(judge).tolist()) - set(accuracy)
    if unknown:
        raise RoutingInputError(f"judge {min(unknown)} has no accuracy; measure it first.")
    sure = np.array([logit(accuracy[name]) for name in judge.tolist()])
    log_odds = (2.0 * vote - 1.0) * sure
    if calibrated is not None:
        known = logit(np.clip(calibrated, 1.0 - _SUREST, _SUREST))
        log_odds = np.where(np.isnan(calibrated), log_odds, known)
    counts = np.bincount(row, minlength=n_rows)
    sums = np.bincount(row, log_odds, minlength=n_rows)
    target = expit(np.divide(sums, counts, out=np.zeros(n_rows), where=counts > 0))
    return np.asarray(target), np.asarray((2.0 * target - 1.0) ** 2)
