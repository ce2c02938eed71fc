"""Likelihoods and encoders side by side on recorded labels: one split, one yardstick, intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modeling.core.likelihoods import LIKELIHOODS, fit_likelihood, left_out_because
from modeling.core.metrics import (
    Interval,
    bin_of,
    cluster_bootstrap_interval,
    group_split,
    log_losses,
    paired_difference_interval,
    pairwise_correct,
)
from modeling.core.reward_data import PairVotes, RewardData
from modeling.core.rewardbench import RewardBenchScores, rewardbench_scores
from modeling.core.types import FloatArray, IntArray
from modeling.evaluation import N_BINS, number, predicted_side
from modeling.numeric_threads import threads_for
from modeling.outside_data import OutsideSet
from modeling.recorded import RecordedColumns, RecordedComparisons, human_truth

TEST_SHARE = 0.25
N_RESAMPLES = 2000
REFERENCE = "bradley_terry"
BASELINES = ("length", "constant")
MIN_TEST_PROMPTS = 3

Say = Callable[[str], None]
Cell = dict[str, Any]


@dataclass
class _Rows:
    """Held-out pairs of all splits, one after the other."""

    correct: list[FloatArray] = field(default_factory=list)
    loss: list[FloatArray] = field(default_factory=list)
    confidence: list[FloatArray] = field(default_factory=list)
    outcome: list[FloatArray] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    def add(self, probability: FloatArray, test: PairVotes) -> None:
        """Append one split."""
        correct, decided = pairwise_correct(probability, test.target)
        # Ties take no part in accuracy; NaN keeps the rows of all models in step.
        self.correct.append(np.where(decided, correct, np.nan))
        self.loss.append(log_losses(probability, test.target))
        confidence, outcome = predicted_side(probability, test.target)
        self.confidence.append(confidence)
        self.outcome.append(outcome)
        self.accuracies.append(float(correct[decided].mean()))


@dataclass(frozen=True)
class StudyOptions:
    """What to compare.

    Parameters
    ----------
    likelihoods, encoders : tuple of str
        Names; likelihoods whose labels are missing are left out with a reason.
    n_seeds : int
        Splits by prompt.
    labels : str
        Labels to train on: human, judge or both. Tests are on human labels always.
    """

    likelihoods: tuple[str, ...]
    encoders: tuple[str, ...]
    n_seeds: int = 10
    labels: str = "human"


@dataclass(frozen=True, eq=False)
class _Test:
    """One set that models are tested on, and what was found there."""

    recorded: RecordedComparisons
    rows: dict[str, _Rows] = field(default_factory=dict)
    prompts: list[IntArray] = field(default_factory=list)


def compare(
    recorded: RecordedComparisons,
    options: StudyOptions,
    *,
    outside: Sequence[OutsideSet] = (),
    seed: int = 0,
    say: Say | None = None,
) -> dict[str, Any]:
    """Fit every likelihood on every encoder over the same splits.

    Parameters
    ----------
    recorded
        Comparisons of a file.
    options
        What to compare.
    outside
        Sets from elsewhere that the same models are tested on.
    seed
        Start of the numbers from which splits and folds are drawn.
    say
        Called with a sentence after every fit.

    Returns
    -------
    dict
        ``n_comparisons``, ``models``, ``baselines``, ``left_out`` and what the figures stand on;
        ``ood`` and ``rewardbench`` where there are sets from elsewhere.

    Raises
    ------
    InvalidInputError
        If there are too few prompts to split.
    """
    study = _Study(recorded, options, outside)
    for split in range(options.n_seeds):
        for name in study.split(split, seed):
            if say is not None:
                say(f"split {split + 1} of {options.n_seeds}: {name}")
    return study.result(seed)


class _Study:
    """Models by likelihood and encoder, tested on held-out prompts and on sets from elsewhere."""

    def __init__(
        self,
        recorded: RecordedComparisons,
        options: StudyOptions,
        outside: Sequence[OutsideSet],
    ) -> None:
        self.recorded, self.options, self.outside = recorded, options, outside
        columns = {name: RecordedColumns(recorded, name) for name in options.encoders}
        self.matrices = {name: own.rows(recorded) for name, own in columns.items()}
        self.elsewhere = {
            name: [own.rows(other.recorded) for other in outside] for name, own in columns.items()
        }
        first = next(iter(self.matrices.values()))
        self.truth = human_truth(recorded.labels(first, "human"))
        self.labels = recorded.labels(first, options.labels)
        self.left_out = {name: left_out_because(name, self.labels) for name in options.likelihoods}
        self.home = _Test(recorded)
        self.away = [_Test(other.recorded) for other in outside]

    def split(self, number: int, seed: int) -> Iterator[str]:
        """Fit and test every model on one split; yield its name when done."""
        options = self.options
        train, test = held_out_split(self.truth, np.random.default_rng([seed, number, 0]))
        tested = [
            (self.home, test),
            *zip(self.away, (own.test for own in self.outside), strict=True),
        ]
        for where, pairs in tested:
            where.prompts.append(pairs.prompt)
            _add_baselines(where, self.recorded, self.labels.in_prompts(train), pairs)
        for encoder, features in self.matrices.items():
            data = self.recorded.labels(features, options.labels).in_prompts(train)
            matrices = [features, *self.elsewhere[encoder]]
            for likelihood in (name for name, reason in self.left_out.items() if not reason):
                name = f"{likelihood}/{encoder}"
                with threads_for(data.pairs.n_votes * features.shape[1]):
                    rng = np.random.default_rng([seed, number, 1])
                    fitted = fit_likelihood(likelihood, data, rng)
                for (where, pairs), matrix in zip(tested, matrices, strict=True):
                    found = fitted.predict_proba(matrix, pairs)
                    where.rows.setdefault(name, _Rows()).add(found, pairs)
                yield name

    def result(self, seed: int) -> dict[str, Any]:
        """Return all figures as JSON."""
        rng = np.random.default_rng([seed, 2])
        recorded, options = self.recorded, self.options
        found = {
            "n_comparisons": recorded.n_comparisons,
            "n_pairs_tested": sum(own.size for own in self.home.prompts),
            "n_prompts": int(np.unique(recorded.response_prompt).size),
            "n_seeds": options.n_seeds,
            "labels": options.labels,
            "tested_on": "held-out human labels, split by prompt",
            "interval": "95 %, resampling prompts over the pooled splits",
            **_figures(self.home, rng),
            "left_out": {name: reason for name, reason in self.left_out.items() if reason},
        }
        elsewhere = list(zip(self.outside, self.away, strict=True))
        if ood := {own.name: _elsewhere(own, at, rng) for own, at in elsewhere if not own.subset}:
            found["ood"] = ood
        if bench := {own.name: _benched(own, at, rng) for own, at in elsewhere if own.subset}:
            found["rewardbench"] = bench
        return found


def held_out_split(truth: PairVotes, rng: np.random.Generator) -> tuple[IntArray, PairVotes]:
    shares = [1 - TEST_SHARE, TEST_SHARE]
    train, test = group_split(truth.prompt, shares, rng)
    return np.unique(truth.prompt[train]), truth.take(test)


def _add_baselines(
    where: _Test, trained: RecordedComparisons, train: RewardData, test: PairVotes
) -> None:
    votes = train.pairs.take(train.pairs.criterion == 0)
    longer = trained.longer(votes)
    told = longer != 0.5
    wins = np.where(longer > 0.5, votes.target, 1.0 - votes.target)[told]
    # One label added to each side: a rule that was never wrong is no proof that it never will be.
    share = (wins.sum() + 1.0) / (wins.size + 2.0)
    probability = 0.5 + (where.recorded.longer(test) - 0.5) * 2.0 * (share - 0.5)
    constant = (votes.target.sum() + 1.0) / (votes.n_votes + 2.0)
    where.rows.setdefault("length", _Rows()).add(probability, test)
    where.rows.setdefault("constant", _Rows()).add(np.full(test.n_votes, constant), test)


def _figures(test: _Test, rng: np.random.Generator) -> dict[str, Any]:
    rows, prompt = test.rows, np.concatenate(test.prompts)
    models = {name: own for name, own in rows.items() if name not in BASELINES}
    return {
        "models": {
            name: {**_cell(own, prompt, rng), **_against(name, rows, prompt, rng)}
            for name, own in models.items()
        },
        "baselines": {name: _cell(rows[name], prompt, rng) for name in BASELINES if rows},
    }


def _elsewhere(outside: OutsideSet, test: _Test, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "n_pairs": outside.test.n_votes,
        "n_prompts": int(np.unique(outside.test.prompt).size),
        "n_shared_left_out": outside.n_shared,
        "tested_on": "human labels of another file, on prompts that training never saw",
        **_figures(test, rng),
    }


def _benched(outside: OutsideSet, test: _Test, rng: np.random.Generator) -> dict[str, Any]:
    """RewardBench's figures, each pair at its mean over the splits' models."""
    found = _elsewhere(outside, test, rng)
    for name, own in test.rows.items():
        cell = found["baselines" if name in BASELINES else "models"][name]
        # Rows that contradict each other about one pair leave nothing to be right about.
        correct = np.nan_to_num(np.mean(own.correct, axis=0), nan=0.5)
        cell |= bench_figures(rewardbench_scores(outside.subset, correct))
    return found


def bench_figures(scores: RewardBenchScores) -> Cell:
    """Write RewardBench's scores as JSON."""
    return {
        "overall": scores.overall and _scored(scores.overall),
        "sections": {name: _scored(own) for name, own in scores.sections.items()},
        "subsets": {name: _scored(own) for name, own in scores.subsets.items()},
        "subsets_without_section": list(scores.unknown),
    }


def _scored(share: Interval) -> Cell:
    return {**_interval(share.estimate, share.low, share.high), "n": share.n}


def _cell(own: _Rows, prompt: IntArray, rng: np.random.Generator) -> Cell:
    correct, loss = np.concatenate(own.correct), np.concatenate(own.loss)
    decided = ~np.isnan(correct)
    accuracy = cluster_bootstrap_interval(correct[decided], prompt[decided], rng)
    losses = cluster_bootstrap_interval(loss, prompt, rng)
    spread = float(np.std(own.accuracies, ddof=1)) if len(own.accuracies) > 1 else float("nan")
    return {
        "accuracy": _interval(accuracy.estimate, accuracy.low, accuracy.high),
        "log_loss": _interval(losses.estimate, losses.low, losses.high),
        "ece": _interval(*_ece(own, prompt, rng)),
        "accuracy_sd_over_splits": number(spread),
    }


def _against(name: str, rows: dict[str, _Rows], prompt: IntArray, rng: np.random.Generator) -> Cell:
    """Paired differences to the length rule, and to plain Bradley-Terry on the same encoder."""
    rivals = {"length": "length", REFERENCE: f"{REFERENCE}/{name.split('/')[1]}"}
    found = {}
    for title, rival in rivals.items():
        if rival == name or rival not in rows:
            continue
        correct, other = (np.concatenate(rows[key].correct) for key in (name, rival))
        decided = ~np.isnan(correct)
        gain = paired_difference_interval(correct[decided], other[decided], prompt[decided], rng)
        loss, rival_loss = (np.concatenate(rows[key].loss) for key in (name, rival))
        change = paired_difference_interval(loss, rival_loss, prompt, rng)
        found[f"above_{title}"] = {
            "accuracy": _interval(gain.estimate, gain.low, gain.high),
            "log_loss": _interval(change.estimate, change.low, change.high),
        }
    return found


def _ece(own: _Rows, prompt: IntArray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Calibration error of the predicted side, from sums by prompt and bin."""
    confidence, outcome = np.concatenate(own.confidence), np.concatenate(own.outcome)
    codes = np.unique(prompt, return_inverse=True)[1]
    n_groups = int(codes.max()) + 1
    cells = codes * N_BINS + bin_of(confidence, N_BINS)
    gaps = np.bincount(cells, outcome - confidence, minlength=n_groups * N_BINS)
    gaps, sizes = gaps.reshape(n_groups, N_BINS), np.bincount(codes, minlength=n_groups)
    counts = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_RESAMPLES)
    drawn = np.abs(counts @ gaps).sum(axis=1) / (counts @ sizes)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(np.abs(gaps.sum(axis=0)).sum() / sizes.sum()), float(low), float(high)


def _interval(mean: float, low: float, high: float) -> dict[str, float | None]:
    return {"mean": number(mean), "low": number(low), "high": number(high)}


__all__ = ["LIKELIHOODS", "StudyOptions", "compare"]
