"""Whether a reward model may be promoted: tests on held-out human labels and the stress suite.

Runs in a worker only. Every test is JSON with a key, a title, whether it passed, what was found and
where it applies an estimate with its interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from annotate.errors import NotReady
from annotate.models import Project, Prompt
from modeling.core.metrics import (
    Interval,
    expected_calibration_error,
    log_losses,
    paired_difference_interval,
    pairwise_correct,
)
from modeling.core.types import FloatArray
from modeling.evaluation import predicted_side
from modeling.human_pairs import HumanPairs, human_pairs
from modeling.models import RewardModel
from modeling.scoring import Scorer, scorer_for
from modeling.splits import is_held_out
from modeling.stress import stress_suite

MIN_PAIRS = 60
"""With fewer, chance alone reaches `MOST_ECE`: on 30 pairs a calibrated model often fails."""
MIN_PROMPTS = 10
N_BINS = 10
TOLERATED_ECE = 0.05
MOST_ECE = 0.15
N_SIMULATED = 1_000
LEVEL = 0.95

Report = Callable[[float, str], None]
Test = dict[str, Any]


def examine(
    model: RewardModel, against: RewardModel | None, *, seed: int, progress: Report
) -> list[Test]:
    """Run every gate on a model, beside the current one where there is one.

    Parameters
    ----------
    model
        Asks to be promoted.
    against
        The model that is current now.
    seed
        Of the bootstrap and the calibration simulation.
    progress
        Called with the fraction done and a sentence; raises to cancel.
    """
    progress(0.05, "Reading held-out human labels")
    pairs = held_out_pairs(model.project)
    tests = [_enough(pairs)]
    scorer = scorer_for(model)
    if tests[0]["has_passed"]:
        progress(0.2, f"Scoring {len(pairs.responses):,} responses")
        tests += _on_labels(pairs, scorer, against, np.random.default_rng(seed))
    progress(0.8, "Stress suite")
    return tests + [{**test, "is_stress": True} for test in stress_suite(scorer.compare)]


def _on_labels(
    pairs: HumanPairs, scorer: Scorer, against: RewardModel | None, rng: np.random.Generator
) -> list[Test]:
    chance = pairs.predicted(scorer)
    return [
        _beats_rule(chance, pairs.longer, pairs, "length", "the longer response", rng),
        _beats_rule(chance, _constant(pairs), pairs, "constant", "the constant", rng),
        _beats_current(chance, pairs, against, rng),
        _calibrated(chance, pairs, rng),
    ]


def held_out_pairs(project: Project) -> HumanPairs:
    """Read what people labelled on held-out prompts, as it stands now.

    Raises
    ------
    NotReady
        If nobody labelled a held-out prompt.
    """
    hashes = Prompt.objects.filter(project=project).values_list("pk", "content_hash")
    held_out = [pk for pk, content_hash in hashes if is_held_out(content_hash)]
    pairs = human_pairs(project, lambda prompt_ids: np.isin(prompt_ids, held_out))
    if not pairs.target.size:
        raise NotReady("Nobody has labelled a held-out prompt yet. Let people label more prompts.")
    return pairs


def _constant(pairs: HumanPairs) -> FloatArray:
    return np.full(pairs.target.size, pairs.first_share)


def _enough(pairs: HumanPairs) -> Test:
    decided = pairs.target != 0.5
    n, n_prompts = int(decided.sum()), int(np.unique(pairs.prompt[decided]).size)
    found = (
        f"{n:,} decided pairs on {n_prompts:,} held-out prompts; {MIN_PAIRS} on {MIN_PROMPTS} are "
        "needed."
    )
    has_passed = n >= MIN_PAIRS and n_prompts >= MIN_PROMPTS
    return _test("enough", "Enough held-out human labels", has_passed, found)


def _beats_rule(
    chance: FloatArray,
    rule: FloatArray,
    pairs: HumanPairs,
    key: str,
    name: str,
    rng: np.random.Generator,
) -> Test:
    gain = _accuracy_gain(chance, rule, pairs, rng)
    found = f"Accuracy less that of {name}: {_told(gain)}. Above 0 beyond noise is needed."
    return _test(f"beats_{key}", f"Beats {name}", gain.low > 0, found, gain)


def _beats_current(
    chance: FloatArray,
    pairs: HumanPairs,
    against: RewardModel | None,
    rng: np.random.Generator,
) -> Test:
    title = f"Beats the current model, {against}" if against else "Beats the current model"
    if against is None:
        return _test("beats_current", title, has_passed=True, found="No model is current yet.")
    rival = pairs.predicted(scorer_for(against))
    losses = log_losses(rival, pairs.target) - log_losses(chance, pairs.target)
    gain = paired_difference_interval(losses, np.zeros(losses.size), pairs.prompt, rng)
    accuracy = _accuracy_gain(chance, rival, pairs, rng)
    found = (
        f"Log loss saved: {_told(gain)}; accuracy gained: {_told(accuracy)}. A saving above 0 "
        "beyond noise is needed, and accuracy must not fall beyond noise."
    )
    return _test("beats_current", title, gain.low > 0 and accuracy.high >= 0, found, gain)


def _calibrated(chance: FloatArray, pairs: HumanPairs, rng: np.random.Generator) -> Test:
    confidence, outcome = predicted_side(chance, pairs.target)
    error = expected_calibration_error(confidence, outcome, n_bins=N_BINS)
    by_chance = _error_by_chance(confidence, rng)
    bound = min(max(TOLERATED_ECE, by_chance), MOST_ECE)
    found = (
        f"Calibration error {error:.3f} on {confidence.size:,} pairs. A perfectly calibrated model "
        f"stays below {by_chance:.3f} in {LEVEL:.0%} of samples of this size; at most {bound:.3f} "
        "passes."
    )
    return _test("calibrated", "Calibrated", error <= bound, found, estimate=error)


def _error_by_chance(confidence: FloatArray, rng: np.random.Generator) -> float:
    """The calibration error that sampling alone gives a perfect model, at the 95 % quantile."""
    outcomes = rng.random((N_SIMULATED, confidence.size)) < confidence
    errors = [
        expected_calibration_error(confidence, row.astype(np.float64), n_bins=N_BINS)
        for row in outcomes
    ]
    return float(np.quantile(errors, LEVEL))


def _accuracy_gain(
    chance: FloatArray, rival: FloatArray, pairs: HumanPairs, rng: np.random.Generator
) -> Interval:
    mine, decided = pairwise_correct(chance, pairs.target)
    theirs, _ = pairwise_correct(rival, pairs.target)
    return paired_difference_interval(mine[decided], theirs[decided], pairs.prompt[decided], rng)


def _told(gain: Interval) -> str:
    told = f"{gain.estimate:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], n = {gain.n:,}"
    return told.replace("-", "\N{MINUS SIGN}")


def _test(
    key: str,
    title: str,
    has_passed: bool,
    found: str,
    interval: Interval | None = None,
    *,
    estimate: float | None = None,
) -> Test:
    return {
        "key": key,
        "title": title,
        "has_passed": bool(has_passed),
        "found": found,
        "estimate": interval.estimate if interval else estimate,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
    }
