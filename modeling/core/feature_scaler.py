"""Columns brought to one scale, as they were when a model was trained."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from modeling.core.stored import Stored
from modeling.core.types import (
    Arrays,
    Float32Array,
    InvalidInputError,
    Meta,
    as_matrix,
)


class FeatureScaler(Stored):
    """Centre every column and give it unit standard deviation; constant columns become 0.

    Attributes
    ----------
    mean_ : ndarray of float32, shape (d,)
        Column means.
    scale_ : ndarray of float32, shape (d,)
        Factor of each column: 1 / standard deviation, 0 for constant columns.
    """

    def fit(self, features: Any) -> Self:
        """Learn mean and spread.

        Parameters
        ----------
        features : array-like of float32, shape (n, d)
            Rows to learn from.

        Returns
        -------
        FeatureScaler
            Itself.

        Raises
        ------
        InvalidInputError
            If there is no row.
        """
        matrix = as_matrix("features", features)
        if len(matrix) == 0:
            raise InvalidInputError("features has no rows; the scaler needs at least one.")
        mean = matrix.mean(axis=0, dtype=np.float64)
        spread = matrix.std(axis=0, dtype=np.float64)
        # Rounding leaves a constant column of large numbers with a spread of about 1e-7 of them.
        varies = spread > 1e-6 * np.maximum(np.abs(mean), 1e-6)
        inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
        self.mean_: Float32Array = mean.astype(np.float32)
        self.scale_: Float32Array = inverse.astype(np.float32)
        return self

    def transform(self, features: Any) -> Float32Array:
        """Scale rows.

        Parameters
        ----------
        features : array-like of float32, shape (n, d)
            Rows to scale.

        Returns
        -------
        ndarray of float32, shape (n, d)
            Scaled rows.

        Raises
        ------
        InvalidInputError
            If the number of columns differs from the fitted one.
        """
        matrix = as_matrix("features", features)
        if matrix.shape[1] != self.mean_.size:
            raise InvalidInputError(
                f"features has {matrix.shape[1]} columns; the scaler knows {self.mean_.size}."
            )
        scaled: Float32Array = (matrix - self.mean_) * self.scale_
        return scaled

    stored_as = "scaler"
    stored_arrays = ("mean", "scale")
    stored_meta = ("kind",)

    def to_arrays(self) -> tuple[Arrays, Meta]:
        """Take mean and scale apart.

        Returns
        -------
        arrays : dict of str to ndarray
            Mean and scale.
        meta : dict
            Kind and version.
        """
        return {"mean": self.mean_, "scale": self.scale_}, {"kind": "feature_scaler-v1"}

    @classmethod
    def _restored(cls, arrays: Arrays, meta: Meta) -> Self:
        scaler = cls()
        scaler.mean_ = np.asarray(arrays["mean"], dtype=np.float32)
        scaler.scale_ = np.asarray(arrays["scale"], dtype=np.float32)
        return scaler
