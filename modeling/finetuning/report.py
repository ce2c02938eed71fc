"""Figures of a fine-tuned model, the same as those of heads. Runs in a worker only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from modeling.core.calibration import fit_temperature
from modeling.core.types import FloatArray, PairwiseData
from modeling.evaluation import evaluate
from modeling.finetuning.pairs import FineTuningPairs, RunLabels
from modeling.model_report import (
    SEED,
    best_of_n_of,
    bias_of,
    groups_of,
    one_reward_of,
    slices_of,
    source_figures,
    transitivity_of,
)
from modeling.models import TrainingRun
from modeling.training import is_training_prompt

MIN_VALID = 20


@dataclass(frozen=True, eq=False)
class Rewards:
    """What a trained model gives to the responses that it was asked about.

    Parameters
    ----------
    values : ndarray of float64, shape (R,)
        Reward of each row of features before temperature; NaN where it was not asked.
    temperature : float
        Divisor of reward differences.
    """

    values: FloatArray
    temperature: float

    def chance(self, pairs: PairwiseData) -> FloatArray:
        """Return P(first preferred)."""
        gap = (self.values[pairs.first] - self.values[pairs.second]) / self.temperature
        chance: FloatArray = expit(gap)
        return chance


def rewards_of(given: list[float], pairs: FineTuningPairs, n_rows: int) -> Rewards:
    """Put rewards into their rows and fit the temperature on the pairs left out of learning."""
    values = np.full(n_rows, np.nan)
    values[pairs.scored_rows] = given
    # Fewer pairs would fit the noise: the rewards are then taken as they are.
    if pairs.valid.n_pairs < MIN_VALID:
        return Rewards(values, 1.0)
    logits = values[pairs.valid.first] - values[pairs.valid.second]
    weights = pairs.valid.weight
    return Rewards(values, fit_temperature(logits[None, :], pairs.valid.target, weights))


def full_model_report(run: TrainingRun, labels: RunLabels, rewards: Rewards) -> dict[str, Any]:
    """Return every figure of a fine-tuned model on held-out human labels."""
    rng = np.random.default_rng(run.seed).spawn(1)[0]
    split, features = labels.split, labels.features
    chance, scaled = rewards.chance(split.test), rewards.values / rewards.temperature
    trained_on = is_training_prompt(run, labels.table.prompt_ids)
    return {
        **evaluate(chance, split.held_out, rng),
        "slices": slices_of(chance, split.held_out, groups_of(split.test, features), rng),
        "best_of_n": best_of_n_of(scaled, split.test, rng),
        "bias": bias_of(scaled, features, split.test, rng),
        "one_reward": one_reward_of(labels.table, features, trained_on),
        "transitivity": transitivity_of(labels.table),
    }


def full_model_sources(
    labels: RunLabels, candidates: Mapping[str, PairwiseData], rewards: Mapping[str, Rewards]
) -> dict[str, Any]:
    """Return what fine-tuning on each source of labels gives on the same human labels."""
    predicted = {name: own.chance(labels.split.test) for name, own in rewards.items()}
    rng = np.random.default_rng(SEED)
    return source_figures(predicted, candidates, labels.split.held_out, rng)
