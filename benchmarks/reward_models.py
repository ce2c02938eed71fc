"""Where a reward model's extra machinery helps on real labels: flips, groups, audits, cycles.

`python benchmarks/reward_models.py [--quick] [--output OUT.json]`. Reads the sets in TANDEM_DATA.
Labels are flipped, and groups planted, at random from fixed seeds; tests are on the labels as
people gave them, of prompts that no fit saw.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402  (the settings module is named before Django is loaded)

django.setup()

from modeling.comparison_study import held_out_split  # noqa: E402
from modeling.core.audit import audit_evidence  # noqa: E402
from modeling.core.likelihoods import (  # noqa: E402
    LIKELIHOODS,
    Head,
    Likelihood,
    fit_calibrated,
)
from modeling.core.losses import bradley_terry_loss, debiased_loss, noise_aware_loss  # noqa: E402
from modeling.core.metrics import log_losses, pairwise_correct  # noqa: E402
from modeling.core.mixture import fit_mixture, one_reward_test  # noqa: E402
from modeling.core.reward_data import PairVotes, RewardData  # noqa: E402
from modeling.core.reward_fit import RewardBasis  # noqa: E402
from modeling.core.reward_terms import PairTerm  # noqa: E402
from modeling.core.transitivity import cycle_test  # noqa: E402
from modeling.core.types import FloatArray, PairwiseData  # noqa: E402
from modeling.recorded import (  # noqa: E402
    RecordedComparisons,
    human_truth,
    read_recorded,
    recorded_features,
)

SETS = {
    "pandalm": "pandalm.jsonl",
    "mt_bench": "mt_bench_dev.jsonl",
    "hh_harmless": "restricted/hh_harmless.jsonl",
}
FLIP_SETTINGS = ("uniform 0.2", "uniform 0.4", "half the labels 0.4")
AUDIT_RATES = (0.1, 0.2)
PRIOR = 10.0
Rng = np.random.Generator
Found = dict[str, Any]


def load(name: str) -> tuple[RecordedComparisons, RewardData]:
    """Read a set with its TF-IDF features and human labels, or stop with a sentence."""
    folder = Path(os.environ.get("TANDEM_DATA") or ROOT.parent / "shared" / "data")
    path = folder / SETS[name]
    if not path.is_file():
        sys.exit(f"{path} is not there; set TANDEM_DATA to the folder of the real sets.")
    recorded = read_recorded(path)
    data = recorded.labels(recorded_features(recorded, "tfidf", cache=False), "human")
    overall = data.pairs.take(data.pairs.criterion == 0)
    return recorded, data.with_pairs(overall)


def flipped(votes: PairVotes, rates: FloatArray, rng: Rng) -> tuple[PairVotes, FloatArray]:
    """Flip each vote at its own rate; say which ones were."""
    flips = (rng.random(votes.n_votes) < rates) & (votes.target != 0.5)
    target = np.where(flips, 1.0 - votes.target, votes.target)
    return replace(votes, target=target), flips.astype(np.float64)


def noisy(data: RewardData, setting: str, rng: Rng) -> tuple[RewardData, FloatArray]:
    """Flip labels as a setting says; sources take the place of annotators."""
    votes, rate = data.pairs, float(setting.split()[-1])
    source = np.zeros(votes.n_votes, dtype=np.int64)
    if not setting.startswith("uniform"):
        source = rng.integers(2, size=votes.n_votes)
    rates = rate * (source if source.any() else np.ones(votes.n_votes)).astype(np.float64)
    labels, _ = flipped(votes, rates, rng)
    return data.with_pairs(replace(labels, annotator=source)), rates


def readings(by_source: FloatArray) -> dict[str, Likelihood]:
    """The losses compared under flips: plain, rates estimated, rates known."""

    def with_loss(loss: Any) -> Callable[[RewardBasis, float], Head]:
        def fit(basis: RewardBasis, prior: float) -> Head:
            votes = basis.data.pairs
            rates = by_source[votes.annotator]
            start = basis.fit([_plain(votes)], prior_precision=prior)
            term = PairTerm(votes, lambda z, _: loss(z, votes.target, rates))
            return basis.fit([term], prior_precision=prior, start=start)

        return fit

    count = LIKELIHOODS["soft_targets"].count
    return {
        "plain": LIKELIHOODS["soft_targets"],
        "estimated": LIKELIHOODS["noise_robust"],
        "known": Likelihood("known rates", "votes", with_loss(noise_aware_loss), count),
        "debiased": Likelihood("known rates, debiased", "votes", with_loss(debiased_loss), count),
    }


def _plain(votes: PairVotes) -> PairTerm:
    return PairTerm(votes, lambda z, _: bradley_terry_loss(z, votes.target))


def flip_study(data: RewardData, n_seeds: int) -> Found:
    """Held-out accuracy and log loss of every loss under every kind of flips, paired by seed."""
    truth = human_truth(data)
    scores: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for setting in FLIP_SETTINGS:
        for seed in range(n_seeds):
            train, test = held_out_split(truth, np.random.default_rng([seed, 0]))
            rng = np.random.default_rng([seed, 3])
            labels, rates = noisy(data.in_prompts(train), setting, rng)
            who = labels.pairs.annotator
            by_source = np.array([rates[who == source].max(initial=0) for source in (0, 1)])
            for name, reading in readings(by_source).items():
                fitted = fit_calibrated(reading, labels, np.random.default_rng([seed, 4]))
                probability = fitted.predict_proba(data.features, test)
                correct, decided = pairwise_correct(probability, test.target)
                point = correct[decided].mean(), log_losses(probability, test.target).mean()
                scores.setdefault(setting, {}).setdefault(name, []).append(point)
    return {setting: _against_plain(own) for setting, own in scores.items()}


def _against_plain(scores: dict[str, list[tuple[float, float]]]) -> Found:
    plain = np.array(scores["plain"])
    found: Found = {}
    for name, points in scores.items():
        values = np.array(points)
        found[name] = {"accuracy": over_seeds(values[:, 0]), "log_loss": over_seeds(values[:, 1])}
        if name != "plain":
            gain = values - plain
            found[name]["accuracy_gain"] = over_seeds(gain[:, 0])
            found[name]["log_loss_gain"] = over_seeds(gain[:, 1])
    return found


def over_seeds(values: FloatArray) -> Found:
    """Mean over seeds with a t interval at 95 %."""
    from scipy.stats import t

    half = float(values.std(ddof=1) / np.sqrt(values.size) * t.ppf(0.975, values.size - 1))
    mean = float(values.mean())
    return {
        "mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4),
        "n_seeds": int(values.size),
    }  # fmt: skip


def audit_study(data: RewardData, n_seeds: int) -> Found:
    """Share of planted flips among the tenth of labels that the audit suspects most."""
    truth = human_truth(data)
    decided = truth.take((truth.target == 0.0) | (truth.target == 1.0))
    found: Found = {}
    for rate in AUDIT_RATES:
        precisions = []
        for seed in range(n_seeds):
            rng = np.random.default_rng([seed, 5])
            labels, flips = flipped(decided, np.full(decided.n_votes, rate), rng)
            pairs = PairwiseData(
                data.features, labels.first, labels.second, labels.target, labels.weight,
                labels.prompt,
            )  # fmt: skip
            evidence = audit_evidence(pairs, np.random.default_rng([seed, 6]))
            top = np.argsort(evidence.strength)[: max(1, decided.n_votes // 10)]
            precisions.append(flips[top].mean())
        precision = over_seeds(np.array(precisions))
        lift = {key: round(precision[key] / rate, 2) for key in ("mean", "low", "high")}
        found[f"flips {rate:g}"] = {
            "n_labels": decided.n_votes, "precision_top_decile": precision, "lift": lift,
        }  # fmt: skip
    return found


def planted_groups(data: RewardData, n_seeds: int, *, n_groups: int) -> Found:
    """Replace the votes by those of planted groups of annotators; is one reward enough?"""
    gains, verdicts, recovered = [], [], []
    truth = human_truth(data)
    for seed in range(n_seeds):
        rng = np.random.default_rng([seed, 7])
        planted = _planted(data, truth, rng, n_groups)
        prior = PRIOR * RewardBasis(planted).mean_square
        test = one_reward_test(planted, np.random.default_rng([seed, 8]), prior_precision=prior)
        gains.append(test.gain.estimate)
        verdicts.append(test.verdict)
        fit = fit_mixture(planted, np.random.default_rng([seed, 9]), prior_precision=prior)
        side = fit.membership_.argmax(axis=1) == (np.arange(6) % 2)
        recovered.append(max(side.mean(), 1 - side.mean()))
    counts = {name: verdicts.count(name) for name in ("one", "several", "unknown")}
    found: Found = {"gain_nats_per_vote": over_seeds(np.array(gains)), "verdicts": counts}
    if n_groups > 1:
        found["annotators_in_their_group"] = over_seeds(np.array(recovered))
    return found


def _planted(data: RewardData, truth: PairVotes, rng: Rng, n_groups: int) -> RewardData:
    """Six annotators vote on every pair by their group's own random reward."""
    matrix = data.features.astype(np.float64)
    differences = matrix[truth.first] - matrix[truth.second]
    rewards = rng.standard_normal((n_groups, matrix.shape[1]))
    logits = differences @ rewards.T
    logits *= 2.0 / logits.std(axis=0)
    parts = []
    for annotator in range(6):
        wins = rng.random(truth.n_votes) < 1 / (1 + np.exp(-logits[:, annotator % n_groups]))
        who = np.full(truth.n_votes, annotator)
        parts.append(replace(truth, target=wins.astype(np.float64), annotator=who))
    names = PairVotes.__dataclass_fields__
    joined = PairVotes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    return RewardData(data.features, joined)


def real_groups(data: RewardData) -> Found:
    """Whether the real annotators of a set follow one reward."""
    prior = PRIOR * RewardBasis(data).mean_square
    test = one_reward_test(data, np.random.default_rng(10), prior_precision=prior)
    gain = {key: round(getattr(test.gain, key), 4) for key in ("estimate", "low", "high")}
    n_annotators = int(np.unique(data.pairs.annotator).size)
    return {"gain_nats_per_vote": gain, "verdict": test.verdict, "n_annotators": n_annotators}


def cycles(data: RewardData) -> Found:
    """Cyclic triads beside those that a transitive model expects."""
    votes = data.pairs.take(data.pairs.target != 0.5)
    wins = (votes.target > 0.5).astype(np.float64)
    test = cycle_test(votes.first, votes.second, wins, 1.0 - wins, np.random.default_rng(11))
    return {
        "n_triads": test.n_triads, "n_cyclic": test.n_cyclic,
        "expected": round(test.expected, 1), "p_value": round(test.p_value, 3),
    }  # fmt: skip


def study(name: str, n_seeds: int) -> Found:
    """All studies on one set."""
    _, data = load(name)
    found: Found = {"cycles": cycles(data), "audit": audit_study(data, n_seeds)}
    print(f"{name}: cycles and audit done", file=sys.stderr)
    found["flips"] = flip_study(data, n_seeds)
    print(f"{name}: flips done", file=sys.stderr)
    if np.unique(data.pairs.annotator).size > 1:
        found["annotators"] = real_groups(data)
    return found


def show(result: Found) -> None:
    """Print what the docs quote."""
    for name, own in result["sets"].items():
        print(f"{name}: cycles {own['cycles']}; annotators {own.get('annotators', 'one')}")
        for rate, figures in own["audit"].items():
            print(f"  audit, {rate}: {figures}")
        for setting, losses in own["flips"].items():
            for loss, figures in losses.items():
                print(f"  {setting}, {loss}: {figures}")
    print(f"planted groups: {result['planted']}")


def main() -> None:
    """Run the studies and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one set, two seeds")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/reward_models.json"
    )
    options = parser.parse_args()
    n_seeds = 2 if options.quick else 10
    names = ["pandalm"] if options.quick else list(SETS)
    _, planted_on = load("pandalm")
    planted_seeds = 2 if options.quick else 5
    result: Found = {
        "n_seeds": n_seeds,
        "sets": {name: study(name, n_seeds) for name in names},
        "planted": {
            "two groups": planted_groups(planted_on, planted_seeds, n_groups=2),
            "one group": planted_groups(planted_on, planted_seeds, n_groups=1),
        },
    }
    show(result)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
