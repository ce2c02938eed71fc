"""How fast routing is: a study of 250 mixes, a million decisions, and the cost curve they buy.

``python benchmarks/router.py [--quick] [--output OUT.json]``
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from modeling.numeric_threads import threads_for  # noqa: E402
from routing.core.arrays import BoolArray, FloatArray  # noqa: E402
from routing.core.budget import Budget, frontier, next_dollars  # noqa: E402
from routing.core.mixes import mix_features, sample_mixes  # noqa: E402
from routing.core.policies import RoutingInputs  # noqa: E402
from routing.core.ppm import RidgePpm  # noqa: E402
from routing.core.spending import route  # noqa: E402
from routing.study.heads import Part, performances, train_heads  # noqa: E402
from routing.study.run import run_study  # noqa: E402

N_MIXES, N_TAGS, N_BIASED = 250, 40, 6
STUDIED, FEATURES, DECIDED = 7_000, 768, 1_000_000
QUICK_STUDIED, QUICK_FEATURES, QUICK_DECIDED = 2_000, 128, 100_000
POLICIES = ("random-v1", "uncertainty-v1", "disagreement-v1", "ppm_topk-v1", "ppm_lower-v1")
HUMAN_USD, JUDGE_USD = 0.5, 0.01


def draw_tags(n: int, rng: np.random.Generator) -> BoolArray:
    """Overlapping tags of many frequencies."""
    rate = rng.beta(1, 8, N_TAGS) + 0.02
    return rng.random((n, N_TAGS), dtype=np.float32) < rate


def biased_part(n: int, d: int, rng: np.random.Generator) -> Part:
    """Double labels where the judge errs in six tags and people err everywhere a little."""
    tags = draw_tags(n, rng)
    differences = rng.standard_normal((n, d), dtype=np.float32)
    margin = differences @ (rng.standard_normal(d).astype(np.float32) * 2 / np.sqrt(d))
    truth = (margin > 0).astype(np.float64)
    human = np.where(rng.random(n) < 0.15, 1 - truth, truth)
    wrong = rng.random(n) < np.where(tags[:, :N_BIASED].any(axis=1), 0.6, 0.1)
    judge = np.where(wrong, 1 - truth, truth)
    prompt = np.arange(n, dtype=np.int64) // 2
    return Part(differences, human, human, judge, prompt, tags, judge, np.ones(len(human)))


def time_study(part: Part) -> tuple[float, dict[str, Any]]:
    """Run a study as the product does, from double labels to the verdict and the frontier."""
    begun, cpu = time.perf_counter(), time.process_time()
    with threads_for(part.differences.size):
        numbers = run_study(part, n_mixes=N_MIXES, seed=0, report=lambda share, text: None)
    seconds = time.perf_counter() - begun
    return seconds, {
        # On a shared machine the seconds on the clock say more about the neighbours.
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "spearman": round(numbers.validation.spearman.estimate, 3),
        "rmse_pp": round(numbers.validation.rmse_pp, 3),
        "noise_floor_pp": round(numbers.noise_floor_pp, 3),
        "has_signal": numbers.verdict.has_signal,
    }


def time_mixes(part: Part) -> float:
    """Sample the mixes and train their heads on every row: the part the paper spent TPUs on."""
    begun = time.perf_counter()
    with threads_for(part.differences.size):
        mixes = sample_mixes(part.tags, N_MIXES, seed=0).human
        heads = train_heads(part, mixes, prior=30.0)
        shares, b = mix_features(part.tags, mixes)
        RidgePpm().fit(shares, b, performances(heads, part))
    return time.perf_counter() - begun


def fitted_ppm(tags: BoolArray, rng: np.random.Generator) -> RidgePpm:
    """A model in which the first tags call for people."""
    shares, b = mix_features(tags, sample_mixes(tags, N_MIXES, seed=1).human)
    effect = np.where(np.arange(N_TAGS) < N_BIASED, 0.02, -0.002)
    return RidgePpm().fit(shares, b, 0.7 + shares @ effect + 0.002 * rng.standard_normal(len(b)))


def time_decisions(n: int, rng: np.random.Generator) -> tuple[dict[str, float], dict[str, Any]]:
    """Decide about n comparisons with each policy, audit and prices included."""
    tags = draw_tags(n, rng)
    words = rng.lognormal(5.5, 0.7, n)
    inputs = RoutingInputs(
        n_comparisons=n,
        extra_cost_usd=HUMAN_USD * words / words.mean() - JUDGE_USD,
        tags=tags,
        ppm=fitted_ppm(tags[:20_000], rng),
        judge_probability=rng.random(n),
        p_disagree=rng.random(n),
    )
    budget = Budget(usd=0.25 * HUMAN_USD * n)
    seconds = {}
    cpu = time.process_time()
    for policy in POLICIES:
        begun = time.perf_counter()
        route(policy, inputs, budget, np.random.default_rng(0), audit_share=0.1)
        seconds[policy] = round(time.perf_counter() - begun, 2)
    seconds["all_cpu"] = round(time.process_time() - cpu, 2)
    return seconds, cost_curve(inputs)


def cost_curve(inputs: RoutingInputs) -> dict[str, Any]:
    """What money buys: the predicted frontier beside a random choice, and the next $100."""
    assert inputs.ppm is not None
    assert inputs.tags is not None
    assert inputs.extra_cost_usd is not None
    coef = inputs.ppm.coef_[:N_TAGS] / np.maximum(inputs.tags.sum(axis=0), 1)
    utility: FloatArray = inputs.tags @ coef
    curve = frontier(inputs.ppm, inputs.tags, utility, inputs.extra_cost_usd, n_points=11)
    next_100 = next_dollars(curve, 100.0)
    names = ("human_share", "spend_usd", "performance", "low", "high", "random_performance")
    return {
        "points": {name: [round(float(v), 5) for v in getattr(curve, name)] for name in names},
        "next_100_usd_pp": [
            round(100 * end, 5) for end in (next_100.estimate, next_100.low, next_100.high)
        ],
    }


def measure(*, quick: bool) -> dict[str, Any]:
    """Run every part and return the figures."""
    rng = np.random.default_rng(0)
    n, d, decided = (
        (QUICK_STUDIED, QUICK_FEATURES, QUICK_DECIDED) if quick else (STUDIED, FEATURES, DECIDED)
    )
    part = biased_part(n, d, rng)
    mixes_seconds = time_mixes(part)
    study_seconds, study = time_study(part)
    decide, curve = time_decisions(decided, rng)
    return {
        "ppm_study_seconds": round(study_seconds, 2),
        "all_rows_heads_seconds": round(mixes_seconds, 2),
        "decide_seconds": max(decide[policy] for policy in POLICIES),
        "decide_seconds_by_policy": decide,
        "n_mixes": N_MIXES,
        "n_comparisons": n,
        "n_features": d,
        "n_decided": decided,
        "study": study,
        "cost_curve": curve,
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, within 60 s")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/router.json")
    options = parser.parse_args()
    result = measure(quick=options.quick)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result.items():
        if name != "cost_curve":
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
