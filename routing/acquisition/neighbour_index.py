"""Nearest neighbours of any number of prompts: exact while that is quick, then by an index.

faiss is loaded where it is used, in workers and commands only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from routing.core.acquisition.nearest import (
    NeighbourTable,
    exact_neighbours,
    measured_neighbours,
    queried_neighbours,
)
from routing.core.arrays import Float32Array

Progress = Callable[[float, str], None]

EXACT_UP_TO = 100_000
N_PROBES = 16
"""Lists that are looked into for every query at first; doubled until the gate is passed."""
MAX_PROBES = 256
OVERDRAW = 4
"""Candidates per neighbour that are ranked again at half precision."""
CODE_BITS = "x4fs"
GATE_QUERIES = 1000
MIN_RECALL = 0.95
MAX_LOG_RADIUS_ERROR = 0.01
TRAIN_PER_LIST = 40
SEARCH_BLOCK = 10_000
"""Prompts asked about at once; their tables of distances to the codes take 15 kB each."""


@dataclass(frozen=True)
class IndexQuality:
    """How an approximate index did on queries that were also answered exactly."""

    n_queries: int
    recall: float
    log_radius_error: float
    n_probes: int

    @property
    def passes(self) -> bool:
        """Whether the neighbours are good enough to choose by."""
        return self.recall >= MIN_RECALL and self.log_radius_error <= MAX_LOG_RADIUS_ERROR


def neighbours_of(
    points: Float32Array, k: int, *, seed: int = 0, progress: Progress | None = None
) -> tuple[NeighbourTable, IndexQuality | None]:
    """Find neighbours exactly, or through an index that was checked; the check is returned.

    An index that misses too much is searched wider, and in the end replaced by the exact search.
    """
    if len(points) <= EXACT_UP_TO:
        return exact_neighbours(points, k), None
    rng = np.random.default_rng(seed)
    index = _index(points, rng)
    queries = np.sort(rng.choice(len(points), size=GATE_QUERIES, replace=False))
    truth = queried_neighbours(points, queries, k)
    n_probes = N_PROBES
    while n_probes <= MAX_PROBES:
        found = _search(index, points, queries, k, n_probes)
        quality = _quality(measured_neighbours(points, found, k, rows=queries), truth, n_probes)
        if quality.passes:
            return _every(index, points, k, n_probes, progress), quality
        n_probes *= 2
    return exact_neighbours(points, k), None


def _index(points: Float32Array, rng: np.random.Generator) -> Any:
    """Inverted lists of four-bit product codes, ranked again at half precision."""
    import faiss

    n_lists = int(2 * np.sqrt(len(points)))
    width = points.shape[1]
    codes = f"PQ{width // 2}{CODE_BITS}" if width % 2 == 0 else "SQ8"
    # Half precision: a full copy of a million prompts would be 1.5 GB more.
    index = faiss.index_factory(width, f"IVF{n_lists},{codes},Refine(SQfp16)", faiss.METRIC_L2)
    faiss.extract_index_ivf(index).cp.seed = int(rng.integers(2**31))
    sample = rng.choice(len(points), size=min(len(points), TRAIN_PER_LIST * n_lists), replace=False)
    index.train(np.ascontiguousarray(points[np.sort(sample)]))
    for start in range(0, len(points), SEARCH_BLOCK):
        index.add(np.ascontiguousarray(points[start : start + SEARCH_BLOCK]))
    return index


def _search(index: Any, points: Float32Array, rows: Any, k: int, n_probes: int) -> Any:
    import faiss

    faiss.extract_index_ivf(index).nprobe = n_probes
    index.k_factor = OVERDRAW
    # One more: a point finds itself.
    return index.search(np.ascontiguousarray(points[rows]), k + 1)[1]


def _every(
    index: Any, points: Float32Array, k: int, n_probes: int, progress: Progress | None
) -> NeighbourTable:
    tables = []
    for start in range(0, len(points), SEARCH_BLOCK):
        if progress is not None:
            progress(start / len(points), f"{start:,} of {len(points):,} neighbourhoods")
        rows = np.arange(start, min(start + SEARCH_BLOCK, len(points)))
        found = _search(index, points, rows, k, n_probes)
        tables.append(measured_neighbours(points, found, k, rows=rows))
    return NeighbourTable(
        np.vstack([table.neighbours for table in tables]),
        np.vstack([table.distances for table in tables]),
    )


def _quality(found: NeighbourTable, truth: NeighbourTable, n_probes: int) -> IndexQuality:
    pairs = zip(found.neighbours.tolist(), truth.neighbours.tolist(), strict=True)
    shared = [len(set(mine) & set(theirs)) for mine, theirs in pairs]
    radii = np.maximum(found.distances[:, -1], 1e-12), np.maximum(truth.distances[:, -1], 1e-12)
    error = float(np.abs(np.log(radii[0]) - np.log(radii[1])).mean())
    return IndexQuality(
        len(shared), float(np.mean(shared)) / truth.neighbours.shape[1], error, n_probes
    )
