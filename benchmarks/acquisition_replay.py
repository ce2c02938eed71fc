"""Query strategies on real recorded labels: labels to match random, with paired seeds.

`python benchmarks/acquisition_replay.py [--quick] [--set NAME]… [--strategy NAME]…
[--first-seed K] [--logit-scale S] [--output OUT.json] [--chart OUT.svg]`. With `--strategy`, its
rows take their place among the others of OUT.json, whose random curves must be the same. Reads
`pandalm.jsonl`, `mt_bench_dev.jsonl` and `restricted/hh_harmless.jsonl` from the folder in
TANDEM_DATA; of the last, numbers only. Texts are embedded once and kept under TANDEM_HOME.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402  (a script finds its package itself)

django.setup()

from benchmarks._replay_chart import replay_chart  # noqa: E402
from benchmarks._replay_table import replay_table  # noqa: E402
from modeling.encoder_names import MINILM, TFIDF, encoder_is_installed  # noqa: E402
from routing.acquisition.recorded import recorded_pairs  # noqa: E402
from routing.acquisition.replay import ReplaySettings, replay  # noqa: E402
from routing.acquisition.replay_report import report_of  # noqa: E402
from routing.choices import RANDOM_STRATEGY, STRATEGIES  # noqa: E402

DATA = Path(os.environ.get("TANDEM_DATA") or ROOT.parent / "shared/data")
# File, initial set, batch, rounds, paired seeds.
SETS = {
    "pandalm": ("pandalm.jsonl", 20, 10, 40, 30),
    "hh_harmless": ("restricted/hh_harmless.jsonl", 50, 25, 24, 40),
    "mt_bench": ("mt_bench_dev.jsonl", 20, 10, 28, 30),
}
# Its information is bounded by the logarithm of the number of draws: for small batches only.
LEFT_OUT = ("batch_bald-v1",)


def run(
    name: str,
    *,
    quick: bool,
    strategies: tuple[str, ...] = (),
    first_seed: int = 0,
    logit_scale: float | None = None,
) -> dict[str, Any]:
    """Replay one set."""
    file, initial, batch, rounds, seeds = SETS[name]
    started = time.monotonic()
    encoder = TFIDF if quick or not encoder_is_installed(MINILM) else MINILM
    pairs = recorded_pairs(DATA / file, encoder=encoder)
    every = tuple(key for key in STRATEGIES if key not in LEFT_OUT)
    settings = ReplaySettings(
        strategies=strategies or (("epig_staged-v1", "bald-v1") if quick else every),
        batch_size=batch,
        initial=initial,
        rounds=4 if quick else rounds,
        seeds=3 if quick else seeds,
        first_seed=first_seed,
        logit_scale=logit_scale,
    )
    curves = replay(pairs, settings)
    result = report_of(pairs, settings, curves, seconds=time.monotonic() - started)
    return {"encoder": encoder, **result}


def joined(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Put the rows of some strategies among those of an earlier run on the same seeds."""
    was, now = (
        result["strategies"][RANDOM_STRATEGY]["log_loss"]["mean"] for result in (known, new)
    )
    # Other libraries round other last digits.
    if len(was) != len(now) or max(abs(a - b) for a, b in zip(was, now, strict=True)) > 1e-5:
        raise SystemExit("Random's curves differ from those on file: run all strategies again.")
    parts = {
        part: known[part] | new[part]
        for part, rows in new.items()
        if isinstance(rows, dict) and part != "settings"
    }
    names = list(parts["strategies"])
    return {**known, **parts, "settings": {**known["settings"], "strategies": names}}


def main() -> None:
    """Replay every set, print, write JSON and chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two strategies, few seeds")
    parser.add_argument("--set", choices=list(SETS), action="append", help="only this set")
    parser.add_argument("--strategy", choices=list(STRATEGIES), action="append", default=[])
    parser.add_argument("--first-seed", type=int, default=0, help="fresh splits to confirm on")
    parser.add_argument("--logit-scale", type=float, help="one prior instead of a chosen one")
    default = ROOT / "benchmarks/results/acquisition_replay.json"
    parser.add_argument("--output", type=Path, default=default)
    parser.add_argument("--chart", type=Path, help="draw the curves as SVG")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        print(f"There is no data folder {DATA}; set TANDEM_DATA.")
        return
    some = tuple(arguments.strategy)
    results = json.loads(arguments.output.read_text()) if some and arguments.output.exists() else {}
    for name in arguments.set or list(SETS):
        found = run(
            name,
            quick=arguments.quick,
            strategies=some,
            first_seed=arguments.first_seed,
            logit_scale=arguments.logit_scale,
        )
        results[name] = joined(results[name], found) if name in results else found
        print(replay_table(name, results[name]), flush=True)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.chart:
        arguments.chart.write_text(replay_chart(results))


if __name__ == "__main__":
    main()
