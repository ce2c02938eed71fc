"""How good judges are at ranking more than two responses. Runs in a worker only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from modeling.core.grouped_intervals import accuracy_interval, kappa_interval
from modeling.core.metrics import Interval
from modeling.core.types import FloatArray
from modeling.evaluation import figure
from modeling.judge_votes import JudgeRanking, RankingTable, code_of

SEED = 31_415

Rankings = Sequence[tuple[int, ...]]


def ranking_figures(table: RankingTable, name: str) -> dict[str, Any] | None:
    """Return a judge's figures on more than two responses; ``None`` where it ranked none.

    Every ranking says something about each pair of its responses. Accuracy and kappa are over
    those implied pairs, in three classes, truth being what most people's rankings say of the pair;
    an even split is no truth. Tau-b is the mean over everybody who ranked the comparison. Every
    interval resamples whole prompts, so that the pairs of one comparison do not pass for many.
    """
    said = table.judges.get(name, ())
    if not said:
        return None
    rng = np.random.default_rng(SEED)
    known = [one for one in said if table.human.get(one.comparison)]
    pairs = np.array(
        [row for one in known for row in _implied(one, table.human)], dtype=np.int64
    ).reshape(-1, 3)
    judge, truth, prompt = pairs.T
    conflict = _share([(float(one), r) for r in said for one in r.conflicts], rng)
    return {
        "n_labels": len(said),
        "n_compared": len(known),
        "n_pairs": len(pairs),
        "accuracy": figure(accuracy_interval(judge == truth, prompt, rng)),
        "kappa": figure(kappa_interval(judge, truth, prompt, rng)),
        "tau": figure(_tau(known, table.human, rng)),
        "conflict": figure(conflict),
        "first_position": figure(_share([(p, r) for r in said for p in r.first_picks], rng)),
    }


def pair_truth(rankings: Rankings, first: int, second: int) -> int | None:
    """What most rankings say of two responses, in three classes; ``None`` where nothing does."""
    codes = Counter(code_of((ranks[first], ranks[second])) for ranks in rankings)
    top = codes.most_common(2)
    return None if len(top) == 2 and top[0][1] == top[1][1] else top[0][0]


def mean_tau(ranking: Sequence[int], rankings: Rankings) -> float:
    """Mean tau-b with several rankings; NaN where ties leave none defined."""
    each = [_tau_b(ranking, other) for other in rankings]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _tau_b(one: Sequence[int], other: Sequence[int]) -> float:
    # Constant ranks have no order to agree with.
    if len(set(one)) == 1 or len(set(other)) == 1:
        return float("nan")
    return float(kendalltau(one, other).statistic)


def _implied(said: JudgeRanking, human: Mapping[int, Rankings]) -> Iterator[tuple[int, int, int]]:
    for first, second in combinations(range(len(said.ranking)), 2):
        truth = pair_truth(human[said.comparison], first, second)
        if truth is not None:
            yield code_of((said.ranking[first], said.ranking[second])), truth, said.prompt


def _tau(
    said: Sequence[JudgeRanking], human: Mapping[int, Rankings], rng: np.random.Generator
) -> Interval:
    taus = [(mean_tau(one.ranking, human[one.comparison]), one) for one in said]
    return _share([(tau, one) for tau, one in taus if not np.isnan(tau)], rng)


def _share(pairs: Sequence[tuple[float, JudgeRanking]], rng: np.random.Generator) -> Interval:
    values: FloatArray = np.array([value for value, _ in pairs], dtype=np.float64)
    return accuracy_interval(values, np.array([r.prompt for _, r in pairs], dtype=np.int64), rng)
