"""Response features that a small last layer can learn from few labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from routing.core.arrays import FloatArray, IntArray

N_DIRECTIONS = 64


@dataclass(frozen=True, eq=False)
class Sides:
    """Features of the first and the second responses of some comparisons, each (n, m)."""

    first: FloatArray
    second: FloatArray

    @property
    def differences(self) -> FloatArray:
        """First minus second."""
        return self.first - self.second

    def take(self, rows: IntArray) -> Sides:
        """The same for some of the comparisons."""
        return Sides(self.first[rows], self.second[rows])


def leading_features(
    embeddings: npt.NDArray[np.floating],
    log_length: FloatArray,
    first: IntArray,
    second: IntArray,
    *,
    n_directions: int = N_DIRECTIONS,
) -> FloatArray:
    """Return, per response, its place along the leading directions of the differences.

    Directions keep their proportions: whitening them would blow up the weak ones, which hold
    noise. Differences along the leading one, and those of the last column, the log length, have
    unit standard deviation. Labels play no part.
    """
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    # As the right singular vectors, in O(n e^2) and a matrix of e x e: rounds do it every time.
    differences = centred[first] - centred[second]
    directions = eigh(differences.T @ differences)[1][:, ::-1]
    places = centred @ directions[:, :n_directions]
    scale = _spread(places[first, 0] - places[second, 0])
    length = (log_length - log_length.mean()) / _spread(log_length[first] - log_length[second])
    return np.column_stack([places / scale, length])


def _spread(values: FloatArray) -> float:
    return float(values.std()) or 1.0
