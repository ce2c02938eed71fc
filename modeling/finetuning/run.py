"""A fine-tuning from a dataset version to figures and a merged model. Runs in a worker only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from modeling.core.types import PairwiseData
from modeling.finetuning.launch import Event, launch
from modeling.finetuning.options import FineTuneOptions
from modeling.finetuning.pairs import (
    FineTuningPairs,
    RunLabels,
    fine_tuning_pairs,
    run_labels,
    write_pairs,
)
from modeling.finetuning.report import (
    Rewards,
    full_model_report,
    full_model_sources,
    rewards_of,
)
from modeling.model_report import is_source
from modeling.models import TrainingRun
from modeling.training import is_training_prompt, source_candidates

LOGS = 200
TRAIN_START, TRAIN_END = 0.1, 0.95
SOURCE_OF = {"human": "human", "judge": "judge", "both": "hybrid"}
"""The source of labels that each choice of labels trains on."""

Progress = Callable[[float, str], None]
OnLosses = Callable[[list[Event]], None]


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What a fine-tuning leaves behind, ready for the artifact."""

    folder: Path
    temperature: float
    max_tokens: int
    metrics: dict[str, Any]


def training_folder(run: TrainingRun) -> Path:
    """Return where a run keeps pairs, checkpoints and log; the same for every attempt."""
    return Path(settings.TRAINING_DIR) / str(run.public_id)


def fine_tune(run: TrainingRun, *, progress: Progress, on_losses: OnLosses) -> FineTuned:
    """Train, or go on from the newest checkpoint, and test on held-out human labels.

    Parameters
    ----------
    run
        Names the project, the dataset version, the seed and the options.
    progress
        Called with the fraction done and a sentence; raises to cancel.
    on_losses
        Called with the whole loss curve whenever it has grown.
    """
    options = FineTuneOptions.read(run.parameters)
    folder = training_folder(run)
    progress(0.02, "Reading the labels")
    labels = run_labels(run)
    pairs = _pairs(run, labels, labels.split.train)
    candidates = _candidates(run, labels) if options.by_source else {}
    own = SOURCE_OF[run.parameters["labels"]]
    others = [name for name in candidates if name != own or _is_curated(run)]
    stages = _Stages(progress, 1 + len(others))
    rewards = _trained(run, folder, labels, pairs, stages.follower(on_losses))
    by_source = {} if own in others or own not in candidates else {own: rewards}
    for name in others:
        source = _pairs(run, labels, candidates[name])
        follow = stages.follower(lambda _losses: None, f"Labels of the source {name!r}: ")
        by_source[name] = _trained(run, folder / "sources" / name, labels, source, follow)
    progress(TRAIN_END, "Testing on held-out human labels")
    metrics = full_model_report(run, labels, rewards)
    metrics["sources"] = full_model_sources(labels, candidates, by_source)
    facts = _facts(run, labels, pairs, options, rewards.temperature)
    return FineTuned(
        folder / "model", rewards.temperature, options.max_tokens, {**metrics, **facts}
    )


def forget_training_folder(run: TrainingRun) -> None:
    """Remove what only a resume would need, once the model is stored."""
    shutil.rmtree(training_folder(run), ignore_errors=True)


def _pairs(run: TrainingRun, labels: RunLabels, chosen: PairwiseData) -> FineTuningPairs:
    return fine_tuning_pairs(chosen, labels.split.test, np.random.default_rng(run.seed))


def _candidates(run: TrainingRun, labels: RunLabels) -> dict[str, PairwiseData]:
    trained_on = is_training_prompt(run, labels.table.prompt_ids)
    found = source_candidates(labels.table, labels.features, trained_on)
    return {name: data for name, data in found.items() if is_source(data)}


def _is_curated(run: TrainingRun) -> bool:
    """Whether filters or softened labels make the run's own labels differ from their source."""
    return bool(run.parameters.get("filtered") or run.parameters.get("soft"))


def _trained(
    run: TrainingRun,
    folder: Path,
    labels: RunLabels,
    pairs: FineTuningPairs,
    on_events: OnLosses,
) -> Rewards:
    # An attempt that was killed later has this training behind it already.
    if not (folder / "rewards.json").exists():
        write_pairs(folder, pairs, labels)
        launch(folder, _config(run, pairs.train.n_pairs), on_events=on_events)
    given = json.loads((folder / "rewards.json").read_text())
    return rewards_of(given, pairs, labels.features.response_ids.size)


def _config(run: TrainingRun, n_pairs: int) -> dict[str, Any]:
    options = FineTuneOptions.read(run.parameters)
    n_steps = options.epochs * n_pairs / (options.batch_size * options.accumulation)
    return {
        **options.as_parameters(),
        "base_path": str(Path(settings.MODELS_DIR) / options.base),
        "seed": run.seed,
        "log_steps": max(1, round(n_steps / LOGS)),
    }


class _Stages:
    """Shares the progress of a run among its trainings."""

    def __init__(self, progress: Progress, n_stages: int) -> None:
        self._progress = progress
        self._width = (TRAIN_END - TRAIN_START) / n_stages
        self._start = TRAIN_START - self._width

    def follower(self, on_losses: OnLosses, told: str = "") -> OnLosses:
        """Return what follows the next training."""
        self._start += self._width
        start, n_seen = self._start, 0

        def follow(events: list[Event]) -> None:
            nonlocal n_seen
            if len(events) != n_seen:
                n_seen = len(events)
                on_losses(events)
            done, sentence = _state(events)
            self._progress(start + self._width * done, told + sentence)

        return follow


def _state(events: list[Event]) -> tuple[float, str]:
    if not events:
        return 0.0, "Loading the base model"
    last = events[-1]
    sentence = f"Step {last['step']:,} of {last['max_steps']:,}"
    losses = [event["loss"] for event in events if "loss" in event]
    sentence += f", loss {losses[-1]:.3f}" if losses else ""
    return last["step"] / max(last["max_steps"], 1), sentence


def _facts(
    run: TrainingRun,
    labels: RunLabels,
    pairs: FineTuningPairs,
    options: FineTuneOptions,
    temperature: float,
) -> dict[str, Any]:
    n_ties = labels.split.train.n_pairs - pairs.train.n_pairs - pairs.valid.n_pairs
    return {
        "labels": run.parameters["labels"],
        "encoder": options.base,
        "n_heads": 1,
        "n_train": pairs.train.n_pairs,
        "n_train_prompts": pairs.train.n_prompts,
        "n_valid": pairs.valid.n_pairs,
        "n_ties_left_out": n_ties,
        "temperature": round(temperature, 6),
    }
