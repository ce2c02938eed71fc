"""A batch of 320 from many prompts: cold, warm, and by the published procedure.

`python benchmarks/acquisition.py [--quick] [--n-prompts N] [--output OUT.json]`. Prompts are made:
clusters of unit vectors, 384 numbers each, one comparison per prompt; the reward model is an
ensemble of five linear heads on 64 features. Needs no database and no data.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import digamma

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from modeling.core.heads import fit_heads  # noqa: E402  (a script finds its package itself)
from routing.acquisition.neighbour_index import neighbours_of  # noqa: E402
from routing.core.acquisition import STRATEGIES, AcquisitionInputs, Strategy  # noqa: E402
from routing.core.acquisition.bald import mutual_information  # noqa: E402
from routing.core.acquisition.nearest import extended_neighbours  # noqa: E402
from routing.core.acquisition.neighbours import PromptGraph, graph_of  # noqa: E402
from routing.core.arrays import FloatArray, IntArray  # noqa: E402

N_FEATURES, N_HEAD_FEATURES, N_HEADS = 384, 64, 5
BATCH, N_NEIGHBOURS, N_LABELLED, N_NEW = 320, 13, 5_000, 500
PUBLISHED_RANK = 13  # the point itself is the first of them
BETA = 0.01


class Pool:
    """Made prompts and comparisons; half of the prompts share one of many clusters."""

    def __init__(self, n_prompts: int, n_features: int = N_FEATURES, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        centres = rng.standard_normal((max(20, n_prompts // 50), n_features), dtype=np.float32)
        self.prompts = np.empty((n_prompts, n_features), dtype=np.float32)
        for start in range(0, n_prompts, 50_000):
            part = self.prompts[start : start + 50_000]
            part[:] = centres[rng.integers(len(centres), size=len(part))]
            part += 0.9 * rng.standard_normal(part.shape, dtype=np.float32)
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        self.differences = rng.standard_normal((n_prompts, N_HEAD_FEATURES), dtype=np.float32)
        truth = rng.standard_normal(N_HEAD_FEATURES) / 8.0
        chance = 1.0 / (1.0 + np.exp(-self.differences @ truth))
        self.label = (rng.random(n_prompts) < chance).astype(np.float64)
        self.labelled = rng.choice(n_prompts, size=min(N_LABELLED, n_prompts // 4), replace=False)
        self.rng = rng

    @property
    def counts(self) -> IntArray:
        """Labelled comparisons per prompt."""
        return np.bincount(self.labelled, minlength=len(self.prompts))

    def heads(self) -> FloatArray:
        """Train five heads on bootstraps of the labels and give their logits on every prompt."""
        rows = self.labelled
        weights = self.rng.poisson(1.0, size=(len(rows), N_HEADS)).astype(np.float64)
        targets = np.repeat(self.label[rows][:, None], N_HEADS, axis=1)
        fit = fit_heads(self.differences[rows], targets, weights, prior_precision=10.0)
        return (self.differences @ fit.weights_).T.astype(np.float64)

    def batch(self, graph: PromptGraph, logits: FloatArray, size: int) -> IntArray:
        """Choose by BAL-PM among what is not labelled."""
        free = np.flatnonzero(self.counts == 0)
        inputs = AcquisitionInputs(
            n_candidates=len(free),
            prompt=free,
            logits=logits[:, free],
            prompt_graph=graph,
            acquired_count=self.counts,
            per_prompt_cap=1,
            beta=BETA,
        )
        return free[STRATEGIES["bal_pm-v1"].select(inputs, size, self.rng).indices]


def published_batch(pool: Pool, logits: FloatArray, size: int, *, n_timed: int) -> dict[str, float]:
    """Seconds of one batch by the published procedure, written from its description.

    Every round measures all pairwise distances of the pool (radius: the thirteenth smallest, the
    point itself among them) and every pick measures the distance of all points to it. Only
    `n_timed` rows and picks are run; the rest is the same work.
    """
    points, seconds = pool.prompts, dict[str, float]()
    information = mutual_information(logits)
    radii = np.empty(len(points), dtype=np.float32)

    def rows() -> None:
        for row in range(n_timed):
            distance = np.linalg.norm(points - points[row], axis=1)
            radii[row] = np.partition(distance, PUBLISHED_RANK - 1)[PUBLISHED_RANK - 1]

    count, open_ = np.zeros(len(points)), np.ones(len(points), dtype=np.bool_)

    def picks() -> None:
        for _ in range(n_timed):
            score = information + BETA * (np.log(2 * radii + 1e-4) - digamma(count + 1.0))
            row = int(np.where(open_, score, -np.inf).argmax())
            open_[row] = False
            count[:] += np.linalg.norm(points - points[row], axis=1) <= radii

    timed("rows", seconds, rows)
    radii[n_timed:] = radii[:n_timed].mean()
    timed("picks", seconds, picks)
    return {
        f"published_procedure_{kind}seconds": round(
            (seconds[f"rows{suffix}"] * len(points) + seconds[f"picks{suffix}"] * size) / n_timed, 1
        )
        for kind, suffix in (("", ""), ("cpu_", "_cpu"))
    }


def measure(
    n_prompts: int, *, batch_size: int = BATCH, n_features: int = N_FEATURES, n_timed: int = 20
) -> dict[str, Any]:
    """Cold and warm rounds, and what the published procedure takes for one."""
    pool = Pool(n_prompts, n_features)
    seconds: dict[str, float] = {}
    table, quality = timed("graph", seconds, lambda: neighbours_of(pool.prompts, N_NEIGHBOURS))
    graph = timed("reverse", seconds, lambda: graph_of(table))
    logits = timed("heads", seconds, pool.heads)
    first = timed("select", seconds, lambda: pool.batch(graph, logits, batch_size))
    pool.labelled = np.concatenate([pool.labelled, first])
    retrained = timed("retrain", seconds, pool.heads)
    timed("warm", seconds, lambda: pool.batch(graph, retrained, batch_size))
    cold = sum(seconds[name] for name in ("graph", "reverse", "heads", "select"))
    # Before the published procedure, which copies all points for every distance scan.
    peak = peak_mb()
    return {
        "n_prompts": n_prompts,
        "n_features": n_features,
        "batch_size": batch_size,
        "cold_seconds": round(cold, 2),
        "warm_seconds": round(seconds["warm"], 3),
        "retrain_seconds": round(seconds["retrain"], 2),
        "graph_seconds": round(seconds["graph"], 2),
        "cold_cpu_seconds": round(
            sum(seconds[f"{name}_cpu"] for name in ("graph", "reverse", "heads", "select")), 2
        ),
        "warm_cpu_seconds": round(seconds["warm_cpu"], 3),
        **published_batch(pool, retrained, batch_size, n_timed=n_timed),
        "index": None if quality is None else {**vars(quality), "passes": quality.passes},
        "peak_mb": peak,
    }


def measured(n_prompts: int, **values: int) -> dict[str, Any]:
    """Measure in a process of its own, so that memory and caches are those of this pool alone."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        row = pool.submit(measure, n_prompts, **values).result()
    print(json.dumps(row), flush=True)
    return row


def extension(n_prompts: int) -> dict[str, float]:
    """Seconds to add 500 prompts to a graph instead of building it again."""
    pool = Pool(n_prompts)
    table, _ = neighbours_of(pool.prompts[:-N_NEW], N_NEIGHBOURS)
    seconds: dict[str, float] = {}
    timed("extend", seconds, lambda: extended_neighbours(table, pool.prompts))
    return {"n_prompts": n_prompts, "n_new": N_NEW, "seconds": round(seconds["extend"], 2)}


def scikit_activeml_rows(n: int, batch_size: int) -> dict[str, Any]:
    """The same utilities by scikit-activeml, where it is installed; seconds and equality."""
    try:
        from skactiveml.pool import k_greedy_center, uncertainty_scores
    except ImportError:
        return {}
    pool = Pool(n)
    chance = (1.0 / (1.0 + np.exp(-pool.heads()))).mean(axis=0)
    both = np.column_stack([chance, 1.0 - chance])
    logits = np.log(chance / (1.0 - chance))[None, :]
    label = np.full(n, np.nan)
    label[:50] = 0.0
    points, hashes = pool.prompts.astype(np.float64), np.arange(n, dtype=np.uint64)
    entropy = AcquisitionInputs(n, np.arange(n), logits=logits, tie_hash=hashes)
    centres = AcquisitionInputs(
        n - 50,
        np.arange(50, n),
        prompt_embeddings=points,
        acquired_count=np.isfinite(label).astype(np.int64),
        tie_hash=hashes[50:],
    )
    rows = {
        "entropy": (entropy, "entropy-v1", 0, lambda: np.argsort(
            -uncertainty_scores(both, method="entropy"))[:batch_size]),
        "k_center": (centres, "k_center-v1", 50, lambda: k_greedy_center(
            points, label, batch_size=batch_size, random_state=0)[0]),
    }  # fmt: skip
    return {
        name: _against(inputs, STRATEGIES[rule], offset, theirs, batch_size)
        for name, (inputs, rule, offset, theirs) in rows.items()
    }


def _against(
    inputs: AcquisitionInputs,
    rule: Strategy,
    offset: int,
    theirs: Callable[[], Any],
    batch_size: int,
) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    rng = np.random.default_rng(0)
    mine = timed("tandem", seconds, lambda: rule.select(inputs, batch_size, rng).indices + offset)
    other = timed("scikit_activeml", seconds, theirs)
    return {
        "n": inputs.n_candidates,
        "tandem_cpu_seconds": round(seconds["tandem_cpu"], 3),
        "scikit_activeml_cpu_seconds": round(seconds["scikit_activeml_cpu"], 3),
        "same_batch": set(mine.tolist()) == set(np.asarray(other).tolist()),
    }


def timed(name: str, seconds: dict[str, float], work: Callable[[], Any]) -> Any:
    """Do the work and note how long it took."""
    started, busy = time.perf_counter(), time.process_time()
    result = work()
    seconds[name] = time.perf_counter() - started
    seconds[f"{name}_cpu"] = time.process_time() - busy
    return result


def peak_mb() -> int:
    """Largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small pools, within 60 s")
    parser.add_argument("--n-prompts", type=int, help="one pool of this size only")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/acquisition.json")
    arguments = parser.parse_args()
    sizes = [5_000, 20_000] if arguments.quick else [12_500, 25_000, 50_000, 100_000]
    if arguments.n_prompts:
        sizes = [arguments.n_prompts]
    curve = [measured(size) for size in sizes]
    result = {**curve[-1], "n_cpus": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    if not arguments.n_prompts:
        result |= {
            "by_prompts": curve,
            "by_features": [measured(sizes[0], n_features=width) for width in (96, 384, 768)],
            "by_batch": [measured(sizes[0], batch_size=size) for size in (32, 100, 320, 1000)],
            "extension": extension(sizes[-1]),
            "scikit_activeml": scikit_activeml_rows(3_000, 100),
        }
    if not (arguments.quick or arguments.n_prompts):
        result["million"] = measured(1_000_000)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"Wrote {arguments.output}")


if __name__ == "__main__":
    main()
