"""How good judges are against the human majority. Runs in a worker only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.models import Annotator, Preference, Project
from modeling.core.agreement import PairVerdict, agreement_interval, cohen_kappa
from modeling.core.metrics import Interval, cluster_bootstrap_interval
from modeling.core.types import BoolArray, IntArray
from modeling.evaluation import figure

BOTH_ORDERS = "both-orders"
KAPPA_RESAMPLES = 1000
SEED = 20_406


@dataclass(frozen=True)
class _Vote:
    """One verdict on a comparison of two responses."""

    comparison_id: int
    prompt_id: int
    annotator_id: int
    code: int
    extra: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Matched:
    """A judge's verdicts beside the human majority, where there is one."""

    judge: IntArray
    human: IntArray
    prompt: IntArray

    @property
    def decided(self) -> BoolArray:
        """Where both name a better response."""
        decided: BoolArray = (self.judge != PairVerdict.TIE) & (self.human != PairVerdict.TIE)
        return decided


def measure_judges(project: Project) -> dict[int, dict[str, Any]]:
    """Return the stored figures of every judge, by annotator id.

    Truth is the strict majority of the humans in three classes; an even split is no truth. Every
    interval resamples whole prompts.
    """
    humans, judges = _votes(project)
    truth = _majorities(humans)
    return {annotator_id: _figures(votes, truth) for annotator_id, votes in judges.items()}


def _figures(votes: list[_Vote], truth: dict[int, int]) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    matched = _matched(votes, truth)
    hits = (matched.judge == matched.human).astype(np.float64)
    decided = matched.decided
    return {
        "n_labels": len(votes),
        "n_compared": int(matched.judge.size),
        "accuracy": figure(cluster_bootstrap_interval(hits, matched.prompt, rng)),
        "accuracy_without_ties": figure(
            cluster_bootstrap_interval(hits[decided], matched.prompt[decided], rng)
        ),
        "kappa": figure(_kappa(matched, rng)),
        "first_position": figure(_share(votes, _first_picks, rng)),
        "conflict": figure(_share(votes, _conflicts, rng)),
    }


def _kappa(matched: _Matched, rng: np.random.Generator) -> Interval:
    def statistic(rows: NDArray[Any]) -> float:
        return cohen_kappa(rows[:, 0], rows[:, 1])

    ratings = np.column_stack([matched.judge, matched.human])
    return agreement_interval(statistic, ratings, matched.prompt, rng, n_resamples=KAPPA_RESAMPLES)


def _share(votes: list[_Vote], read: Any, rng: np.random.Generator) -> Interval:
    pairs = [(value, vote.prompt_id) for vote in votes for value in read(vote)]
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    prompts = np.array([prompt for _, prompt in pairs], dtype=np.int64)
    return cluster_bootstrap_interval(values, prompts, rng)


def _first_picks(vote: _Vote) -> list[float]:
    """Whether each decided reply chose the response that was shown first, where that is known."""
    if "orders" in vote.extra:
        return [
            float((order["verdict"] == "first") != order["swapped"])
            for order in vote.extra["orders"]
            if order["verdict"] != "tie"
        ]
    swapped = vote.extra.get("order_swapped")
    if swapped is None or vote.code == PairVerdict.TIE:
        return []
    return [float((vote.code == PairVerdict.A) != bool(swapped))]


def _conflicts(vote: _Vote) -> list[float]:
    """Whether the two orders disagreed, where both were asked; imports flag only conflicts."""
    both = "orders" in vote.extra or vote.extra.get("protocol") == BOTH_ORDERS
    flagged = vote.extra.get("order_inconsistent")
    return [float(bool(flagged))] if both or flagged is not None else []


def _matched(votes: list[_Vote], truth: dict[int, int]) -> _Matched:
    known = [vote for vote in votes if vote.comparison_id in truth]
    return _Matched(
        judge=np.array([vote.code for vote in known], dtype=np.int64),
        human=np.array([truth[vote.comparison_id] for vote in known], dtype=np.int64),
        prompt=np.array([vote.prompt_id for vote in known], dtype=np.int64),
    )


def _majorities(votes: Iterable[_Vote]) -> dict[int, int]:
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for vote in votes:
        counts[vote.comparison_id][vote.code] += 1
    found = {pk: count.most_common(2) for pk, count in counts.items()}
    return {pk: top[0][0] for pk, top in found.items() if len(top) == 1 or top[0][1] > top[1][1]}


def _votes(project: Project) -> tuple[list[_Vote], dict[int, list[_Vote]]]:
    rows = (
        Preference.objects.current()
        .votes()
        .filter(
            comparison__project=project,
            comparison__n_responses=2,
            ranking__isnull=False,
        )
        .order_by("pk")
        .values_list(
            "comparison_id",
            "comparison__prompt_id",
            "annotator_id",
            "annotator__kind",
            "ranking",
            "extra",
        )
    )
    humans: list[_Vote] = []
    judges: dict[int, list[_Vote]] = defaultdict(list)
    for comparison_id, prompt_id, annotator_id, kind, ranking, extra in rows.iterator(10_000):
        vote = _Vote(comparison_id, prompt_id, annotator_id, _code(ranking or ()), extra)
        (humans if kind == Annotator.Kind.HUMAN else judges[annotator_id]).append(vote)
    return humans, judges


def _code(ranking: Sequence[int]) -> int:
    if ranking[0] == ranking[1]:
        return int(PairVerdict.TIE)
    return int(PairVerdict.A if ranking[0] < ranking[1] else PairVerdict.B)
