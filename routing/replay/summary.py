"""Sums over seeds, their intervals by prompt, and the report as plain JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from routing.core.arrays import FloatArray, IntArray
from routing.replay.records import Recorded
from routing.replay.settings import POLICY_IDS, ReplaySettings
from routing.replay.trials import Cell, Trial

_N_RESAMPLES: Final = 2000
_COMPARED_WITH: Final = ("random", "uncertainty", "all_judge", "all_human")
_MEASURES: Final = {
    "label_accuracy": "label",
    "reward_model_accuracy": "hit",
    "reward_model_log_likelihood": "fit",
}


class Totals:
    """Sums over seeds, per comparison and cell."""

    def __init__(self, n: int, n_cells: int) -> None:
        self.n = n
        names = tuple(_MEASURES.values())
        self.sums = {name: np.zeros((n, n_cells)) for name in names}
        self.counts = {name: np.zeros((n, n_cells)) for name in names}
        self.human, self.extra_usd = np.zeros(n_cells), np.zeros(n_cells)
        self.filled = np.zeros(n_cells)
        self.fit_by_trial: list[FloatArray] = []
        self.n_trials = 0

    def add(self, trial: Trial, cost: FloatArray) -> None:
        """Take in one seed."""
        self._add("label", np.arange(self.n), trial.label_right)
        self._add("hit", trial.test_rows, trial.hit)
        self._add("fit", trial.test_rows, trial.log_likelihood)
        self.fit_by_trial.append(trial.log_likelihood.mean(axis=0))
        self.human += trial.to_human.mean(axis=0)
        self.filled += trial.is_fill.mean(axis=0)
        self.extra_usd += cost @ trial.to_human
        self.n_trials += 1

    def _add(self, name: str, rows: IntArray, values: FloatArray) -> None:
        known = ~np.isnan(values)
        self.sums[name][rows] += np.where(known, values, 0.0)
        self.counts[name][rows] += known

    def of(self, name: str, column: int) -> tuple[FloatArray, FloatArray]:
        """Sum over seeds and number of seeds that looked, per comparison, of one cell."""
        return self.sums[name][:, column], self.counts[name][:, column]

    def gain(self, name: str, column: int, other: int) -> tuple[FloatArray, FloatArray]:
        """The same for one cell less another; both saw the same comparisons."""
        return self.sums[name][:, column] - self.sums[name][:, other], self.counts[name][:, column]

    def split_deviation(self, column: int, other: int) -> float:
        """How far the mean gain in likelihood moves with the split of the prompts."""
        gains = [row[column] - row[other] for row in self.fit_by_trial]
        return float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0


@dataclass(frozen=True)
class _Draws:
    """An estimate and its resamples."""

    estimate: float
    resampled: FloatArray
    n: int
    n_prompts: int

    def entry(self) -> dict[str, Any]:
        """Mean and 95 % interval, as JSON."""
        if not self.n:
            return {"mean": None, "low": None, "high": None, "n": 0, "n_prompts": 0}
        low, high = np.quantile(self.resampled, [0.025, 0.975])
        ends = {"mean": self.estimate, "low": low, "high": high}
        rounded = {name: round(float(value), 5) for name, value in ends.items()}
        return {**rounded, "n": self.n, "n_prompts": self.n_prompts}

    @property
    def deviation(self) -> float:
        """Standard deviation over the resamples."""
        return float(self.resampled.std(ddof=1))


class PromptBootstrap:
    """Resamples of whole prompts, drawn once, so that every figure is paired with every other."""

    def __init__(self, prompt: IntArray, rng: np.random.Generator) -> None:
        self._row_group = np.unique(prompt, return_inverse=True)[1]
        self._n_groups = int(self._row_group.max()) + 1
        chances = np.full(self._n_groups, 1.0 / self._n_groups)
        self._counts = rng.multinomial(self._n_groups, chances, size=_N_RESAMPLES)

    def ratio(self, sums: FloatArray, counts: FloatArray) -> _Draws:
        """Resample total over number: every seed's look at a comparison counts alike."""
        totals = np.bincount(self._row_group, sums, minlength=self._n_groups)
        sizes = np.bincount(self._row_group, counts, minlength=self._n_groups)
        n = int((counts > 0).sum())
        drawn = np.maximum(self._counts @ sizes, 1e-12)
        estimate = float(sums.sum() / counts.sum()) if n else float("nan")
        return _Draws(estimate, (self._counts @ totals) / drawn, n, int((sizes > 0).sum()))


def summarise(
    recorded: Recorded,
    settings: ReplaySettings,
    judge: str,
    cells: Sequence[Cell],
    totals: Totals,
    cost: FloatArray,
) -> dict[str, Any]:
    """Return every figure but the study of mixes, ready for JSON."""
    bootstrap = PromptBootstrap(recorded.prompt, np.random.default_rng(7))
    judge_usd = settings.judge_price_usd * recorded.n
    policies: dict[str, dict[str, Any]] = {name: {} for name in settings.policies}
    for column, cell in enumerate(cells):
        entry = _entry(cells, totals, column, bootstrap)
        extra_usd = float(totals.extra_usd[column] / totals.n_trials)
        entry["cost_usd"] = round(judge_usd + extra_usd, 4)
        policies[cell.policy][cell.budget.label] = entry
    return {
        "name": recorded.name,
        "n_comparisons": recorded.n,
        "n_prompts": len(np.unique(recorded.prompt)),
        "n_left_out": recorded.n_left_out,
        "judges": list(recorded.judges),
        "judge": judge,
        "policies": policies,
        "policy_versions": {name: POLICY_IDS[name] for name in settings.policies},
        "truth": truth_note([len(votes) for votes in recorded.votes]),
        "n_seeds": settings.n_seeds,
        "encoder": settings.encoder,
        "judge_cost_usd": round(judge_usd, 4),
        "mean_human_price_usd": round(float(cost.mean()) + settings.judge_price_usd, 4),
        "verdict": _verdict(cells, totals, bootstrap),
    }


def truth_note(n_people: Sequence[int]) -> dict[str, Any]:
    """How many comparisons are measured in which way, and the sentence that says so."""
    alone = sum(n == 1 for n in n_people)
    several = len(n_people) - alone
    parts = []
    if several:
        parts.append(
            f"On {several:,} comparisons with two or more people a bought label is one of them, "
            "and the truth is where the majority of the others agree"
        )
    if alone:
        parts.append(
            f"{alone:,} comparisons have one human label, which then is the truth, so that a "
            "bought label is never wrong there"
        )
    sentence = "; ".join(parts) + "."
    return {"n_measured_by_others": several, "n_single_label": alone, "sentence": sentence}


def _entry(
    cells: Sequence[Cell], totals: Totals, column: int, bootstrap: PromptBootstrap
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        name: bootstrap.ratio(*totals.of(key, column)).entry() for name, key in _MEASURES.items()
    }
    entry["human_share"] = round(float(totals.human[column] / totals.n_trials), 4)
    wanted = totals.human[column] - totals.filled[column]
    entry["wanted_share"] = round(float(wanted / totals.n_trials), 4)
    for policy in _COMPARED_WITH:
        other = _column_of(cells, policy, cells[column])
        if other is not None and other != column:
            entry[f"over_{policy}"] = {
                name: bootstrap.ratio(*totals.gain(key, column, other)).entry()
                for name, key in _MEASURES.items()
            }
    return entry


def _column_of(cells: Sequence[Cell], policy: str, like: Cell) -> int | None:
    wanted = replace(like, policy=policy)
    return cells.index(wanted) if wanted in cells else None


def _verdict(cells: Sequence[Cell], totals: Totals, bootstrap: PromptBootstrap) -> dict[str, Any]:
    """Whether human labels beyond an audit pay, by held-out likelihood against the judge alone."""
    gains = _gains_over_judge(cells, totals, bootstrap)
    threshold = largest_by_chance([draws for _, draws, _ in gains])
    # Resampling prompts keeps the splits as they fell; other splits would move the gain as well.
    clear = [
        (cell, draws)
        for cell, draws, split in gains
        if draws.estimate > threshold * float(np.hypot(draws.deviation, split))
    ]
    if not clear:
        return {
            "people_pay": False,
            "sentence": "No human labels needed beyond the audit: no policy at any of these "
            "budgets trains a better reward model than the judge alone, beyond the noise of "
            f"looking at {len(gains)} of them.",
        }
    cell, draws = max(clear, key=lambda row: row[1].estimate)
    found = draws.entry()
    return {
        "people_pay": True,
        "policy": cell.policy,
        "budget": cell.budget.label,
        "sentence": f"Human labels pay: {cell.policy} at {cell.budget.label} trains a reward model "
        f"whose held-out log-likelihood is {found['mean']:+.4f} ({found['low']:+.4f} to "
        f"{found['high']:+.4f}) nats over the judge alone.",
    }


def _gains_over_judge(
    cells: Sequence[Cell], totals: Totals, bootstrap: PromptBootstrap
) -> list[tuple[Cell, _Draws, float]]:
    found = []
    for column, cell in enumerate(cells):
        judge_only = _column_of(cells, "all_judge", cell)
        if cell.policy != "all_judge" and judge_only is not None:
            draws = bootstrap.ratio(*totals.gain("fit", column, judge_only))
            if draws.n and draws.deviation > 0:
                found.append((cell, draws, totals.split_deviation(column, judge_only)))
    return found


def largest_by_chance(gains: Sequence[_Draws]) -> float:
    """Return how many deviations the best of several gains reaches by chance, at 97.5 %.

    The gains share their resamples, so that the more alike they are the less is asked of the best.
    """
    if not gains:
        return float("inf")
    scaled = [(draws.resampled - draws.estimate) / draws.deviation for draws in gains]
    return float(np.quantile(np.max(scaled, axis=0), 0.975))
