"""What all reward-model ensembles have in common: members, logits, calibrated probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.core.calibration import mean_probability
from modeling.core.types import Float32Array, FloatArray, IntArray, InvalidInputError, PairwiseData


class RewardEnsemble(ABC):
    """K reward functions whose differences are Bradley-Terry logits.

    Attributes
    ----------
    temperature_ : float
        Divisor of every member's logits, fitted on pairs that the members did not see.
    """

    temperature_: float

    @abstractmethod
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
        """

    def logits(self, first: Any, second: Any = None) -> FloatArray:
        """Bradley-Terry logits by each member, after temperature.

        Parameters
        ----------
        first : PairwiseData, or array-like of float32, shape (n, d)
            Pairs, or the features of the first responses.
        second : array-like of float32, shape (n, d), optional
            Features of the second responses, where `first` is not a PairwiseData.

        Returns
        -------
        ndarray of float64, shape (K, n)
            `log(p / (1 - p))` of each member; exchanging first and second negates it exactly.

        Raises
        ------
        InvalidInputError
            If the second features are missing or of another shape.
        """
        if isinstance(first, PairwiseData):
            every = self.rewards(first.features).astype(np.float64)
            return (every[:, first.first] - every[:, first.second]) / self.temperature_
        if second is None or np.shape(first) != np.shape(second):
            shape = None if second is None else np.shape(second)
            raise InvalidInputError(
                f"first and second must have one shape; got {np.shape(first)} and {shape}."
            )
        reward_first = self.rewards(first).astype(np.float64)
        return (reward_first - self.rewards(second)) / self.temperature_

    def predict_proba(self, first: Any, second: Any = None) -> FloatArray:
        """P(first preferred): mean of the members' probabilities after temperature.

        Parameters
        ----------
        first : PairwiseData, or array-like of float32, shape (n, d)
            Pairs, or the features of the first responses.
        second : array-like of float32, shape (n, d), optional
            Features of the second responses, where `first` is not a PairwiseData.

        Returns
        -------
        ndarray of float64, shape (n,)
            Probabilities; exchanging first and second gives exactly one minus them.
        """
        return mean_probability(self.logits(first, second), 1.0)


def bootstrap_weights(
    prompt: IntArray, available: NDArray[Any], rng: np.random.Generator
) -> FloatArray:
    """Draw Poisson(1) weights by prompt, one column per member.

    A Poisson count for every prompt is the cluster bootstrap without a fixed total; about 37 % of
    the prompts of each member get weight 0 and can serve to validate it.

    Parameters
    ----------
    prompt : ndarray of int64, shape (n,)
        Group code of each pair.
    available : ndarray of bool, shape (n, K)
        Pairs that the member may use at all; every column has at least one.
    rng : numpy.random.Generator
        Source of the counts.

    Returns
    -------
    ndarray of float64, shape (n, K)
        Non-negative whole numbers, 0 where not available; no column is all zero.

    References
    ----------
    Owen and Eckles 2012, "Bootstrapping data arrays of arbitrary order" (Poisson weights).
    """
    codes = np.unique(prompt, return_inverse=True)[1]
    n_prompts = int(codes.max()) + 1
    weights = np.zeros(available.shape)
    empty = np.arange(available.shape[1])
    while empty.size:
        counts = rng.poisson(1.0, size=(n_prompts, empty.size))
        weights[:, empty] = counts[codes] * available[:, empty]
        empty = empty[weights[:, empty].sum(axis=0) == 0]
    return weights
