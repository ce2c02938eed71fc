"""A flat map of the prompts: what is open, what is labelled, what a round picked."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from routing.core.arrays import BoolArray, Float32Array, IntArray

MAX_POINTS = 1_500
OPEN, LABELLED, RANDOM, POLICY = "open", "labelled", "random", "policy"
SIZE = 1_000
MAX_COLUMNS = 1_000


def prompt_map(
    points: Float32Array, acquired: IntArray, prompts: IntArray, is_random: BoolArray, *, seed: int
) -> dict[str, Any]:
    """Place prompts on their two leading principal axes, in thousandths of the map's width.

    Every pick is shown; of the others a sample, the same for the same seed.
    """
    kinds = np.where(acquired > 0, LABELLED, OPEN).astype(object)
    kinds[prompts[is_random]] = RANDOM
    kinds[prompts[~is_random]] = POLICY
    places, shares = _places(points, seed)
    picked = np.unique(prompts)
    others = np.setdiff1d(np.arange(len(points)), picked)
    n_others = min(len(others), max(0, MAX_POINTS - len(picked)))
    sample = np.random.default_rng(seed).choice(others, size=n_others, replace=False)
    shown = np.concatenate([np.sort(sample), picked])
    return {
        "points": [[*places[row].tolist(), kinds[row]] for row in shown.tolist()],
        "variance": [round(float(share), 4) for share in shares],
        "counts": {kind: int((kinds == kind).sum()) for kind in (OPEN, LABELLED, RANDOM, POLICY)},
    }


def _axes(n_axes: int, shape: tuple[int, ...], seed: int) -> PCA:
    if shape[1] <= MAX_COLUMNS and shape[0] >= 10 * shape[1]:
        # From the matrix of products, which needs no centred copy of all points.
        return PCA(n_components=n_axes, svd_solver="covariance_eigh", copy=False)
    return PCA(n_components=n_axes, random_state=seed)


def _places(points: Float32Array, seed: int) -> tuple[IntArray, Any]:
    n_axes = min(2, *points.shape)
    fitted = _axes(n_axes, points.shape, seed).fit(points)
    flat = np.zeros((len(points), 2))
    flat[:, :n_axes] = fitted.transform(points)
    # An axis has no sign of its own; the farthest prompt decides, so that maps do not flip.
    farthest = np.abs(flat).argmax(axis=0)
    flat *= np.where(flat[farthest, [0, 1]] < 0, -1.0, 1.0)
    low, high = flat.min(axis=0), flat.max(axis=0)
    scaled = (flat - low) / np.where(high > low, high - low, 1.0)
    return np.rint(20 + (SIZE - 40) * scaled).astype(np.int64), fitted.explained_variance_ratio_
