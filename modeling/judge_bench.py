"""How good judges are against people, all together and slice by slice. Runs in a worker only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotate.models import Project
from modeling.core.agreement import PairVerdict
from modeling.core.grouped_intervals import (
    accuracy_interval,
    calibration_error_interval,
    calibration_noise_floor,
    kappa_interval,
)
from modeling.core.judge_calibration import MIN_VERDICTS, JudgeSignals, cross_calibrated
from modeling.core.metrics import Interval, bin_of, wilson_interval
from modeling.core.types import FloatArray, IntArray
from modeling.evaluation import N_BINS, figure, number, predicted_side
from modeling.judge_ranking_bench import ranking_figures
from modeling.judge_tables import project_votes
from modeling.judge_votes import JudgeVote, VoteTable

SEED = 20_406
MIN_SLICE = 20
"""Verdicts from which on a slice has figures of its own."""
HALVES = 2


@dataclass(frozen=True, eq=False)
class CalibrationRows:
    """A judge's verdicts beside what people said, ready for a map.

    Parameters
    ----------
    comparison, prompt : ndarray of int64, shape (n,)
        Comparison and prompt of each verdict.
    signals : JudgeSignals
        What each verdict carries.
    outcome : ndarray of float64, shape (n,)
        Share of people who prefer the first response.
    """

    comparison: IntArray
    prompt: IntArray
    signals: JudgeSignals
    outcome: FloatArray


def measure_judges(project: Project) -> dict[str, dict[str, Any]]:
    """Return the figures of every judge of a project, by name."""
    return bench(project_votes(project))


def bench(table: VoteTable) -> dict[str, dict[str, Any]]:
    """Return the figures of every judge, by name, as they are stored.

    Truth is the strict majority of the people in three classes; an even split is no truth.
    Calibration error is that of probabilities which one half of the prompts taught for the other,
    against the people's mean vote. Every interval resamples whole prompts.
    """
    truth = table.truth()
    return {name: _figures(table, name, truth) for name in table.judges}


def _figures(table: VoteTable, name: str, truth: dict[int, int]) -> dict[str, Any]:
    votes, rng = table.judges[name], np.random.default_rng(SEED)
    known = [vote for vote in votes if vote.comparison in truth]
    conflict = _share([(float(v.is_conflict), v) for v in votes if v.is_conflict is not None], rng)
    first = _share([(pick, v) for v in votes for pick in v.first_picks], rng)
    return {
        "n_labels": len(votes),
        "n_compared": len(known),
        **_agreement(known, truth, rng),
        "first_position": figure(first),
        "conflict": figure(conflict),
        "order_consistency": figure(_complement(conflict)),
        "parse_failures": figure(_parse_failures(table.n_unparsed.get(name, 0), len(votes))),
        **_calibration(table, name, rng),
        "slices": _slices(table, known, truth, rng),
        "rankings": ranking_figures(table.rankings, name),
    }


def _agreement(
    votes: Sequence[JudgeVote], truth: dict[int, int], rng: np.random.Generator
) -> dict[str, Any]:
    judge = np.array([vote.code for vote in votes], dtype=np.int64)
    human = np.array([truth[vote.comparison] for vote in votes], dtype=np.int64)
    prompt = np.array([vote.prompt for vote in votes], dtype=np.int64)
    decided = (judge != PairVerdict.TIE) & (human != PairVerdict.TIE)
    hits = judge == human
    return {
        "accuracy": figure(accuracy_interval(hits, prompt, rng)),
        "accuracy_without_ties": figure(accuracy_interval(hits[decided], prompt[decided], rng)),
        "kappa": figure(kappa_interval(judge, human, prompt, rng)),
    }


def _share(pairs: Iterable[tuple[float, JudgeVote]], rng: np.random.Generator) -> Interval:
    known = list(pairs)
    values = np.array([value for value, _ in known], dtype=np.float64)
    return accuracy_interval(values, np.array([v.prompt for _, v in known], dtype=np.int64), rng)


def _complement(share: Interval) -> Interval:
    return Interval(1 - share.estimate, 1 - share.high, 1 - share.low, share.n, share.n_groups)


def _parse_failures(n_unparsed: int, n_labels: int) -> Interval:
    return wilson_interval(n_unparsed, n_unparsed + n_labels)


def _slices(
    table: VoteTable, votes: Sequence[JudgeVote], truth: dict[int, int], rng: np.random.Generator
) -> list[dict[str, Any]]:
    members: defaultdict[str, list[JudgeVote]] = defaultdict(list)
    for vote in votes:
        for name in table.slices.get(vote.comparison, ()):
            members[name].append(vote)
    return [
        {"name": name, "n": len(rows), **_agreement(rows, truth, rng)}
        for name, rows in sorted(members.items())
        if len(rows) >= MIN_SLICE
    ]


# --- Calibration --------------------------------------------------------------------------------


def calibration_rows(table: VoteTable, name: str) -> CalibrationRows:
    """Gather a judge's verdicts that people labelled too."""
    share = table.human_share()
    votes = [vote for vote in table.judges[name] if vote.comparison in share]
    return CalibrationRows(
        comparison=np.array([vote.comparison for vote in votes], dtype=np.int64),
        prompt=np.array([vote.prompt for vote in votes], dtype=np.int64),
        signals=signals_of(table, name, votes),
        outcome=np.array([share[vote.comparison] for vote in votes], dtype=np.float64),
    )


def signals_of(table: VoteTable, name: str, votes: Sequence[JudgeVote]) -> JudgeSignals:
    """Turn votes into what the map reads, written from the side that the judge chose."""
    side = np.array([_side(vote.code) for vote in votes], dtype=np.int64)
    stated = _floats([vote.stated for vote in votes])
    conflict = [None if vote.is_conflict is None else float(vote.is_conflict) for vote in votes]
    return JudgeSignals(
        side=side,
        strength=_floats([vote.strength for vote in votes]),
        stated=np.where(side < 0, 1.0 - stated, stated),
        order_agreement=1.0 - _floats(conflict),
        panel_agreement=_floats(_panel_agreement(table, name, votes)),
        slices=tuple(table.slices.get(vote.comparison, ()) for vote in votes),
    )


def _panel_agreement(table: VoteTable, name: str, votes: Sequence[JudgeVote]) -> list[float | None]:
    """Mean of the other judges' sides times the judge's own; panels say nothing new."""
    said: defaultdict[int, list[int]] = defaultdict(list)
    for other, theirs in table.judges.items():
        if name not in table.panels and other not in {name, *table.panels}:
            for vote in theirs:
                said[vote.comparison].append(_side(vote.code))
    return [
        _side(vote.code) * sum(others) / len(others)
        if (others := said.get(vote.comparison))
        else None
        for vote in votes
    ]


def _side(code: int) -> int:
    return int(PairVerdict.TIE) - code


def _floats(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _calibration(table: VoteTable, name: str, rng: np.random.Generator) -> dict[str, Any]:
    rows = calibration_rows(table, name)
    decided = rows.signals.decided
    if int(decided.sum()) < HALVES * MIN_VERDICTS:
        empty = Interval(float("nan"), float("nan"), float("nan"), int(decided.sum()), 0)
        return {"ece": figure(empty), "ece_floor": None, "reliability": []}
    probability = cross_calibrated(
        rows.signals, rows.outcome, groups=rows.prompt, rng=rng, n_parts=HALVES
    )[decided]
    outcome, prompt = rows.outcome[decided], rows.prompt[decided]
    return {
        "ece": figure(calibration_error_interval(probability, outcome, prompt, rng)),
        "ece_floor": number(calibration_noise_floor(probability, rng)),
        "reliability": _reliability(probability, outcome, prompt, rng),
    }


def _reliability(
    probability: FloatArray, outcome: FloatArray, prompt: IntArray, rng: np.random.Generator
) -> list[dict[str, float | int | None]]:
    confidence, observed = predicted_side(probability, outcome)
    bins = bin_of(confidence, N_BINS)
    points = []
    for number_of_bin in np.unique(bins):
        rows = bins == number_of_bin
        share = accuracy_interval(observed[rows], prompt[rows], rng)
        points.append({"predicted": number(confidence[rows].mean()), **figure(share)})
    return points
