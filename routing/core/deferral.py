"""When to trust the judge: calibrated disagreement and a conformal deferral threshold."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from routing.core.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    RoutingInputError,
    as_matrix,
    as_vector,
)

_INVERSE_PENALTIES: Final = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_MIN_FOR_SLOPE: Final = 30


class DisagreementModel:
    """Logistic model of P(a human disagrees with the judge), cross-fitted by group.

    Parameters
    ----------
    n_folds : int, default 5
        Folds of groups; fewer when there are fewer groups.

    Attributes
    ----------
    out_of_fold_ : ndarray of float64, shape (n,)
        Calibrated probability of each comparison from models that saw none of its group.
    inverse_penalty_ : float
        Inverse ridge penalty of least held-out log loss.
    base_rate_ : float
        Smoothed share of disagreements.

    Notes
    -----
    Groups are prompts: comparisons of one prompt share responses, so a model that saw one of
    them is too sure about the others. Platt scaling on the held-out scores calibrates; with
    under 30 comparisons, or one class only, the base rate stands in.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    out_of_fold_: FloatArray
    inverse_penalty_: float
    base_rate_: float

    def __init__(self, n_folds: int = 5) -> None:
        self.n_folds = n_folds

    def fit(
        self,
        features: npt.ArrayLike,
        disagrees: npt.ArrayLike,
        group: npt.ArrayLike,
        rng: np.random.Generator,
    ) -> Self:
        """Fit on comparisons that carry both labels.

        Parameters
        ----------
        features : array-like of shape (n, m)
            Signals known before a human is asked.
        disagrees : array-like of bool, shape (n,)
            Whether the human label differs from the judge's.
        group : array-like of int, shape (n,)
            Prompt of each comparison.
        rng : numpy.random.Generator
            Assigns groups to folds.

        Returns
        -------
        DisagreementModel
            Itself.

        Raises
        ------
        RoutingInputError
            If shapes disagree, there are no rows or fewer than two folds.
        """
        x = as_matrix("features", features)
        y = as_vector("disagrees", disagrees, len(x)).astype(np.int64)
        groups = np.unique(np.asarray(group), return_inverse=True)[1]
        if len(groups) != len(x) or not len(x) or self.n_folds < 2:
            raise RoutingInputError(
                f"{len(x)} rows, {len(groups)} groups, {self.n_folds} folds; pass one group per "
                "row, at least one row and two folds."
            )
        self.base_rate_ = float((y.sum() + 1.0) / (len(y) + 2.0))
        self._model: Any = None
        self._platt: Any = None
        self.inverse_penalty_ = 0.0
        self.out_of_fold_ = np.full(len(x), self.base_rate_)
        folds = _group_folds(groups, self.n_folds, rng)
        if len(x) >= _MIN_FOR_SLOPE and _every_fold_has_both(y, folds):
            self._fit_slopes(x, y, folds)
        return self

    def _fit_slopes(self, x: FloatArray, y: IntArray, folds: IntArray) -> None:
        scores = {c: _held_out_scores(x, y, folds, c) for c in _INVERSE_PENALTIES}
        losses = {c: float(np.logaddexp(0, (1 - 2 * y) * z).mean()) for c, z in scores.items()}
        self.inverse_penalty_ = min(losses, key=losses.__getitem__)
        held_out = scores[self.inverse_penalty_][:, None]
        self._model = _logistic(self.inverse_penalty_).fit(x, y)
        self._platt = _logistic(1e3).fit(held_out, y)
        self.out_of_fold_ = _cross_platt(held_out, y, folds)

    def predict_proba(self, features: npt.ArrayLike) -> FloatArray:
        """Return the calibrated probability that a human would disagree with the judge.

        Parameters
        ----------
        features : array-like of shape (n, m)
            Signals in the column order of `fit`.

        Returns
        -------
        ndarray of float64, shape (n,)
            Probabilities.
        """
        x = as_matrix("features", features)
        if self._model is None:
            return np.full(len(x), self.base_rate_)
        score = self._model.decision_function(x)[:, None]
        return np.asarray(self._platt.predict_proba(score)[:, 1], dtype=np.float64)


def _logistic(inverse_penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=1000))


def _group_folds(groups: IntArray, n_folds: int, rng: np.random.Generator) -> IntArray:
    n_groups = int(groups.max()) + 1
    fold_of_group = rng.permutation(n_groups) % min(n_folds, n_groups)
    return np.asarray(fold_of_group[groups], dtype=np.int64)


def _every_fold_has_both(y: IntArray, folds: IntArray) -> bool:
    """Return whether every training side holds both classes, and there are two folds."""
    codes = np.unique(folds)
    return len(codes) > 1 and all(len(np.unique(y[folds != fold])) == 2 for fold in codes)


def _held_out_scores(
    x: FloatArray, y: IntArray, folds: IntArray, inverse_penalty: float
) -> FloatArray:
    scores = np.empty(len(x))
    for fold in np.unique(folds):
        test = folds == fold
        model = _logistic(inverse_penalty).fit(x[~test], y[~test])
        scores[test] = model.decision_function(x[test])
    return scores


def _cross_platt(scores: FloatArray, y: IntArray, folds: IntArray) -> FloatArray:
    """Calibrate each fold by the others, so that no label reaches its own probability."""
    probability = np.empty(len(y))
    for fold in np.unique(folds):
        test = folds == fold
        model = _logistic(1e3).fit(scores[~test], y[~test])
        probability[test] = model.predict_proba(scores[test])[:, 1]
    return probability


def deferral_threshold(
    p_disagree: npt.ArrayLike, disagrees: npt.ArrayLike, *, max_error: float
) -> float:
    """Choose how sure the judge must be so that few of its labels are wrong, guaranteed.

    Parameters
    ----------
    p_disagree : array-like of shape (n,)
        Probability of disagreement on calibration comparisons not used to fit it.
    disagrees : array-like of bool, shape (n,)
        Whether the human label differs from the judge's there.
    max_error : float in (0, 1)
        Largest expected share, of all comparisons, that keep a judge label a human would not
        have given.

    Returns
    -------
    float
        Keep the judge's label where `p_disagree` is at most this; ``-inf`` keeps none, which
        happens when `max_error` is below 1 / (n + 1).

    Raises
    ------
    RoutingInputError
        If shapes disagree or `max_error` is outside (0, 1).

    Notes
    -----
    For exchangeable comparisons the expected error of a new one is at most `max_error`, in
    finite samples and whatever the quality of the probabilities.

    References
    ----------
    Angelopoulos et al., "Conformal risk control", ICLR 2024, eq. 4 and theorem 1, with the
    loss "kept and wrong", which is monotone in the threshold and bounded by 1.
    """
    chance = as_vector("p_disagree", p_disagree)
    wrong = as_vector("disagrees", disagrees, len(chance))
    if not 0.0 < max_error < 1.0:
        raise RoutingInputError(f"max_error is {max_error}; pass a share in (0, 1).")
    n = len(chance)
    allowed = max_error * (n + 1) - 1.0
    if allowed < 0:
        return float("-inf")
    order = np.argsort(chance, kind="stable")
    ordered, errors = chance[order], np.cumsum(wrong[order])
    over = np.flatnonzero(errors > allowed)
    if not len(over):
        return float("inf")
    # Kept is "at most", so the threshold must fall just under the first value that is too many.
    return float(np.nextafter(ordered[over[0]], -np.inf))


def keeps_judge(p_disagree: npt.ArrayLike, threshold: float) -> BoolArray:
    """Mark where the judge's label is kept.

    Parameters
    ----------
    p_disagree : array-like of shape (n,)
        Probability of disagreement.
    threshold : float
        Result of `deferral_threshold`.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where the probability is at most the threshold.
    """
    return as_vector("p_disagree", p_disagree) <= threshold


def disagreement_features(
    judge_probability: npt.ArrayLike, order_flip: npt.ArrayLike, *others: npt.ArrayLike
) -> FloatArray:
    """Stack the signals known before a human is asked.

    Parameters
    ----------
    judge_probability : array-like of shape (n,)
        Judge's P(first preferred), averaged over orders and judges; NaN where it gave none.
    order_flip : array-like of shape (n,)
        1 where the verdict changed when the responses changed places, else 0; NaN if unknown.
    *others : array-like of shape (n,) or (n, m)
        Further columns, such as text statistics or tags.

    Returns
    -------
    ndarray of float64, shape (n, 4 + m)
        Judge margin, whether the verdict is missing, flip, whether flip is unknown, others.
    """
    chance = np.asarray(judge_probability, dtype=np.float64)
    flip = np.asarray(order_flip, dtype=np.float64)
    margin = np.abs(logit(np.clip(np.nan_to_num(chance, nan=0.5), 0.01, 0.99)))
    columns = [margin, np.isnan(chance), np.nan_to_num(flip, nan=0.5), np.isnan(flip), *others]
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
