"""Bootstrap ensemble of linear Bradley-Terry reward heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np

from modeling.core.calibration import fit_temperature, mean_probability
from modeling.core.ensemble import RewardEnsemble, bootstrap_weights
from modeling.core.heads import HeadsFit, fit_heads
from modeling.core.laplace import laplace_posteriors, prior_grid
from modeling.core.metrics import group_split, log_loss
from modeling.core.stored import Stored
from modeling.core.types import (
    Arrays,
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    InvalidInputError,
    Meta,
    PairwiseData,
    Progress,
    as_matrix,
)

PriorRule = Literal["cv", "evidence"]

USUAL_ITERATIONS = 15
"""Iterations after which a stage is reported as nearly done; few fits need more."""


class BradleyTerryEnsemble(RewardEnsemble, Stored):
    """K linear reward heads fitted to resampled prompts, all in one program.

    Parameters
    ----------
    n_heads : int, default 8
        Members.
    prior_precision : float, "cv" or "evidence", default "cv"
        Precision of the Gaussian prior on the weights (`1 / C` of scikit-learn), or how to choose
        it over a grid scaled to the features: log loss over folds of prompts, or Laplace evidence,
        which spends no labels on validation.
    bootstrap : bool, default True
        Give each member Poisson(1) weights by prompt; without it all members are equal.
    n_folds : int, default 5
        Folds of prompts for the prior and the temperature.
    device : str, default "cpu"
        Torch device that does the work.

    Attributes
    ----------
    weights_ : ndarray of float32, shape (K, d)
        One head per row.
    prior_precision_ : float
        Precision in use.
    temperature_ : float
        Divisor of the logits, fitted on held-out folds; 1 with fewer than two prompts.
    held_out_log_loss_ : float
        Log loss of the ensemble over held-out folds after temperature; NaN with fewer than two
        prompts. Slightly flattering, since the temperature saw the same pairs.
    converged_ : bool
        Whether every member met the tolerance.

    References
    ----------
    Bradley and Terry 1952; Owen and Eckles 2012 (Poisson bootstrap); MacKay 1992 (evidence).
    """

    def __init__(
        self,
        n_heads: int = 8,
        prior_precision: float | PriorRule = "cv",
        bootstrap: bool = True,
        *,
        n_folds: int = 5,
        device: str = "cpu",
    ) -> None:
        if n_heads < 1 or n_folds < 2:
            raise InvalidInputError(
                f"n_heads must be >= 1 and n_folds >= 2; got {n_heads}, {n_folds}."
            )
        if isinstance(prior_precision, str) and prior_precision not in ("cv", "evidence"):
            raise InvalidInputError(
                f"prior_precision must be a number, 'cv' or 'evidence'; got {prior_precision!r}."
            )
        self.n_heads = n_heads
        self.prior_precision = prior_precision
        self.bootstrap = bootstrap
        self.n_folds = n_folds
        self.device = device

    def fit(
        self, data: PairwiseData, rng: np.random.Generator, *, progress: Progress | None = None
    ) -> Self:
        """Choose the prior, fit the temperature on held-out folds, fit the members.

        Parameters
        ----------
        data : PairwiseData
            Labelled pairs; pairs of weight 0 are left out.
        rng : numpy.random.Generator
            Source of folds and bootstrap weights.
        progress : callable, optional
            Called several times with the fraction done and a dict of "stage" ("prior",
            "temperature", "members", "done"), "iteration" and "log_loss"; may raise to cancel.

        Returns
        -------
        BradleyTerryEnsemble
            Itself.

        Raises
        ------
        InvalidInputError
            If no pair has weight, or "cv" is asked for with fewer than two prompts.
        """
        used = data.take(data.weight > 0)
        if used.n_pairs == 0:
            raise InvalidInputError("data has no pair with positive weight; nothing to learn from.")
        fold = _folds(used.prompt, self.n_folds, rng)
        self.prior_precision_ = self._choose_prior(used, fold, _stage(progress, "prior", 0.0, 0.4))
        report = _stage(progress, "temperature", 0.4, 0.7)
        self._fit_temperature(used, fold, rng, report)
        available = np.ones((used.n_pairs, self.n_heads), dtype=np.bool_)
        members = self._fit_members(used, available, rng, _stage(progress, "members", 0.7, 1.0))
        self.weights_: Float32Array = np.ascontiguousarray(members.weights_.T)
        self.converged_ = members.converged_
        if progress is not None:
            progress(1.0, {"stage": "done", "log_loss": float(members.log_loss_.mean())})
        return self

    def cross_fitted_logits(
        self, data: PairwiseData, rng: np.random.Generator, *, progress: Progress | None = None
    ) -> FloatArray:
        """Logits of every pair by members that saw no pair of its prompt.

        Chooses the prior as `fit` does, and sets the temperature that suits these logits.

        Parameters
        ----------
        data : PairwiseData
            Labelled pairs of at least two prompts, all of positive weight.
        rng : numpy.random.Generator
            Source of folds and bootstrap weights.
        progress : callable, optional
            As in `fit`; may raise to cancel.

        Returns
        -------
        ndarray of float64, shape (K, n)
            After temperature.

        Raises
        ------
        InvalidInputError
            If there are fewer than two prompts.
        """
        fold = _folds(data.prompt, self.n_folds, rng)
        if int(fold.max(initial=0)) + 1 < 2:
            raise InvalidInputError("cross-fitting needs at least two prompts; label another one.")
        self.prior_precision_ = self._choose_prior(data, fold, _stage(progress, "prior", 0.0, 0.5))
        report = _stage(progress, "members", 0.5, 1.0)
        logits = self._held_out_logits(data, fold, rng, report)
        self.temperature_ = fit_temperature(logits, data.target, data.weight)
        return logits / self.temperature_

    def rewards(self, features: Any) -> Float32Array:
        """Rewards by each member, defined up to a constant per member.

        Parameters
        ----------
        features : array-like of float32, shape (n, d)
            One row per response.

        Returns
        -------
        ndarray of float32, shape (K, n)
            Rewards before temperature.

        Raises
        ------
        InvalidInputError
            If the number of columns differs from the fitted one.
        """
        matrix = as_matrix("features", features)
        if matrix.shape[1] != self.weights_.shape[1]:
            raise InvalidInputError(
                f"features has {matrix.shape[1]} columns; the heads know {self.weights_.shape[1]}."
            )
        return np.ascontiguousarray((matrix @ self.weights_.T).T)

    def to_arrays(self) -> tuple[Arrays, Meta]:
        """Take the fitted state apart.

        Returns
        -------
        arrays : dict of str to ndarray
            Weights.
        meta : dict
            Options and fitted numbers, ready for JSON.
        """
        meta = {
            "kind": "bradley_terry-v1",
            "n_heads": self.n_heads,
            "prior_precision": self.prior_precision,
            "bootstrap": self.bootstrap,
            "n_folds": self.n_folds,
            "fitted_prior_precision": self.prior_precision_,
            "temperature": self.temperature_,
            # JSON has no NaN.
            "held_out_log_loss": None
            if np.isnan(self.held_out_log_loss_)
            else self.held_out_log_loss_,
            "converged": self.converged_,
        }
        return {"weights": self.weights_}, meta

    stored_as = "ensemble"
    stored_arrays = ("weights",)
    stored_meta = (
        "n_heads",
        "prior_precision",
        "bootstrap",
        "n_folds",
        "fitted_prior_precision",
        "temperature",
        "held_out_log_loss",
        "converged",
    )

    @classmethod
    def _restored(cls, arrays: Arrays, meta: Meta) -> Self:
        n_heads, prior_precision, bootstrap, n_folds = (meta[name] for name in cls.stored_meta[:4])
        ensemble = cls(n_heads, prior_precision, bootstrap, n_folds=n_folds)
        ensemble.weights_ = as_matrix("weights", arrays["weights"])
        ensemble.prior_precision_ = float(meta["fitted_prior_precision"])
        ensemble.temperature_ = float(meta["temperature"])
        held_out = meta["held_out_log_loss"]
        ensemble.held_out_log_loss_ = float("nan") if held_out is None else float(held_out)
        ensemble.converged_ = bool(meta["converged"])
        return ensemble

    def _choose_prior(self, data: PairwiseData, fold: IntArray, report: _Report | None) -> float:
        if not isinstance(self.prior_precision, str):
            return float(self.prior_precision)
        grid = prior_grid(data.differences)
        if self.prior_precision == "evidence":
            posteriors = laplace_posteriors(
                data.differences, data.target, data.weight, prior_precisions=grid
            )
            return float(grid[int(np.argmax([fit.log_evidence for fit in posteriors]))])
        losses = self._cross_validate(data, fold, grid, report)
        return float(grid[int(np.argmin(losses))])

    def _cross_validate(
        self, data: PairwiseData, fold: IntArray, grid: FloatArray, report: _Report | None
    ) -> list[float]:
        n_folds = int(fold.max()) + 1
        if n_folds < 2:
            raise InvalidInputError(
                "choosing the prior by cross-validation needs at least two prompts; label another "
                "prompt, or pass prior_precision as a number or 'evidence'."
            )
        trains = fold[:, None] != np.arange(n_folds)
        # Columns run over folds first, then over the grid.
        weights = np.tile(trains * data.weight[:, None], (1, grid.size))
        fit = self._fit_heads(data, weights, np.repeat(grid, n_folds), report)
        logits = (data.differences @ fit.weights_).reshape(data.n_pairs, grid.size, n_folds)
        held_out = logits[np.arange(data.n_pairs), :, fold].astype(np.float64)
        return [
            log_loss(mean_probability(column[None, :], 1.0), data.target, data.weight)
            for column in held_out.T
        ]

    def _fit_temperature(
        self,
        data: PairwiseData,
        fold: IntArray,
        rng: np.random.Generator,
        report: _Report | None,
    ) -> None:
        self.temperature_, self.held_out_log_loss_ = 1.0, float("nan")
        if int(fold.max()) + 1 < 2:
            return
        held_out = self._held_out_logits(data, fold, rng, report)
        self.temperature_ = fit_temperature(held_out, data.target, data.weight)
        probability = mean_probability(held_out, self.temperature_)
        self.held_out_log_loss_ = log_loss(probability, data.target, data.weight)

    def _held_out_logits(
        self,
        data: PairwiseData,
        fold: IntArray,
        rng: np.random.Generator,
        report: _Report | None,
    ) -> FloatArray:
        n_folds = int(fold.max()) + 1
        column_fold = np.repeat(np.arange(n_folds), self.n_heads)
        fit = self._fit_members(data, fold[:, None] != column_fold, rng, report)
        logits = (data.differences @ fit.weights_).reshape(data.n_pairs, n_folds, self.n_heads)
        return np.asarray(logits[np.arange(data.n_pairs), fold].T.astype(np.float64))

    def _fit_members(
        self,
        data: PairwiseData,
        available: BoolArray,
        rng: np.random.Generator,
        report: _Report | None,
    ) -> HeadsFit:
        counts = (
            bootstrap_weights(data.prompt, available, rng)
            if self.bootstrap
            else available.astype(np.float64)
        )
        prior = np.full(available.shape[1], self.prior_precision_)
        return self._fit_heads(data, counts * data.weight[:, None], prior, report)

    def _fit_heads(
        self, data: PairwiseData, weights: FloatArray, prior: FloatArray, report: _Report | None
    ) -> HeadsFit:
        targets = np.broadcast_to(data.target[:, None], weights.shape)
        return fit_heads(
            data.differences,
            targets,
            weights,
            prior_precision=prior,
            device=self.device,
            on_iteration=report,
        )


_Report = Callable[[int, FloatArray], None]


def _folds(prompt: IntArray, n_folds: int, rng: np.random.Generator) -> IntArray:
    n_parts = min(n_folds, np.unique(prompt).size)
    fold = np.empty(prompt.size, dtype=np.int64)
    for number, rows in enumerate(group_split(prompt, [1 / n_parts] * n_parts, rng)):
        fold[rows] = number
    return fold


def _stage(progress: Progress | None, stage: str, start: float, end: float) -> _Report | None:
    if progress is None:
        return None

    def report(iteration: int, objectives: FloatArray) -> None:
        share = min(iteration / USUAL_ITERATIONS, 1.0)
        details = {"stage": stage, "iteration": iteration, "log_loss": float(objectives.mean())}
        progress(start + (end - start) * share, details)

    report(0, np.array([np.log(2.0)]))
    return report
