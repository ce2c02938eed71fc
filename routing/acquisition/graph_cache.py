"""Neighbourhoods of prompts between rounds: new prompts are added, nothing is redone."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from modeling.storage import storage_read, storage_write
from routing.acquisition.neighbour_index import Progress, neighbours_of
from routing.core.acquisition.nearest import NeighbourTable, extended_neighbours
from routing.core.acquisition.neighbours import PromptGraph, graph_of, lonely_graph
from routing.core.arrays import Float32Array

N_NEIGHBOURS = 13
REBUILD_FROM = 0.5
"""Share of new prompts from which building again is cheaper than adding."""


def project_graph(
    *, project_id: int, encoder: str, points: Float32Array, progress: Progress | None = None
) -> PromptGraph:
    """Return the graph of the prompts, from the last round where they were the same."""
    k = min(N_NEIGHBOURS, len(points) - 1)
    if k < 1:
        return lonely_graph(len(points))
    name = f"neighbours/{project_id}/{encoder}.safetensors"
    known = _read(name, points, k)
    if known is not None and known.n_points == len(points):
        return graph_of(known)
    if known is not None and len(points) - known.n_points <= REBUILD_FROM * known.n_points:
        table = extended_neighbours(known, points)
    else:
        table, _ = neighbours_of(points, k, progress=progress)
    _write(name, table, points)
    return graph_of(table)


def _read(name: str, points: Float32Array, k: int) -> NeighbourTable | None:
    """Read the stored table if it is of these prompts, or of the first of them."""
    try:
        stored = load(storage_read(name))
    except FileNotFoundError:
        return None
    table = NeighbourTable(stored["neighbours"], stored["distances"])
    if table.n_points > len(points) or table.neighbours.shape[1] != k:
        return None
    same = bytes(stored["digest"]) == _digest(points[: table.n_points])
    return table if same else None


def _write(name: str, table: NeighbourTable, points: Float32Array) -> None:
    digest = np.frombuffer(_digest(points), dtype=np.uint8)
    arrays: dict[str, npt.NDArray[Any]]
    arrays = {"neighbours": table.neighbours, "distances": table.distances, "digest": digest.copy()}
    storage_write(name, save(arrays))


def _digest(points: Float32Array) -> bytes:
    # A new fit of the encoder moves every prompt; the stored distances are then worth nothing.
    return sha256(points.ravel().data).digest()
