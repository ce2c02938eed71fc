"""Greedy designs on the last layer: D-optimal, and EPIG for a normal posterior."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from routing.core.acquisition.base import AcquisitionInputs, Selection, Strategy
from routing.core.acquisition.d_optimal import prior_design
from routing.core.acquisition.picking import argbest, pick_sequentially, tie_breaker
from routing.core.acquisition.random import RANDOM
from routing.core.arrays import BoolArray, FloatArray, as_matrix, as_vector

# Share of the pool from which a strategy hardly chooses any more.
_EARLY_SHARE: Final = 0.4
# Labels per last-layer weight until which lengths are left out.
_LABELS_PER_WEIGHT: Final = 2


class TargetedDesign:
    """Greedy reduction of the uncertainty about the labels of targets.

    With last-layer weights of covariance C, a label of candidate i leaves
    ``C - v_i C x_i x_i' C / (1 + v_i x_i' C x_i)``. The expected log loss that not knowing the
    weights costs on target j is about ``v_j x_j' C x_j / 2``, so the label saves
    ``v_i x_i' C M C x_i / (2 (1 + v_i x_i' C x_i))`` with ``M = mean_j v_j x_j x_j'``: the
    expansion of EPIG to first order in the logit variance, in nats.

    Parameters
    ----------
    features : array-like of shape (n, m)
        Feature differences of the candidates.
    curvature : array-like of shape (n,)
        p (1 - p) of each candidate.
    covariance : array-like of shape (m, m)
        Covariance of the weights.
    target_moment : array-like of shape (m, m)
        Matrix M above.

    Notes
    -----
    O(n m^2) once and O(n m) per pick: the two products that a rank-one update changes.

    References
    ----------
    Bickford Smith et al., "Prediction-oriented Bayesian active learning", AISTATS 2023, eq. 6
    (the criterion); Cohn, Ghahramani and Jordan, "Active learning with statistical models", JAIR
    1996, eq. 5 (mean predictive variance as the aim).
    """

    def __init__(
        self,
        features: npt.ArrayLike,
        curvature: npt.ArrayLike,
        covariance: npt.ArrayLike,
        target_moment: npt.ArrayLike,
    ) -> None:
        self._x = as_matrix("features", features)
        side = self._x.shape[1]
        self._v = as_vector("curvature", curvature, len(self._x))
        self._covariance = as_matrix("covariance", covariance, (side, side)).copy()
        self._moment = as_matrix("target_moment", target_moment, (side, side))
        spread = self._x @ self._covariance
        self._variance = np.einsum("ij,ij->i", spread, self._x)
        self._reach = np.einsum("ij,ij->i", spread @ self._moment, spread)

    @property
    def gain(self) -> FloatArray:
        """Log loss on the targets that one more label of each candidate saves.

        Returns
        -------
        ndarray of float64, shape (n,)
            Gains in nats, 0 or more.
        """
        return np.asarray(0.5 * self._v * self._reach / (1.0 + self._v * self._variance))

    def add(self, row: int) -> None:
        """Count one candidate as labelled.

        Parameters
        ----------
        row : int
            Candidate.
        """
        direction = self._covariance @ self._x[row]
        seen = self._covariance @ (self._moment @ direction)
        scale = float(self._v[row] / (1.0 + self._v[row] * (self._x[row] @ direction)))
        along, across = (self._x @ np.column_stack([direction, seen])).T
        strength = float(direction @ self._moment @ direction)
        self._variance = np.maximum(self._variance - scale * along**2, 0.0)
        change = scale**2 * strength * along**2 - 2.0 * scale * along * across
        self._reach = np.maximum(self._reach + change, 0.0)
        self._covariance -= scale * np.outer(direction, direction)


def _select(inputs: AcquisitionInputs, batch_size: int, rng: np.random.Generator) -> Selection:
    start, hashes = prior_design(inputs), tie_breaker(inputs, rng)
    features = start.features
    targets, weight = features, start.curvature
    if inputs.target_differences is not None and inputs.posterior is not None:
        targets = np.asarray(inputs.target_differences, dtype=np.float64)
        weight = inputs.posterior.curvature(targets)
    moment = (targets * weight[:, None]).T @ targets / max(len(targets), 1)
    design = TargetedDesign(features, start.curvature, start.inverse, moment)

    def choose(open_: BoolArray) -> tuple[int, float]:
        gain = design.gain
        row = argbest(gain, open_, hashes)
        design.add(row)
        return row, float(gain[row])

    return pick_sequentially(inputs, batch_size, choose)


def _select_direction(
    inputs: AcquisitionInputs, batch_size: int, rng: np.random.Generator
) -> Selection:
    return _select(in_unit_length(inputs), batch_size, rng)


def in_unit_length(inputs: AcquisitionInputs) -> AcquisitionInputs:
    """Return the inputs with every feature difference at the typical length.

    A long difference always looks informative to a linear model, and on preferences it is most
    often an outlier: an empty or broken response. Without lengths only directions count.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates with `difference_features`.

    Returns
    -------
    AcquisitionInputs
        Differences of one length, root mean square of what was; the posterior has the same prior
        and is narrowed by the same labels.
    """
    features = np.asarray(inputs.difference_features, dtype=np.float64)
    size = float(np.sqrt((features**2).sum(axis=1).mean())) if len(features) else 0.0
    known, targets = inputs.labelled_differences, inputs.target_differences
    shortened = replace(
        inputs,
        difference_features=_at_length(features, size),
        labelled_differences=None if known is None else _at_length(known, size),
        target_differences=None if targets is None else _at_length(targets, size),
    )
    if inputs.posterior is None or known is None:
        return shortened
    # The mean stays: it predicts best, and only the curvature p (1 - p) reads it.
    information = inputs.posterior.curvature(known)
    if inputs.labelled_weight is not None:
        information = information * inputs.labelled_weight
    prior = inputs.posterior.before_labels()
    narrowed = prior.with_information(_at_length(known, size), information)
    return replace(shortened, posterior=narrowed)


def _at_length(features: FloatArray, size: float) -> FloatArray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
    return np.asarray(size * unit)


def _select_early(
    inputs: AcquisitionInputs, batch_size: int, rng: np.random.Generator
) -> Selection:
    acquired = int(inputs.counts.sum())
    if acquired >= _EARLY_SHARE * (acquired + inputs.n_candidates):
        return RANDOM.select(inputs, batch_size, rng)
    return _select_direction(inputs, batch_size, rng)


def _select_staged(
    inputs: AcquisitionInputs, batch_size: int, rng: np.random.Generator
) -> Selection:
    """Leave lengths out while the weights are hardly known, trust them then, end at random.

    Long differences lie along few leading directions: chosen from the start, they leave the others
    unknown. Once there are two labels per weight they tell most, unless prompts are fewer than
    weights: then they are differences of the same few responses again and again.
    """
    acquired = int(inputs.counts.sum())
    n_weights = np.asarray(inputs.difference_features).shape[1]
    if acquired < _LABELS_PER_WEIGHT * n_weights or inputs.n_prompts < n_weights:
        return _select_early(inputs, batch_size, rng)
    if acquired >= _EARLY_SHARE * (acquired + inputs.n_candidates):
        return RANDOM.select(inputs, batch_size, rng)
    return _select(inputs, batch_size, rng)


EPIG_LINEAR: Final = Strategy(
    "epig_linear-v1",
    "EPIG, last layer",
    "What lowers the expected loss on all comparisons most, one after the other.",
    ("difference_features",),
    _select,
)
EPIG_DIRECTION: Final = Strategy(
    "epig_direction-v1",
    "EPIG by direction",
    "As EPIG, last layer, but blind to how far apart two responses are: outliers do not win.",
    ("difference_features",),
    _select_direction,
)
EPIG_EARLY: Final = Strategy(
    "epig_early-v1",
    "EPIG by direction, then random",
    "EPIG by direction while most of the pool is open, then at random: what is left by then is "
    "what the strategy did not want, and labels must still look like the rest.",
    ("difference_features",),
    _select_early,
)
EPIG_STAGED: Final = Strategy(
    "epig_staged-v1",
    "EPIG in stages",
    "EPIG by direction until there are two labels per weight of the last layer, then EPIG with "
    "lengths if prompts are not fewer than weights; at random once two fifths of the pool are "
    "labelled.",
    ("difference_features",),
    _select_staged,
)
