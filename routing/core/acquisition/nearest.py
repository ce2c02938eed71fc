"""Exact nearest neighbours among many points: a coarse pass that cannot miss, then a fine one."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from routing.core.arrays import Float32Array, FloatArray, IntArray, RoutingInputError, as_matrix

if TYPE_CHECKING:
    import torch

# Products per block, 2 bytes each at half precision.
_BLOCK_NUMBERS: Final = 100_000_000
_MAX_BLOCK: Final = 2048
_GROUPS: Final = 2048
# Neighbours beyond k that are measured again in double precision.
_SLACK: Final = 8
# Below this the probe for half precision costs more than it saves.
_SMALL: Final = 4096
_HALF_ROUNDING: Final = 2.0**-8
# Rounding of a sum of products in single precision, relative to the lengths; generous.
_SUM_ROUNDING: Final = 1e-5
_QUERIES_AT_ONCE: Final = 250
_POINTS_AT_ONCE: Final = 50_000
_LARGEST: Final = 3e38
# Distances measured at once, three copies of their points: 0.2 GB of 384 numbers in double.
_MEASURED_AT_ONCE: Final = 20_000


@dataclass(frozen=True, eq=False)
class NeighbourTable:
    """The k nearest other points of every point, nearest first.

    Attributes
    ----------
    neighbours : ndarray of int32, shape (P, k)
        Row numbers; equal distances by increasing number.
    distances : ndarray of float64, shape (P, k)
        Euclidean distances.
    """

    neighbours: npt.NDArray[np.int32]
    distances: FloatArray

    def __post_init__(self) -> None:
        """Check that the two arrays belong together."""
        if self.neighbours.shape != self.distances.shape or self.neighbours.ndim != 2:
            raise RoutingInputError(
                f"neighbours has shape {self.neighbours.shape} and distances "
                f"{self.distances.shape}; pass two matrices of one shape."
            )

    @property
    def n_points(self) -> int:
        """Number P of points.

        Returns
        -------
        int
            Rows of the table.
        """
        return len(self.neighbours)


def exact_neighbours(points: npt.ArrayLike, k: int) -> NeighbourTable:
    """Find the k nearest other points of every point.

    Parameters
    ----------
    points : array-like of shape (P, p)
        Points, all finite.
    k : int
        Neighbours, between 1 and P - 1.

    Returns
    -------
    NeighbourTable
        Neighbours and distances.

    Raises
    ------
    RoutingInputError
        If `points` is no finite matrix or `k` is out of range.

    Notes
    -----
    O(P^2 p) products in blocks, at half precision where the processor is faster at it. With a
    and b rounded to a' and b', the triangle inequality gives
    ``| |a - b| - |a' - b'| | <= |a - a'| + |b - b'|``, and the right side is known. Whatever
    could be a neighbour within that error is measured again by subtraction in double precision,
    so the result does not depend on the coarse pass. O(P k) memory beside the points.
    """
    given = _finite(points)
    _require_k(k, len(given))
    return _searched(given, _Coarse(given), np.arange(len(given)), k)


def extended_neighbours(table: NeighbourTable, points: npt.ArrayLike) -> NeighbourTable:
    """Return the table with points added at the end, looking at new pairs only.

    Parameters
    ----------
    table : NeighbourTable
        Exact neighbours of the first points.
    points : array-like of shape (P, p)
        All points, those of the table first and unchanged.

    Returns
    -------
    NeighbourTable
        What `exact_neighbours` would return for all points and as many neighbours.

    Raises
    ------
    RoutingInputError
        If there are fewer points than the table has.

    Notes
    -----
    O(m P p) products for m new points, in place of O(P^2 p).
    """
    given = _finite(points)
    n_old, k = table.neighbours.shape
    if len(given) < n_old:
        raise RoutingInputError(
            f"points has {len(given)} rows, the table {n_old}; pass old and new points."
        )
    new = np.arange(n_old, len(given))
    if not len(new):
        return table
    coarse = _Coarse(given)
    owner, other = coarse.within(new, table.distances[:, -1])
    gaps = _gaps(given, new[owner], other, np.float64)
    kept = _with_rivals(table, new[owner], other, gaps)
    added = _searched(given, coarse, new, k)
    return NeighbourTable(
        np.vstack([kept.neighbours, added.neighbours]),
        np.vstack([kept.distances, added.distances]),
    )


def _with_rivals(
    table: NeighbourTable, rival: IntArray, owner: IntArray, gaps: FloatArray
) -> NeighbourTable:
    """Let further points compete for the lists of some owners; other lists stay as they are."""
    k, touched = table.neighbours.shape[1], np.unique(owner)
    rows = np.concatenate([np.repeat(np.arange(len(touched)), k), np.searchsorted(touched, owner)])
    near = np.concatenate([table.neighbours[touched].ravel().astype(np.int64), rival])
    far = np.concatenate([table.distances[touched].ravel(), gaps])
    neighbours, distances = table.neighbours.copy(), table.distances.copy()
    neighbours[touched], distances[touched] = _first_k(rows, near, far, len(touched), k)
    return NeighbourTable(neighbours, distances)


def queried_neighbours(points: npt.ArrayLike, rows: IntArray, k: int) -> NeighbourTable:
    """Find the k nearest other points of some of the points, exactly.

    Parameters
    ----------
    points : array-like of shape (P, p)
        Points.
    rows : ndarray of int64, shape (q,)
        Points that are asked about.
    k : int
        Neighbours, between 1 and P - 1.

    Returns
    -------
    NeighbourTable
        One row per query.

    Raises
    ------
    RoutingInputError
        If `k` is out of range.
    """
    single = np.asarray(points, dtype=np.float32)
    _require_k(k, len(single))
    mean = single.mean(axis=0, dtype=np.float64).astype(np.float32)
    tables = []
    for start in range(0, len(rows), _QUERIES_AT_ONCE):
        part = rows[start : start + _QUERIES_AT_ONCE]
        # Blocks of points: a centred copy of a million of them would be 1.5 GB.
        near = [
            _near_in_block(single[first : first + _POINTS_AT_ONCE], first, single, part, mean, k)
            for first in range(0, len(single), _POINTS_AT_ONCE)
        ]
        tables.append(measured_neighbours(single, np.hstack(near), k, rows=part))
    return NeighbourTable(
        np.vstack([table.neighbours for table in tables]),
        np.vstack([table.distances for table in tables]),
    )


def _near_in_block(
    block: Float32Array,
    first: int,
    points: Float32Array,
    rows: IntArray,
    mean: Float32Array,
    k: int,
) -> IntArray:
    """Return a few more than k of a block's points that are nearest to each query."""
    centred = block - mean
    distance = np.einsum("ij,ij->i", centred, centred) - 2.0 * (points[rows] - mean) @ centred.T
    mine = np.flatnonzero((rows >= first) & (rows < first + len(block)))
    distance[mine, rows[mine] - first] = np.inf
    wide = min(k + _SLACK, len(block))
    return np.asarray(first + np.argpartition(distance, wide - 1, axis=1)[:, :wide])


def measured_neighbours(
    points: npt.ArrayLike,
    candidates: npt.NDArray[np.integer[Any]],
    k: int,
    *,
    rows: IntArray | None = None,
) -> NeighbourTable:
    """Keep the k nearest of given candidates, such as those of an approximate index.

    Parameters
    ----------
    points : array-like of shape (P, p)
        Points.
    candidates : ndarray of int, shape (q, c)
        Row numbers that may be neighbours; negative for none, the point itself is left out.
    k : int
        Neighbours to keep; a row with fewer candidates repeats its last one.
    rows : ndarray of int64, shape (q,), optional
        Points that the candidates belong to; all points when left out.

    Returns
    -------
    NeighbourTable
        Neighbours among the candidates with exact distances.

    Raises
    ------
    RoutingInputError
        If some point has no candidate at all.
    """
    single = np.asarray(points, dtype=np.float32)
    asked = np.arange(len(single)) if rows is None else rows
    neighbours = np.empty((len(asked), k), dtype=np.int32)
    distances = np.empty((len(asked), k))
    size = max(1, _MEASURED_AT_ONCE // max(candidates.shape[1], 1))
    for start in range(0, len(asked), size):
        part = slice(start, start + size)
        mine, block = asked[part], np.asarray(candidates[part], dtype=np.int64)
        owner, place = np.nonzero((block >= 0) & (block != mine[:, None]))
        other = block[owner, place]
        _require_candidates(owner, mine)
        gaps = _gaps(single, mine[owner], other, np.float32)
        neighbours[part], distances[part] = _first_k(owner, other, gaps, len(mine), k)
    return NeighbourTable(neighbours, distances)


def _searched(
    points: FloatArray | Float32Array, coarse: _Coarse, rows: IntArray, k: int
) -> NeighbourTable:
    """Search for some rows, neighbouring ones, in blocks that fit into memory."""
    size = max(1, min(_MAX_BLOCK, _BLOCK_NUMBERS // max(len(points), 1)))
    neighbours = np.empty((len(rows), k), dtype=np.int32)
    distances = np.empty((len(rows), k))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        neighbours[part], distances[part] = _refined(points, coarse, rows[part], k)
    return NeighbourTable(neighbours, distances)


def _refined(
    points: FloatArray | Float32Array, coarse: _Coarse, rows: IntArray, k: int
) -> tuple[IntArray, FloatArray]:
    """Measure what the coarse pass left in single precision, and the nearest in double."""
    owner, other = coarse.nearest(rows, k)
    wide = min(k + _SLACK, int(np.bincount(owner, minlength=len(rows)).min()))
    rough = _gaps(points, rows[owner], other, np.float32)
    near, _ = _first_k(owner, other, rough, len(rows), wide)
    owner, other = np.repeat(np.arange(len(rows)), wide), near.ravel()
    exact = _gaps(points, rows[owner], other, np.float64)
    return _first_k(owner, other, exact, len(rows), k)


def _require_candidates(owner: IntArray, rows: IntArray) -> None:
    empty = np.flatnonzero(np.bincount(owner, minlength=len(rows)) == 0)
    if len(empty):
        raise RoutingInputError(f"point {rows[empty[0]]} has no candidate; search wider.")


def _require_k(k: int, n: int) -> None:
    if not 1 <= k < n:
        raise RoutingInputError(f"k is {k} of {n} points; pass 1 to {n - 1}.")


def _finite(points: npt.ArrayLike) -> FloatArray | Float32Array:
    """Check points; those in single precision stay so, a million of them are 3 GB in double."""
    given = np.asarray(points)
    if given.dtype != np.float32 or given.ndim != 2:
        return as_matrix("points", points)
    for start in range(0, len(given), _MEASURED_AT_ONCE):
        if not np.isfinite(given[start : start + _MEASURED_AT_ONCE]).all():
            return as_matrix("points", given)
    return given


class _Coarse:
    """Squared distances from one matrix product, with a bound on their error.

    Three columns on either side carry half the squared length, so that a product is
    ``-|a' - b'|^2 / 2`` and its own rounding is relative to the distance.

    Parameters
    ----------
    points : ndarray of float, shape (P, p)
        Points; their mean is moved to the origin, since the expansion of a square cancels far
        from it.
    """

    def __init__(self, points: FloatArray | Float32Array) -> None:
        import torch

        n, width = points.shape
        mean = points.mean(axis=0, dtype=np.float64) if n else np.zeros(width)
        self.width, dtype = width, _fast_dtype(n)
        self.right = torch.ones((n, width + 6), dtype=dtype)
        self.residual, longest = np.empty(n), 0.0
        for start in range(0, n, _MEASURED_AT_ONCE):
            part = slice(start, start + _MEASURED_AT_ONCE)
            # In double precision: what single precision drops belongs to the error too.
            centred = points[part] - mean
            rounded = torch.from_numpy(centred.astype(np.float32)).to(dtype)
            back = rounded.double()
            half_square = -(back**2).sum(1) / 2.0
            self.residual[part] = np.linalg.norm(back.numpy() - centred, axis=1)
            longest = max(longest, float((-2.0 * half_square).max()))
            self.right[part, :width] = rounded
            self.right[part, width : width + 3] = _split(half_square, dtype)
        self.reach = float(self.residual.max(initial=0.0))
        self.slack = _SUM_ROUNDING * longest
        self.rounding = _HALF_ROUNDING if dtype == torch.bfloat16 else 1e-6

    def _left(self, first: int, last: int) -> torch.Tensor:
        """The other side of the product for a run of rows: lengths where that side has ones."""
        import torch

        rows, width = self.right[first:last], self.width
        return torch.hstack([rows[:, :width], rows[:, width + 3 :], rows[:, width : width + 3]])

    def nearest(self, rows: IntArray, k: int) -> tuple[IntArray, IntArray]:
        """Return pairs (position in rows, point) that hold the k nearest of every row."""
        block = self._block(rows)
        size = min(_GROUPS, block.shape[1])
        if k >= size:
            # Hardly more points than neighbours: all but the point itself.
            return _at_least(block, block.new_full((len(rows), 1), -_LARGEST))
        # Column c belongs to group c mod size: one pass over the block finds each group's best.
        grouped = block[:, : block.shape[1] // size * size].view(len(rows), -1, size)
        best = grouped.amax(1)
        # The k-th best group holds k points at least as near: a bound, found without sorting.
        floor = best.float().topk(k, dim=1).values[:, -1].double().numpy()
        upper = np.sqrt(np.maximum(-2.0 * floor * (1.0 + self.rounding) + self.slack, 0.0))
        reach = upper + 2.0 * (self.residual[rows] + self.reach)
        least = self._threshold(reach).to(block.dtype)[:, None]
        owner, group = _at_least(best, least)
        inside, depth = _at_least(grouped[owner, :, group], least[owner])
        rest = _at_least(block[:, grouped.shape[1] * size :], least)
        return (
            np.concatenate([owner[inside], rest[0]]),
            np.concatenate([depth * size + group[inside], rest[1] + grouped.shape[1] * size]),
        )

    def within(self, rows: IntArray, radius: FloatArray) -> tuple[IntArray, IntArray]:
        """Return pairs (position in rows, old point) that lie in the old point's radius."""
        n_old, found = len(radius), []
        size = max(1, min(_MAX_BLOCK, _BLOCK_NUMBERS // max(n_old, 1)))
        reach = radius + self.residual[:n_old] + self.reach
        least = self._threshold(reach)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            block = self._left(int(part[0]), int(part[-1]) + 1) @ self.right[:n_old].T
            owner, other = _at_least(block, least.to(block.dtype)[None, :])
            found.append((owner + start, other))
        owners, others = zip(*found, strict=True)
        return np.concatenate(owners), np.concatenate(others)

    def _block(self, rows: IntArray) -> torch.Tensor:
        import torch

        block = self._left(int(rows[0]), int(rows[-1]) + 1) @ self.right.T
        block[torch.arange(len(rows)), torch.from_numpy(rows)] = -torch.inf
        return block

    def _threshold(self, reach: FloatArray) -> torch.Tensor:
        import torch

        # Twice the rounding: of the product, and of the threshold itself on its way to `dtype`.
        least = -(reach**2) / 2.0 * (1.0 + 2.0 * self.rounding) - self.slack
        return torch.from_numpy(least)


def _at_least(block: torch.Tensor, least: torch.Tensor) -> tuple[IntArray, IntArray]:
    """Return the places of a matrix that reach the bound of their row."""
    flat = np.flatnonzero((block >= least).numpy())
    row, column = np.divmod(flat, max(block.shape[1], 1))
    return row.astype(np.int64), column.astype(np.int64)


def _split(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Write numbers as sums of three numbers of fewer digits."""
    import torch

    parts, rest = [], values
    for _ in range(3):
        part = rest.to(dtype)
        parts.append(part)
        rest = rest - part.double()
    return torch.stack(parts, dim=1)


def _fast_dtype(n_points: int) -> torch.dtype:
    """Return the precision at which this processor multiplies matrices faster."""
    import torch

    if n_points < _SMALL:
        return torch.float32
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(64, 384, dtype=dtype), torch.ones(4096, 384, dtype=dtype)
        torch.matmul(left, right.T)
        started = perf_counter()
        torch.matmul(left, right.T)
        seconds[dtype] = perf_counter() - started
    return min(seconds, key=lambda dtype: seconds[dtype])


def _gaps(
    points: FloatArray | Float32Array,
    first: IntArray,
    second: IntArray,
    dtype: type[np.float32 | np.float64],
) -> FloatArray:
    """Measure pairs by subtraction, which does not cancel, at one precision."""
    gaps = np.empty(len(first))
    for start in range(0, len(first), _MEASURED_AT_ONCE):
        part = slice(start, start + _MEASURED_AT_ONCE)
        one, other = (points[rows[part]] for rows in (first, second))
        offset = np.subtract(one, other, dtype=dtype, casting="same_kind")
        gaps[part] = np.einsum("ij,ij->i", offset, offset, dtype=np.float64)
    return np.sqrt(gaps)


def _first_k(
    owner: IntArray, other: IntArray, gaps: FloatArray, n_rows: int, k: int
) -> tuple[IntArray, FloatArray]:
    """Keep the k nearest of each owner; the last one stands again where there are fewer."""
    order = np.lexsort((other, gaps, owner))
    sizes = np.bincount(owner, minlength=n_rows)
    ends = np.cumsum(sizes)
    place = (ends - sizes)[:, None] + np.minimum(np.arange(k), sizes[:, None] - 1)
    chosen = order[place]
    return other[chosen], gaps[chosen]
