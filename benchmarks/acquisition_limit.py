"""How few labels any strategy could need, in expectation, on real pools.

`python benchmarks/acquisition_limit.py [--quick] [--set NAME]… [--output OUT.json]`: on the splits
of `acquisition_replay.py`, the fewest labels over random's for the same expected held-out loss if
the last layer's model were the truth: a certified bound on every choice that does not know the
labels. Reads the same files from the folder in TANDEM_DATA.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._design_limit import Design, least_labels, random_loss  # noqa: E402
from benchmarks.acquisition_replay import DATA, SETS  # noqa: E402
from modeling.core.anchored import Anchor, posterior_at  # noqa: E402
from modeling.encoder_names import MINILM, TFIDF, encoder_is_installed  # noqa: E402
from routing.acquisition.recorded import recorded_pairs  # noqa: E402
from routing.acquisition.replay import ReplaySettings, Split, World, split_of  # noqa: E402
from routing.acquisition.replay_report import SHARES  # noqa: E402
from routing.core.arrays import FloatArray  # noqa: E402

QUICK_SEEDS, SEEDS = 1, 10


def run(name: str, *, quick: bool) -> dict[str, Any]:
    """Bound one set at every share of its budget."""
    file, initial, batch, rounds, _ = SETS[name]
    n_seeds = QUICK_SEEDS if quick else SEEDS
    settings = ReplaySettings((), batch_size=batch, initial=initial, rounds=rounds, seeds=n_seeds)
    encoder = TFIDF if quick or not encoder_is_installed(MINILM) else MINILM
    world = World.of(recorded_pairs(DATA / file, encoder=encoder))
    ratios = [limits(world, split_of(world, settings, seed), settings) for seed in range(n_seeds)]
    keys = [f"at_{100 * share:.0f}" for share in SHARES]
    least = {
        key: _summary(column) for key, column in zip(keys, zip(*ratios, strict=True), strict=True)
    }
    return {"encoder": encoder, "seeds": n_seeds, "least_ratio": least}


def limits(world: World, split: Split, settings: ReplaySettings) -> list[float]:
    """Least labels over random's on one split, at each share of the budget."""
    design, rng = design_of(world, split), np.random.default_rng(split.seed)
    budgets = [round(share * settings.n_labels[-1]) for share in SHARES]
    return [least_labels(design, random_loss(design, n, rng), n) / n for n in budgets]


def design_of(world: World, split: Split) -> Design:
    """Read the information of every label from the model that has seen them all."""
    rows, held_out = (world.sides(part).differences for part in (split.train, split.test))
    precision = world.typical_square / Anchor().logit_scale ** 2
    target, weight = world.pairs.target[split.train], np.ones(len(rows))
    mean = posterior_at(rows, target, weight, precision).mean
    curvature = _curvature(held_out @ mean)
    moment = (held_out * curvature[:, None]).T @ held_out / len(held_out)
    held = np.isin(split.train, split.start)
    return Design(rows, _curvature(rows @ mean), moment, precision, held)


def _curvature(logits: FloatArray) -> FloatArray:
    return np.asarray(0.5 / (1.0 + np.cosh(logits)))


def _summary(values: Sequence[float]) -> dict[str, float]:
    column = np.array(values)
    return {
        "mean": round(float(column.mean()), 4),
        "low": round(float(column.min()), 4),
        "high": round(float(column.max()), 4),
    }


def main() -> None:
    """Bound every set, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one split, TF-IDF")
    parser.add_argument("--set", choices=list(SETS), action="append", help="only this set")
    default = ROOT / "benchmarks/results/acquisition_limit.json"
    parser.add_argument("--output", type=Path, default=default)
    arguments = parser.parse_args()
    if not DATA.is_dir():
        print(f"There is no data folder {DATA}; set TANDEM_DATA.")
        return
    results = {name: run(name, quick=arguments.quick) for name in arguments.set or SETS}
    for name, result in results.items():
        print(name, json.dumps(result["least_ratio"]))
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
