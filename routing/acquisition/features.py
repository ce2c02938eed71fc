"""Response features that a small last layer can learn from few labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from modeling.row_blocks import row_blocks
from routing.core.arrays import FloatArray, IntArray

N_DIRECTIONS = 64
DAMPING = 1.0
"""Power of a direction's relative spread that it is damped by; 0 keeps proportions."""


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

    Differences along the leading one, and those of the last column, the log length, have unit
    standard deviation. Weak directions are damped further, by a power of their spread: under the
    same prior for every weight they may then say less, since they hold noise; whitening them would
    do the contrary. Labels play no part.
    """
    # As the right singular vectors, in O(n e^2) and a matrix of e x e: rounds do it every time.
    directions = eigh(_moment(embeddings, first, second))[1][:, ::-1][:, :n_directions]
    places = _placed(embeddings, directions)
    spread = np.array([_spread(column[first] - column[second]) for column in places.T])
    places *= (spread / spread[0]) ** DAMPING / spread[0]
    length = (log_length - log_length.mean()) / _spread(log_length[first] - log_length[second])
    return np.column_stack([places, length])


def _moment(embeddings: npt.NDArray[np.floating], first: IntArray, second: IntArray) -> FloatArray:
    """Sum of the differences' outer products; a double-precision copy of a block at a time."""
    total = np.zeros((embeddings.shape[1], embeddings.shape[1]))
    for part in row_blocks(len(first)):
        gaps = embeddings[first[part]].astype(np.float64) - embeddings[second[part]]
        total += gaps.T @ gaps
    return total


def _placed(embeddings: npt.NDArray[np.floating], directions: FloatArray) -> FloatArray:
    centre = embeddings.mean(axis=0, dtype=np.float64)
    places = np.empty((len(embeddings), directions.shape[1]))
    for part in row_blocks(len(embeddings)):
        places[part] = (embeddings[part] - centre) @ directions
    return places


def _spread(values: FloatArray) -> float:
    return float(values.std()) or 1.0
