"""Performance-prediction models to compare the ridge form with."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from routing.core.arrays import FloatArray, as_matrix, as_vector
from routing.core.ppm import checked_mixes


class HyperReferencePpm:
    """The reference's PPM: unregularised least squares on all quadratic terms of raw counts.

    Parameters
    ----------
    tag_counts : array-like of shape (T,)
        Comparisons per tag in the pool the shares refer to; turns shares into counts.

    Notes
    -----
    With fewer mixes than columns this is the interpolating solution of least norm. Kept as a
    baseline only: it is unstable wherever tags are rare.

    References
    ----------
    Miranda et al., ACL 2025, section 2.2 and table 2 (quadratic).
    """

    def __init__(self, tag_counts: npt.ArrayLike) -> None:
        self.tag_counts = tag_counts

    def fit(self, shares: npt.ArrayLike, b: npt.ArrayLike, performance: npt.ArrayLike) -> Self:
        """Fit by least squares of least norm.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares; not used, as in the reference.
        performance : array-like of shape (n_mixes,)
            Measured performance.

        Returns
        -------
        HyperReferencePpm
            Itself.
        """
        share, _, target = checked_mixes(shares, b, performance)
        design = self._design(share)
        centre = design.mean(axis=0)
        self.coef_ = np.linalg.lstsq(design - centre, target - target.mean(), rcond=None)[0]
        self.intercept_ = float(target.mean() - centre @ self.coef_)
        return self

    def _design(self, shares: FloatArray) -> FloatArray:
        counts = shares * as_vector("tag_counts", self.tag_counts, shares.shape[1])
        first, second = np.triu_indices(counts.shape[1])
        return np.hstack([counts, counts[:, first] * counts[:, second]])

    def predict(self, shares: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
        """Return the predicted performance of mixes.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares; not used, as in the reference.

        Returns
        -------
        ndarray of float64, shape (n_mixes,)
            Performance in the unit of `fit`.
        """
        share = as_matrix("shares", shares, (len(np.asarray(b)), None))
        return np.asarray(self.intercept_ + self._design(share) @ self.coef_)


class GradientBoostedPpm:
    """Boosted trees on tag shares and the human share: a check on the ridge form.

    Parameters
    ----------
    seed : int
        Seed of the row sampling.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, shares: npt.ArrayLike, b: npt.ArrayLike, performance: npt.ArrayLike) -> Self:
        """Fit small trees.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares.
        performance : array-like of shape (n_mixes,)
            Measured performance.

        Returns
        -------
        GradientBoostedPpm
            Itself.
        """
        from sklearn.ensemble import GradientBoostingRegressor

        share, human, target = checked_mixes(shares, b, performance)
        # Shallow trees and sampled rows: a few hundred mixes overfit the library's defaults.
        model = GradientBoostingRegressor(
            n_estimators=200,
            max_depth=2,
            learning_rate=0.05,
            subsample=0.7,
            max_features=0.3,
            random_state=self.seed,
        )
        self.model_ = model.fit(np.column_stack([share, human]), target)
        return self

    def predict(self, shares: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
        """Return the predicted performance of mixes.

        Parameters
        ----------
        shares : array-like of shape (n_mixes, T)
            Tag shares.
        b : array-like of shape (n_mixes,)
            Human shares.

        Returns
        -------
        ndarray of float64, shape (n_mixes,)
            Performance in the unit of `fit`.
        """
        design = np.column_stack([np.asarray(shares, float), np.asarray(b, float)])
        return np.asarray(self.model_.predict(design), dtype=np.float64)
