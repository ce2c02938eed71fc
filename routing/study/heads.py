"""Cheap reward models for a study: one linear head per mix over frozen features."""

from dataclasses import dataclass

import numpy as np

from modeling.core.heads import fit_heads
from modeling.core.metrics import (
    Interval,
    cluster_bootstrap_interval,
    group_split,
    paired_difference_interval,
)
from routing.core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from routing.core.mixes import mix_targets

_PRIOR_GRID = np.array([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0])
_PRIOR_FOLDS = 4


@dataclass(frozen=True)
class Part:
    """Double-labelled response pairs of one side of the split.

    ``weight`` is how many comparisons of the pool each stands for; its mean is one.
    """

    differences: Float32Array
    human: FloatArray
    human_share: FloatArray
    judge: FloatArray
    prompt: IntArray
    tags: BoolArray
    judge_probability: FloatArray
    weight: FloatArray

    def take(self, rows: IntArray) -> "Part":
        """The same for some of the rows."""
        return Part(**{name: values[rows] for name, values in vars(self).items()})

    @property
    def disagrees(self) -> BoolArray:
        """Whether the judge's label is another than the human's; a tie against a side counts."""
        return np.asarray(np.abs(self.human - self.judge) >= 0.5, dtype=np.bool_)


def train_heads(
    train: Part, mixes: BoolArray, *, prior: float, multiplicity: IntArray | None = None
) -> Float32Array:
    """Return one head per mix; ``multiplicity`` says how often each row is used in each mix."""
    targets, weights = mix_targets(mixes, train.human, train.judge)
    weights = weights * train.weight[:, None]
    if multiplicity is not None:
        weights = weights * multiplicity.T
    # Without weights the fit shares one factorisation and takes half the memory.
    given = None if (weights == 1.0).all() else weights
    fit = fit_heads(train.differences, targets, given, prior_precision=prior)
    return fit.weights_


def log_likelihoods(heads: Float32Array, part: Part) -> FloatArray:
    """Log-probability that each head gives to the human votes on each row, shape (m, K)."""
    z = part.differences.astype(np.float64) @ heads.astype(np.float64)
    return np.asarray(part.human_share[:, None] * z - np.logaddexp(0.0, z), dtype=np.float64)


def performances(heads: Float32Array, part: Part) -> FloatArray:
    """Geometric mean of the probability given to human votes, per head; 0.5 is chance.

    It moves smoothly where accuracy jumps, and lies in [0, 1] as accuracy does.
    """
    mean = np.average(log_likelihoods(heads, part), axis=0, weights=part.weight)
    return np.asarray(np.exp(mean), dtype=np.float64)


def hits(heads: Float32Array, part: Part) -> tuple[FloatArray, BoolArray]:
    """Mean over heads of being right on each row, and which rows are not tied."""
    decided = part.human_share != 0.5
    z = part.differences.astype(np.float64) @ heads.astype(np.float64)
    agreed = np.where(part.human_share[:, None] > 0.5, z, -z)
    return np.where(agreed == 0.0, 0.5, agreed > 0.0).mean(axis=1), decided


@dataclass(frozen=True)
class Measured:
    """Performance and accuracy of one way of labelling, on people's labels.

    ``gain`` is the mean log-likelihood beyond the judge-only head on the same rows, in nats; the
    difference is far surer than the two numbers, because most of their noise is shared.
    """

    performance: Interval
    accuracy: Interval
    gain: Interval


def measure(
    heads: Float32Array, judge_only: Float32Array, part: Part, rng: np.random.Generator
) -> Measured:
    """Measure heads of one kind (averaged row by row) with prompt-cluster intervals."""
    values = log_likelihoods(heads, part).mean(axis=1)
    base = log_likelihoods(judge_only, part).mean(axis=1)
    gain = paired_difference_interval(values, base, part.prompt, rng)
    fit = cluster_bootstrap_interval(values, part.prompt, rng)
    right, decided = hits(heads, part)
    accuracy = cluster_bootstrap_interval(right[decided], part.prompt[decided], rng)
    estimate, low, high = (float(np.exp(end)) for end in (fit.estimate, fit.low, fit.high))
    return Measured(Interval(estimate, low, high, fit.n, fit.n_groups), accuracy, gain)


def choose_prior(train: Part, rng: np.random.Generator) -> float:
    """Return the prior precision of best held-out likelihood on people's labels, by prompt."""
    folds = min(_PRIOR_FOLDS, len(np.unique(train.prompt)))
    parts = group_split(train.prompt, [1.0 / folds] * folds, rng)
    n_priors = len(_PRIOR_GRID)
    weights = np.ones((len(train.human), folds * n_priors))
    for fold, rows in enumerate(parts):
        weights[rows, fold * n_priors : (fold + 1) * n_priors] = 0.0
    targets = np.repeat(train.human[:, None], weights.shape[1], axis=1)
    priors = np.tile(_PRIOR_GRID, folds)
    fit = fit_heads(train.differences, targets, weights, prior_precision=priors)
    held_out = np.where(weights == 0.0, log_likelihoods(fit.weights_, train), 0.0).sum(axis=0)
    return float(_PRIOR_GRID[held_out.reshape(folds, n_priors).sum(axis=0).argmax()])
