"""Is a reward model trained on a hybrid better than one trained on people's labels alone?

On a set with several people per comparison and two judges: heads trained on the judge, on one
human label each, and on hybrids (people where the judges differ, then by lot), over many prompt
splits and over the prior of the head. Held-out log-likelihood of people's votes, paired, block
bootstrap over prompts. Once with the judge's verdicts as they are, once as probabilities calibrated
on a tenth of the comparisons, which are then bought.

``python benchmarks/hybrid_claim.py [--quick] [--encoder minilm] [--output OUT.json]``
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()

import numpy as np  # noqa: E402

from modeling.core.heads import fit_heads  # noqa: E402
from modeling.core.metrics import group_split  # noqa: E402
from modeling.encoder_names import LABELS, MINILM  # noqa: E402
from routing.core.arrays import BoolArray, FloatArray, IntArray  # noqa: E402
from routing.replay.features import replay_features  # noqa: E402
from routing.replay.pool import label_on_sale  # noqa: E402
from routing.replay.records import Recorded, read_recorded  # noqa: E402
from routing.replay.summary import PromptBootstrap  # noqa: E402

JUDGE, OTHER = "gpt-3.5-turbo", "pandalm-7b"
PRIORS = (10.0, 40.0, 100.0, 250.0, 600.0)
SOURCES = (
    "judge", "people", "random 40 %", "judges differ 20 %", "judges differ 40 %",
    "judge, calibrated", "random 40 %, calibrated", "judges differ 40 %, calibrated",
)  # fmt: skip
TEST_SHARE, AUDIT_SHARE = 0.4, 0.1


def targets(
    human: FloatArray, judge: FloatArray, other: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """What each source trains on, one column each."""
    n = len(human)
    lot = rng.random(n)
    doubt = np.abs(judge - other) + 1e-3 * rng.random(n)
    audit = _top(rng.random(n), AUDIT_SHARE)
    soft = _calibrated(human, judge, audit)
    columns = [
        judge,
        human,
        np.where(_top(lot, 0.4), human, judge),
        np.where(_top(doubt, 0.2), human, judge),
        np.where(_top(doubt, 0.4), human, judge),
        np.where(audit, human, soft),
        np.where(_top(lot, 0.4), human, soft),
        np.where(_top(doubt, 0.4), human, soft),
    ]
    return np.stack(columns, axis=1)


def _top(score: FloatArray, share: float) -> BoolArray:
    chosen = np.zeros(len(score), dtype=np.bool_)
    chosen[np.argsort(-score)[: int(share * len(score))]] = True
    return chosen


def _calibrated(human: FloatArray, judge: FloatArray, audit: BoolArray) -> FloatArray:
    """Shrink the judge's verdicts to how often people take its side."""
    side = 2.0 * judge - 1.0
    known = audit & (side != 0)
    right = float((0.5 + (human[known] - 0.5) * side[known]).mean()) if known.any() else 0.75
    return 0.5 + side * (min(max(right, 0.5), 0.99) - 0.5)


def measure(recorded: Recorded, differences: Any, n_splits: int) -> dict[str, Any]:
    """Fit every source under every prior on every split; sum the test log-likelihoods."""
    share = recorded.human_share()
    judge, other = (np.nan_to_num(recorded.judge_side(j), nan=0.5) for j in (JUDGE, OTHER))
    sums = np.zeros((recorded.n, len(SOURCES), len(PRIORS)))
    counts = np.zeros(recorded.n)
    for split in range(n_splits):
        rng = np.random.default_rng([split, 9])
        train, test = group_split(recorded.prompt, [1 - TEST_SHARE, TEST_SHARE], rng)
        bought, _ = label_on_sale(recorded.votes, rng)
        given = targets(bought[train], judge[train], other[train], rng)
        fit = fit_heads(
            differences[train],
            np.repeat(given, len(PRIORS), axis=1),
            prior_precision=np.tile(PRIORS, len(SOURCES)),
        )
        z = differences[test].astype(np.float64) @ fit.weights_.astype(np.float64)
        told = share[test][:, None] * z - np.logaddexp(0.0, z)
        sums[test] += told.reshape(len(test), len(SOURCES), len(PRIORS))
        counts[test] += 1
    return _table(sums, counts, recorded.prompt)


def _table(sums: FloatArray, counts: FloatArray, prompt: IntArray) -> dict[str, Any]:
    bootstrap = PromptBootstrap(prompt, np.random.default_rng(7))
    mean = sums.sum(axis=0) / counts.sum()
    people = SOURCES.index("people")
    chosen = int(mean[people].argmax())
    rows = {}
    for k, source in enumerate(SOURCES):
        at_prior = {
            f"{prior:g}": bootstrap.ratio(sums[:, k, p] - sums[:, people, p], counts).entry()
            for p, prior in enumerate(PRIORS)
        }
        own = int(mean[k].argmax())
        over = bootstrap.ratio(sums[:, k, own] - sums[:, people, chosen], counts).entry()
        rows[source] = {
            "log_likelihood": {
                f"{p:g}": round(float(v), 5) for p, v in zip(PRIORS, mean[k], strict=True)
            },
            "over_people_at_prior": at_prior,
            "best_prior": PRIORS[own],
            "over_people_each_at_its_best": over,
        }
    return rows


def main() -> None:
    """Run and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="five splits, within 60 s")
    parser.add_argument("--encoder", default=MINILM, choices=list(LABELS))
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/hybrid_claim.json"
    )
    options = parser.parse_args()
    folder = Path(os.environ.get("TANDEM_DATA") or ROOT.parent / "shared" / "data")
    path = folder / "pandalm.jsonl"
    if not path.is_file():
        print(f"The real sets are not at {folder}; set TANDEM_DATA to their folder.")
        return
    begun = time.monotonic()
    recorded = read_recorded(path)
    encoder = "tfidf" if options.quick else options.encoder
    features = replay_features(recorded, encoder=encoder, report=lambda share, text: None)
    n_splits = 5 if options.quick else 100
    rows = measure(recorded, features.differences, n_splits)
    result = {"n_splits": n_splits, "encoder": encoder, "sources": rows}
    result["seconds"] = round(time.monotonic() - begun, 1)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    for source, row in rows.items():
        gain = row["over_people_each_at_its_best"]
        print(
            f"{source:32} best prior {row['best_prior']:5g}  over people "
            f"{1e3 * gain['mean']:+6.1f} [{1e3 * gain['low']:+.1f}, {1e3 * gain['high']:+.1f}]"
        )


if __name__ == "__main__":
    main()
