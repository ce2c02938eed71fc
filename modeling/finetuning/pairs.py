"""Labels as the files that the training program reads. Runs in a worker only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotate.errors import NotReady
from annotate.models import Response
from modeling.core.types import BoolArray, IntArray, PairwiseData
from modeling.encoder_names import TFIDF
from modeling.models import TrainingRun
from modeling.tables import LabelTable, ResponseFeatures, label_table, response_features
from modeling.training import LabelSplit, split_labels

VALID_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class RunLabels:
    """The labels of a run's dataset version, split by prompt, and the responses they are about."""

    features: ResponseFeatures
    table: LabelTable
    split: LabelSplit
    responses: dict[int, Response]

    def response(self, row: int) -> Response:
        """Return the response of a row of features."""
        return self.responses[int(self.features.response_ids[row])]


@dataclass(frozen=True, eq=False)
class FineTuningPairs:
    """Decided pairs to learn from, pairs of prompts left out of learning, and the held-out ones."""

    train: PairwiseData
    valid: PairwiseData
    test: PairwiseData

    @property
    def scored_rows(self) -> list[int]:
        """Rows of the responses that the trained model is asked about, in order."""
        sides = [pairs for p in (self.valid, self.test) for pairs in (p.first, p.second)]
        return [int(row) for row in np.unique(np.concatenate(sides))]


def run_labels(run: TrainingRun) -> RunLabels:
    """Read the labels of a run."""
    version = run.dataset_version
    features = response_features(
        project=run.project, encoder=TFIDF, last_comparison_id=version.last_comparison_id
    )
    table = label_table(
        project=run.project, features=features, last_preference_id=version.last_preference_id
    )
    split = split_labels(run, table, features, run.parameters["labels"])
    labelled = np.unique(table.vote_row)
    rows = np.unique(np.concatenate([table.first[labelled], table.second[labelled]]))
    found = Response.objects.filter(pk__in=features.response_ids[rows].tolist())
    responses = found.select_related("prompt").iterator(chunk_size=5_000)
    return RunLabels(features, table, split, {response.pk: response for response in responses})


def fine_tuning_pairs(
    labels: PairwiseData, test: PairwiseData, rng: np.random.Generator
) -> FineTuningPairs:
    """Leave ties out, and whole prompts for the loss curve and the temperature.

    Raises
    ------
    NotReady
        If too few decided pairs are left.
    """
    decided = labels.take(np.flatnonzero(labels.target != 0.5))
    is_valid = _validation_rows(decided.prompt, rng)
    if is_valid.all() or decided.n_pairs < 2:
        raise NotReady(
            "Too few decided pairs are left to fine-tune on after ties. Label more prompts."
        )
    return FineTuningPairs(
        train=decided.take(np.flatnonzero(~is_valid)),
        valid=decided.take(np.flatnonzero(is_valid)),
        test=test,
    )


def write_pairs(folder: Path, pairs: FineTuningPairs, labels: RunLabels) -> None:
    """Write the pairs and the texts to score."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", pairs.train), ("valid", pairs.valid)):
        _write_lines(folder / f"{name}.jsonl", _pair_rows(rows, labels))
    _write_lines(folder / "texts.jsonl", _text_rows(pairs, labels))


def _validation_rows(prompt: IntArray, rng: np.random.Generator) -> BoolArray:
    prompts = np.unique(prompt)
    n_valid = round(VALID_SHARE * prompts.size)
    chosen = rng.choice(prompts, size=n_valid, replace=False)
    return np.isin(prompt, chosen)


def _pair_rows(pairs: PairwiseData, labels: RunLabels) -> Iterable[dict[str, Any]]:
    for first, second, target in zip(pairs.first, pairs.second, pairs.target, strict=True):
        winner, loser = (first, second) if target > 0.5 else (second, first)
        chosen, rejected = labels.response(winner), labels.response(loser)
        yield {
            "turns": chosen.prompt.turns,
            "chosen": chosen.text,
            "rejected": rejected.text,
        }


def _text_rows(pairs: FineTuningPairs, labels: RunLabels) -> Iterable[dict[str, Any]]:
    for row in pairs.scored_rows:
        response = labels.response(row)
        yield {"turns": response.prompt.turns, "response": response.text}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
