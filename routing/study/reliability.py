"""Does the ranking of mixes hold on other prompts? Cross-validation over mixes cannot tell."""

import numpy as np
from scipy.stats import rankdata

from routing.core.arrays import BoolArray, FloatArray, IntArray, Interval

_N_SPLITS = 200


def split_half_correlation(
    values: FloatArray, prompt: IntArray, human_share: FloatArray, rng: np.random.Generator
) -> Interval:
    """Correlate the ranking of mixes on one half of the prompts with that on the other.

    ``values`` are log-likelihoods, shape (rows, mixes). Every mix is judged on the same prompts,
    so a model of performance may learn those prompts; two halves share none. The effect of the
    human share alone is taken out first, because only *which* comparisons is in question.
    """
    groups, row_group = np.unique(prompt, return_inverse=True)
    sums = np.zeros((len(groups), values.shape[1]))
    np.add.at(sums, row_group, values)
    sizes = np.bincount(row_group).astype(np.float64)
    first = rng.random((_N_SPLITS, len(groups))).argsort(axis=1) < len(groups) // 2
    sides = [_residual_ranks(side, sums, sizes, human_share) for side in (first, ~first)]
    draws = (sides[0] * sides[1]).sum(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(draws.mean()), float(low), float(high))


def _residual_ranks(
    chosen: BoolArray, sums: FloatArray, sizes: FloatArray, human_share: FloatArray
) -> FloatArray:
    """Return unit-length centred ranks of what is left after a parabola in the human share."""
    mean = (chosen @ sums) / (chosen @ sizes)[:, None]
    design = np.vander(human_share, 3)
    residual = mean.T - design @ np.linalg.lstsq(design, mean.T, rcond=None)[0]
    ranks = rankdata(residual.T, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True), dtype=np.float64)
