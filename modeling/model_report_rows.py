"""Stored figures of a reward model as the rows that its page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Q

from modeling.models import RewardModel, TrainingRun
from modeling.reward_charts import SOURCES
from modeling.selectors import Figure

FEATURE_TITLES = {
    "log_characters": "Length (characters)",
    "log_words": "Length (words)",
    "mean_word_length": "Word length",
    "mean_sentence_words": "Sentence length",
    "list_line_share": "Lists",
    "markdown_marks_per_line": "Markdown",
    "code_share": "Code",
    "digit_share": "Digits",
    "uppercase_share": "Capitals",
    "question_marks": "Question marks",
    "exclamation_marks": "Exclamation marks",
    "type_token_ratio": "Variety of words",
    "repeated_line_share": "Repeated lines",
    "prompt_overlap": "Overlap with the prompt",
    "prompt_coverage": "Prompt words taken up",
    "refusal_phrases": "Refusals",
    "hedges": "Hedges",
    "is_empty": "Empty",
}


@dataclass(frozen=True)
class SliceRow:
    """Accuracy in one slice; hidden where too few labels stand behind it."""

    value: str
    n: int
    n_prompts: int
    accuracy: Figure | None
    log_loss: Figure | None


@dataclass(frozen=True)
class SourceRow:
    """The same model trained on one source of labels."""

    title: str
    n_train: int
    accuracy: Figure | None
    log_loss: Figure | None
    above_human: Figure | None


@dataclass(frozen=True)
class BiasRow:
    """How far a readable feature moves the reward, and whether people choose alike.

    ``model_rate`` and ``lean`` are missing in models of earlier releases.
    """

    title: str
    rewards_per_sd: float | None
    human_rate: float | None
    model_rate: float | None
    lean: Figure | None
    n: int


@dataclass(frozen=True)
class Repetition:
    """A rerun of a model's training, and whether it came to the same artifact."""

    model: RewardModel
    is_same: bool


def slice_groups(metrics: Mapping[str, Any]) -> list[tuple[str, list[SliceRow]]]:
    """The slices by what they cut along, in stored order."""
    rows = metrics.get("slices", [])
    return [
        (str(name), [_slice(row) for row in group])
        for name, group in groupby(rows, key=lambda row: row["slice"])
    ]


def source_rows(metrics: Mapping[str, Any]) -> list[SourceRow]:
    """The ablation by source of labels; nothing to compare below two."""
    sources = metrics.get("sources", {})
    if len(sources) < 2:
        return []
    return [
        SourceRow(
            title=title,
            n_train=sources[key]["n_train"],
            accuracy=Figure.read(sources[key].get("accuracy")),
            log_loss=Figure.read(sources[key].get("log_loss")),
            above_human=Figure.read(sources[key].get("above_human")),
        )
        for key, (title, _) in SOURCES.items()
        if key in sources
    ]


def bias_rows(metrics: Mapping[str, Any]) -> list[BiasRow]:
    """Readable features in words, the strongest first."""
    return [
        BiasRow(
            title=FEATURE_TITLES.get(row["feature"], row["feature"].replace("_", " ")),
            rewards_per_sd=row.get("rewards_per_sd"),
            human_rate=row.get("human_rate"),
            model_rate=row.get("model_rate"),
            lean=Figure.read(row.get("lean")),
            n=row.get("n", 0),
        )
        for row in metrics.get("bias", [])
    ]


def repetitions(model: RewardModel) -> list[Repetition]:
    """Models that repeat this one's run, or that it repeats, compared by artifact."""
    run = model.training_run
    same = TrainingRun.objects.filter(Q(repeats=run) | Q(repetitions=run))
    found = RewardModel.objects.filter(training_run__in=same).order_by("number")
    return [Repetition(row, row.artifact_sha256 == model.artifact_sha256) for row in found]


def _slice(row: Mapping[str, Any]) -> SliceRow:
    return SliceRow(
        value=str(row["value"]),
        n=row["n"],
        n_prompts=row["n_prompts"],
        accuracy=Figure.read(row.get("accuracy")),
        log_loss=Figure.read(row.get("log_loss")),
    )
