"""Ensemble of small neural reward heads, all members trained in one batched program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from modeling.core.calibration import fit_temperature
from modeling.core.ensemble import RewardEnsemble, bootstrap_weights
from modeling.core.types import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    InvalidInputError,
    PairwiseData,
    Progress,
    as_matrix,
)

if TYPE_CHECKING:
    from modeling.core.mlp_training import Network

MIN_PAIRS_TO_STOP_EARLY = 200
"""Below this the out-of-bag loss is too noisy to choose an epoch by."""


@dataclass(frozen=True)
class MlpOptions:
    """How the members are trained.

    Attributes
    ----------
    hidden : tuple of int, optional
        Widths of the hidden layers; by the number of features when left out.
    learning_rate : float, default 1e-3
        Step size of AdamW.
    weight_decay : float, default 1e-2
        Decoupled weight decay of AdamW.
    max_epochs : int, default 30
        Passes over the pairs; all of them are made with fewer than 200 pairs.
    patience : int, default 4
        Passes without a lower out-of-bag loss after which a member is done.
    batch_size : int, default 32
        Pairs in a step.
    """

    hidden: tuple[int, ...] | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    max_epochs: int = 30
    patience: int = 4
    batch_size: int = 32

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be trained."""
        counts = (self.max_epochs, self.patience, self.batch_size, *(self.hidden or (1,)))
        if min(counts) < 1 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise InvalidInputError(f"options must be positive; got {self}.")

    def widths(self, n_features: int) -> tuple[int, ...]:
        """Choose the hidden layers.

        Parameters
        ----------
        n_features : int
            Number of features.

        Returns
        -------
        tuple of int
            Widths of the hidden layers.
        """
        if self.hidden is not None:
            return self.hidden
        if n_features <= 512:
            return (256, 64)
        return (512, 64) if n_features <= 1024 else (1024, 128)


class MlpEnsemble(RewardEnsemble):
    """K neural reward heads with their own seeds, batches, resampled prompts and stopping epochs.

    Parameters
    ----------
    n_heads : int, default 5
        Members.
    bootstrap : bool, default True
        Give each member Poisson(1) weights by prompt. The prompts that it does not get stop its
        training and set the temperature; without bootstrap all epochs are run at temperature 1.
    options : MlpOptions, optional
        Widths, learning rate, epochs.
    device : str, default "cpu"
        Torch device that does the work.

    Attributes
    ----------
    layers_ : list of (ndarray (K, in, out), ndarray (K, out)) of float32
        Weights and biases; the last layer has one output.
    temperature_ : float
        Divisor of the logits, fitted on out-of-bag members; 1 where there are none.
    held_out_log_loss_ : ndarray of float64, shape (K,)
        Out-of-bag log loss of each member before temperature; NaN without out-of-bag pairs.
    best_epoch_ : ndarray of int64, shape (K,)
        Epoch whose weights each member keeps.

    References
    ----------
    Lakshminarayanan, Pritzel, Blundell 2017, "Simple and scalable predictive uncertainty
    estimation using deep ensembles"; Melo et al. 2024 (arXiv 2406.10023), §5 (reward heads).
    """

    def __init__(
        self,
        n_heads: int = 5,
        bootstrap: bool = True,
        *,
        options: MlpOptions | None = None,
        device: str = "cpu",
    ) -> None:
        if n_heads < 1:
            raise InvalidInputError(f"n_heads must be at least 1; got {n_heads}.")
        self.n_heads = n_heads
        self.bootstrap = bootstrap
        self.options = options or MlpOptions()
        self.device = device

    def fit(
        self, data: PairwiseData, rng: np.random.Generator, *, progress: Progress | None = None
    ) -> Self:
        """Train all members from scratch.

        Parameters
        ----------
        data : PairwiseData
            Labelled pairs, features scaled to about unit spread; pairs of weight 0 are left out.
        rng : numpy.random.Generator
            Source of the bootstrap weights and of every member's own seed.
        progress : callable, optional
            Called after every epoch with the fraction done and a dict of "stage", "epoch",
            "log_loss"; may raise to cancel.

        Returns
        -------
        MlpEnsemble
            Itself.

        Raises
        ------
        InvalidInputError
            If no pair has weight.
        """
        from modeling.core.mlp_training import train

        used = data.take(data.weight > 0)
        if used.n_pairs == 0:
            raise InvalidInputError("data has no pair with positive weight; nothing to learn from.")
        counts = self._counts(used.prompt, rng)
        # Distinct by construction, not by luck: members that start alike end alike.
        seeds = rng.integers(2**62) + np.arange(self.n_heads)
        trained = train(
            used,
            counts * used.weight[:, None],
            seeds,
            self.options,
            self._held_out(counts),
            self.device,
            progress,
        )
        self.layers_ = trained.layers
        self.best_epoch_: IntArray = trained.best_epoch
        self.held_out_log_loss_: FloatArray = trained.held_out_log_loss
        self._fit_temperature(used, counts == 0)
        if progress is not None:
            progress(1.0, {"stage": "done", "log_loss": trained.last_log_loss})
        return self

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
        from modeling.core.mlp_training import predict

        matrix = as_matrix("features", features)
        n_features = self.layers_[0][0].shape[1]
        if matrix.shape[1] != n_features:
            raise InvalidInputError(
                f"features has {matrix.shape[1]} columns; the heads know {n_features}."
            )
        return predict(self.layers_, matrix)

    layers_: Network

    def _counts(self, prompt: IntArray, rng: np.random.Generator) -> FloatArray:
        available = np.ones((prompt.size, self.n_heads), dtype=np.bool_)
        if self.bootstrap:
            return bootstrap_weights(prompt, available, rng)
        return available.astype(np.float64)

    def _held_out(self, counts: FloatArray) -> BoolArray:
        held_out = counts == 0
        enough = len(counts) >= MIN_PAIRS_TO_STOP_EARLY and held_out.any(axis=0).all()
        return held_out if enough else np.zeros_like(held_out)

    def _fit_temperature(self, data: PairwiseData, held_out: BoolArray) -> None:
        self.temperature_ = 1.0
        logits = np.where(held_out.T, self.logits(data), np.nan)
        checkable = held_out.any(axis=1)
        if checkable.any():
            self.temperature_ = fit_temperature(
                logits[:, checkable], data.target[checkable], data.weight[checkable]
            )
