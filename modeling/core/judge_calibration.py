"""From what a judge says of its certainty to a probability that people agree.

A judge's strength, log-probabilities, votes over samples, agreement of its two orders and agreement
with other judges are signals, not confidence: on hard comparisons a judge can be unanimous and
wrong. Human labels decide what each signal is worth. Everything is written from the side that the
judge chose, so exchanging the two responses exchanges the probabilities exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from modeling.core.calibration import CalibratedProbability, CalibrationMethod
from modeling.core.judge_replies import STRENGTH_PROBABILITY
from modeling.core.metrics import group_split, log_loss
from modeling.core.types import (
    BoolArray,
    FloatArray,
    IntArray,
    InvalidInputError,
    Meta,
    as_integers,
    as_probabilities,
    require_keys,
    require_length,
)

Source = Literal["stated", "signals", "slices"]

UNSTATED_PROBABILITY = STRENGTH_PROBABILITY[2]
"""Prior of a verdict that comes without any statement of certainty."""
MIN_VERDICTS = 50
MIN_PROMPTS = 10
"""Decided verdicts beside human labels, and prompts, from which on a map is fitted."""
CERTAINTY = 0.005
"""Stated probabilities are kept this far from 0 and 1: no judge is surer than one in 200."""
MAX_LEVELS = 5
SLICE_RIDGE = 5.0
SIGNAL_RIDGE = 1.0
N_FOLDS = 5
_IDENTITY = {"method": "identity", "parameters": []}

CANDIDATES: tuple[tuple[Source, CalibrationMethod], ...] = (
    ("stated", "identity"),
    ("stated", "temperature"),
    ("stated", "platt"),
    ("stated", "beta"),
    ("stated", "isotonic"),
    ("signals", "identity"),
    ("signals", "isotonic"),
    ("slices", "identity"),
    ("slices", "isotonic"),
)
"""What is tried, in this order: which signals are read, and the map on top of them."""


@dataclass(frozen=True, eq=False)
class JudgeSignals:
    """What a judge's verdicts on pairs carry, one row per verdict.

    Attributes
    ----------
    side : ndarray of int64, shape (n,)
        1 first preferred, -1 second preferred, 0 neither (tie, or the two orders disagree).
    strength : ndarray of float64, shape (n,)
        Stated strength without sign, larger is clearer; NaN where none was stated.
    stated : ndarray of float64, shape (n,)
        The judge's own P(its side), from log-probabilities or its share of n samples; NaN where
        there is none.
    order_agreement : ndarray of float64, shape (n,)
        1 where both orders were asked and agree, 0 where they disagree, NaN where one was asked.
    panel_agreement : ndarray of float64, shape (n,)
        Mean over the other judges of 1 (same side), 0 (neither), -1 (other side); NaN without one.
    slices : tuple of tuple of str
        Slices that each row belongs to, such as "category=math"; empty where there are none.

    Raises
    ------
    InvalidInputError
        If lengths differ or a side is none of -1, 0 and 1.
    """

    side: IntArray
    strength: FloatArray
    stated: FloatArray
    order_agreement: FloatArray
    panel_agreement: FloatArray
    slices: tuple[tuple[str, ...], ...] = field(default=())

    def __post_init__(self) -> None:
        """Convert to the documented types and refuse what does not fit."""
        object.__setattr__(self, "side", as_integers("side", self.side))
        if not np.isin(self.side, (-1, 0, 1)).all():
            raise InvalidInputError("side must hold -1, 0 and 1 only.")
        for name in ("strength", "stated", "order_agreement", "panel_agreement"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            require_length(name, values, self.side.size)
            object.__setattr__(self, name, values)
        if not self.slices:
            object.__setattr__(self, "slices", ((),) * self.side.size)
        elif len(self.slices) != self.side.size:
            raise InvalidInputError(
                f"slices has {len(self.slices)} rows; the others have {self.side.size}."
            )

    @property
    def decided(self) -> BoolArray:
        """Where the judge names a better response.

        Returns
        -------
        ndarray of bool, shape (n,)
            Mask over the rows.
        """
        return np.asarray(self.side != 0)

    def take(self, rows: IntArray | BoolArray) -> JudgeSignals:
        """Keep some rows.

        Parameters
        ----------
        rows : ndarray of int64 or bool
            Positions, or a mask over the rows.

        Returns
        -------
        JudgeSignals
            The chosen rows.
        """
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return JudgeSignals(
            self.side[index],
            self.strength[index],
            self.stated[index],
            self.order_agreement[index],
            self.panel_agreement[index],
            tuple(self.slices[row] for row in index.tolist()),
        )


def stated_probability(signals: JudgeSignals) -> FloatArray:
    """Prior P(people agree with the judge's side): its own probability, else its strength.

    Parameters
    ----------
    signals : JudgeSignals
        Verdicts.

    Returns
    -------
    ndarray of float64, shape (n,)
        Own probability kept within [0.005, 0.995]; else the table of stated strength, interpolated;
        else 0.8.
    """
    levels = np.array(sorted(STRENGTH_PROBABILITY), dtype=np.float64)
    table = np.array([STRENGTH_PROBABILITY[int(level)] for level in levels])
    by_strength = np.interp(np.nan_to_num(signals.strength, nan=levels[0]), levels, table)
    by_strength = np.where(np.isnan(signals.strength), UNSTATED_PROBABILITY, by_strength)
    own = np.clip(signals.stated, CERTAINTY, 1 - CERTAINTY)
    return np.where(np.isnan(own), by_strength, own)


class JudgeCalibrator:
    """P(people prefer the first response) from a judge's verdict, learnt from human labels.

    Every pair of a set of signals and a monotone map is fitted on all but one fold of prompts and
    judged by log loss on that fold; the best is fitted again on everything. "stated" is the judge's
    own word, "signals" a ridge-logistic combination of strength (ordinal), own probability, order
    agreement and panel agreement, "slices" the same with an offset for each slice.

    Parameters
    ----------
    n_folds : int, default 5
        Folds of prompts that choose among the candidates.

    Attributes
    ----------
    source_ : {"stated", "signals", "slices"}
        Signals in use.
    method_ : str
        Map in use, a method of `CalibratedProbability`.
    held_out_log_loss_ : dict of str to float
        Log loss on held-out prompts of every candidate, "source+method"; empty where n is too
        small and the prior stands.
    n_ : int
        Decided verdicts beside human labels.
    n_prompts_ : int
        Prompts of those.
    """

    def __init__(self, n_folds: int = N_FOLDS) -> None:
        self.n_folds = n_folds

    @property
    def is_fitted_to_labels(self) -> bool:
        """Whether human labels stand behind the probabilities.

        Returns
        -------
        bool
            False where there were too few and the prior stands.
        """
        return bool(self.held_out_log_loss_)

    def fit(
        self, signals: JudgeSignals, outcome: Any, *, groups: Any, rng: np.random.Generator
    ) -> Self:
        """Choose and fit the map.

        Parameters
        ----------
        signals : JudgeSignals
            Verdicts on pairs that people labelled.
        outcome : array-like of float, shape (n,)
            Share of people who prefer the first response, a tie counting one half.
        groups : array-like of int, shape (n,)
            Prompt of each row.
        rng : numpy.random.Generator
            Source of the folds.

        Returns
        -------
        JudgeCalibrator
            Itself; the prior where there are fewer than 50 decided verdicts or 10 prompts.

        Raises
        ------
        InvalidInputError
            If lengths differ or an outcome lies outside [0, 1].
        """
        agreed = as_probabilities("outcome", outcome)
        prompt = as_integers("groups", groups)
        require_length("outcome", agreed, signals.side.size)
        require_length("groups", prompt, signals.side.size)
        known = signals.take(signals.decided)
        agreed = _from_side(agreed[signals.decided], known.side)
        prompt = prompt[signals.decided]
        self.n_, self.n_prompts_ = int(prompt.size), int(np.unique(prompt).size)
        self.held_out_log_loss_: dict[str, float] = {}
        self.source_, self.method_ = CANDIDATES[0]
        if self.n_ >= MIN_VERDICTS and self.n_prompts_ >= MIN_PROMPTS:
            self.source_, self.method_ = self._choose(known, agreed, prompt, rng)
        self._chain = _Chain.fitted(self.source_, self.method_, known, agreed)
        return self

    def predict(self, signals: JudgeSignals) -> FloatArray:
        """Map verdicts to P(first preferred).

        Parameters
        ----------
        signals : JudgeSignals
            Verdicts, of the same judge.

        Returns
        -------
        ndarray of float64, shape (n,)
            0.5 where the judge names no side; below 0.5 for its side where it is rather wrong.
        """
        probability = np.full(signals.side.size, 0.5)
        rows = np.flatnonzero(signals.decided)
        if rows.size:
            known = signals.take(rows)
            probability[rows] = _from_side(self._chain.predict(known), known.side)
        return probability

    def to_dict(self) -> Meta:
        """Take the fitted map apart.

        Returns
        -------
        dict
            Everything that `predict` needs, ready for JSON.
        """
        return {
            "source": self.source_,
            "method": self.method_,
            "n": self.n_,
            "n_prompts": self.n_prompts_,
            "held_out_log_loss": self.held_out_log_loss_,
            "chain": self._chain.to_dict(),
        }

    @classmethod
    def from_dict(cls, state: Meta) -> Self:
        """Put a fitted map together again.

        Parameters
        ----------
        state : dict
            What `to_dict` gave.

        Returns
        -------
        JudgeCalibrator
            The same map.

        Raises
        ------
        InvalidInputError
            If a part is missing.
        """
        keys = ("source", "method", "n", "n_prompts", "held_out_log_loss", "chain")
        require_keys("judge calibration", state, keys)
        restored = cls()
        restored.source_, restored.method_ = state["source"], state["method"]
        restored.n_, restored.n_prompts_ = state["n"], state["n_prompts"]
        restored.held_out_log_loss_ = dict(state["held_out_log_loss"])
        restored._chain = _Chain.from_dict(state["chain"])
        return restored

    def _choose(
        self, known: JudgeSignals, agreed: FloatArray, prompt: IntArray, rng: np.random.Generator
    ) -> tuple[Source, CalibrationMethod]:
        n_folds = min(self.n_folds, self.n_prompts_)
        folds = group_split(prompt, [1 / n_folds] * n_folds, rng)
        for source, method in _worth_trying(known):
            fit = partial(_Chain.fitted, source, method)
            held_out = _out_of_fold(fit, known, agreed, folds)
            self.held_out_log_loss_[f"{source}+{method}"] = log_loss(held_out, agreed)
        best = min(self.held_out_log_loss_, key=self.held_out_log_loss_.__getitem__)
        return next(c for c in CANDIDATES if f"{c[0]}+{c[1]}" == best)


def cross_calibrated(
    signals: JudgeSignals,
    outcome: Any,
    *,
    groups: Any,
    rng: np.random.Generator,
    n_parts: int = 2,
) -> FloatArray:
    """Calibrate every verdict by a map that has not seen its prompt.

    Parameters
    ----------
    signals : JudgeSignals
        Verdicts on pairs that people labelled.
    outcome : array-like of float, shape (n,)
        Share of people who prefer the first response.
    groups : array-like of int, shape (n,)
        Prompt of each row.
    rng : numpy.random.Generator
        Source of the parts.
    n_parts : int, default 2
        Parts of prompts; two are halves, each calibrated by the other.

    Returns
    -------
    ndarray of float64, shape (n,)
        P(first preferred), fair to compare with `outcome`; with fewer prompts than parts the prior.
    """
    agreed, prompt = as_probabilities("outcome", outcome), as_integers("groups", groups)
    if np.unique(prompt).size < n_parts:
        return _from_side(stated_probability(signals), signals.side)
    probability = np.empty(signals.side.size)
    for part in group_split(prompt, [1 / n_parts] * n_parts, rng):
        rest = np.setdiff1d(np.arange(prompt.size), part)
        fitted = JudgeCalibrator().fit(
            signals.take(rest), agreed[rest], groups=prompt[rest], rng=rng
        )
        probability[part] = fitted.predict(signals.take(part))
    return probability


def _worth_trying(known: JudgeSignals) -> list[tuple[Source, CalibrationMethod]]:
    """Leave out candidates that have nothing to read."""
    has_slices = len({key for row in known.slices for key in row}) > 1
    return [c for c in CANDIDATES if c[0] != "slices" or has_slices]


def _out_of_fold(
    fit: Any, known: JudgeSignals, agreed: FloatArray, folds: Sequence[IntArray]
) -> FloatArray:
    held_out = np.empty_like(agreed)
    for fold in folds:
        rest = np.setdiff1d(np.arange(agreed.size), fold)
        chain: _Chain = fit(known.take(rest), agreed[rest])
        held_out[fold] = chain.predict(known.take(fold))
    return held_out


def _from_side(probability: FloatArray, side: IntArray) -> FloatArray:
    """Turn P(first) into P(side) and back; 0.5 where there is no side."""
    return np.where(side > 0, probability, np.where(side < 0, 1.0 - probability, 0.5))


@dataclass(frozen=True, eq=False)
class _Chain:
    """Signals to a score, the score through a monotone map."""

    source: Source
    score: _SignalScore | None
    mapped: CalibratedProbability

    @classmethod
    def fitted(
        cls, source: Source, method: CalibrationMethod, known: JudgeSignals, agreed: FloatArray
    ) -> _Chain:
        score = None
        if source != "stated":
            score = _SignalScore.fitted(known, agreed, with_slices=source == "slices")
        raw = stated_probability(known) if score is None else score.predict(known)
        if not raw.size:
            return cls(source, score, CalibratedProbability.from_dict(_IDENTITY))
        # A named method takes neither folds nor chance.
        rows = np.arange(raw.size)
        mapped = CalibratedProbability(method).fit(
            raw, agreed, groups=rows, rng=np.random.default_rng(0)
        )
        return cls(source, score, mapped)

    def predict(self, known: JudgeSignals) -> FloatArray:
        raw = stated_probability(known) if self.score is None else self.score.predict(known)
        return self.mapped.predict(raw)

    def to_dict(self) -> Meta:
        score = None if self.score is None else self.score.to_dict()
        return {"source": self.source, "score": score, "map": self.mapped.to_dict()}

    @classmethod
    def from_dict(cls, state: Meta) -> _Chain:
        score = None if state["score"] is None else _SignalScore(**_tuples(state["score"]))
        return cls(state["source"], score, CalibratedProbability.from_dict(state["map"]))


@dataclass(frozen=True)
class _SignalScore:
    """Ridge-logistic combination of the signals; the order of the coefficients is `_columns`'."""

    levels: tuple[float, ...]
    slice_names: tuple[str, ...]
    coef: tuple[float, ...]

    @classmethod
    def fitted(cls, known: JudgeSignals, agreed: FloatArray, *, with_slices: bool) -> _SignalScore:
        seen = np.unique(known.strength[~np.isnan(known.strength)])
        levels = seen if seen.size <= MAX_LEVELS else np.quantile(seen, [0, 0.25, 0.5, 0.75])
        names = sorted({key for row in known.slices for key in row}) if with_slices else []
        bare = cls(tuple(levels[1:].tolist()), tuple(names), ())
        columns = bare._columns(known)
        ridge = np.full(columns.shape[1], SIGNAL_RIDGE)
        ridge[0] = 0.0
        ridge[columns.shape[1] - len(names) :] = SLICE_RIDGE
        coef = _ridge_logistic(columns, agreed, ridge)
        return cls(bare.levels, bare.slice_names, tuple(coef.tolist()))

    def predict(self, known: JudgeSignals) -> FloatArray:
        return np.asarray(expit(self._columns(known) @ np.array(self.coef)))

    def to_dict(self) -> Meta:
        return {
            "levels": list(self.levels),
            "slice_names": list(self.slice_names),
            "coef": list(self.coef),
        }

    def _columns(self, known: JudgeSignals) -> FloatArray:
        """Intercept, strength above each level, own log odds, orders, panel, slices."""
        own = np.clip(known.stated, CERTAINTY, 1 - CERTAINTY)
        columns = [np.ones(known.side.size)]
        strength = np.nan_to_num(known.strength, nan=-np.inf)
        columns += [(strength >= level).astype(np.float64) for level in self.levels]
        columns.append(np.nan_to_num(logit(own)))
        columns.append(np.nan_to_num(known.order_agreement))
        columns.append(np.nan_to_num(known.panel_agreement))
        members = [frozenset(row) for row in known.slices]
        columns += [np.array([float(name in row) for row in members]) for name in self.slice_names]
        return np.column_stack(columns)


def _tuples(state: Meta) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(values) for name, values in state.items()}


def _ridge_logistic(columns: FloatArray, agreed: FloatArray, ridge: FloatArray) -> FloatArray:
    """Logistic fit to soft outcomes with a penalty for each column, the intercept's nearly none."""
    penalty = np.maximum(ridge, 1e-3)

    def objective(coef: FloatArray) -> tuple[float, FloatArray]:
        score = columns @ coef
        loss = float((np.logaddexp(0.0, score) - agreed * score).sum())
        slope = columns.T @ (expit(score) - agreed) + penalty * coef
        return loss + 0.5 * float(penalty @ coef**2), slope

    start = np.zeros(columns.shape[1])
    found = minimize(objective, start, jac=True, method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)
