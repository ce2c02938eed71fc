"""Tests of a model elsewhere as the rows that its page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modeling.models import OutsideTest, RewardModel
from modeling.selectors import Figure


@dataclass(frozen=True)
class BenchRow:
    """A section of RewardBench, or its score."""

    title: str
    n: int
    accuracy: Figure


@dataclass(frozen=True)
class OutsideRow:
    """A model on another project's human labels."""

    name: str
    finished_at: datetime | None
    n: int
    n_prompts: int
    n_shared: int
    accuracy: Figure | None
    above_length: Figure | None
    log_loss: Figure | None
    ece: Figure | None
    bench: list[BenchRow]


def outside_rows(model: RewardModel) -> list[OutsideRow]:
    """The newest test of a model on each other project."""
    found: dict[int, OutsideTest] = {}
    for run in OutsideTest.objects.filter(reward_model=model).select_related("tested"):
        if run.metrics:
            found.setdefault(run.tested_id, run)
    return [_row(run) for run in found.values()]


def _row(run: OutsideTest) -> OutsideRow:
    metrics = run.metrics
    return OutsideRow(
        name=run.tested.name,
        finished_at=run.finished_at,
        n=metrics["n"],
        n_prompts=metrics["n_prompts"],
        n_shared=metrics["n_prompts_shared"],
        accuracy=Figure.read(metrics["accuracy"]),
        above_length=Figure.read(metrics["above_length"]),
        log_loss=Figure.read(metrics["log_loss"]),
        ece=Figure.read(metrics["ece"]),
        bench=_bench(metrics["bench"] or {}),
    )


def _bench(bench: Mapping[str, Any]) -> list[BenchRow]:
    parts = dict(bench.get("sections", {}))
    if bench.get("overall"):
        parts["Score"] = bench["overall"]
    return [BenchRow(title, own["n"], _share(own)) for title, own in parts.items()]


def _share(own: Mapping[str, Any]) -> Figure:
    return Figure(own["mean"], own["low"], own["high"], own["n"], own["n"])
