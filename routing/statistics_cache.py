"""Text statistics in the file storage: responses never change, so each comparison is read once."""

from collections.abc import Callable, Sequence
from io import BytesIO
from zipfile import BadZipFile

import numpy as np

from modeling.storage import storage_read, storage_write
from routing.core.arrays import FloatArray, IntArray
from routing.core.features import STATISTIC_NAMES

# Raise when a statistic changes its meaning; old files are then ignored.
_VERSION = 1
_CHUNK = 1_000

_NINE = "statistics"

Compute = Callable[[Sequence[int]], FloatArray]


def statistics_of(
    *,
    project_id: int,
    comparison_ids: IntArray,
    compute: Compute,
    name: str = _NINE,
    progress: Callable[[float, str], None] | None = None,
) -> FloatArray:
    """Return the statistics of comparisons, computing and storing what is not known yet.

    ``name`` tells further columns apart from the nine that need no encoder.
    """
    known_ids, known = _read(_file_name(project_id, name))
    width = len(STATISTIC_NAMES) if name == _NINE else 1
    known = known.reshape(len(known_ids), width)
    missing = np.setdiff1d(comparison_ids, known_ids)
    parts = [known]
    for start in range(0, len(missing), _CHUNK):
        parts.append(compute(missing[start : start + _CHUNK].tolist()))
        if progress is not None:
            done = min(start + _CHUNK, len(missing))
            progress(done / len(missing), f"{done:,} of {len(missing):,} comparisons read")
    ids, values = np.concatenate([known_ids, missing]), np.concatenate(parts)
    order = np.argsort(ids)
    ids, values = ids[order], values[order]
    if len(missing):
        _write(_file_name(project_id, name), ids, values)
    return values[np.searchsorted(ids, comparison_ids)]


def known_statistics(*, project_id: int, comparison_ids: IntArray) -> tuple[IntArray, FloatArray]:
    """Return which of the comparisons have been read before, and their statistics."""
    ids, values = _read(_file_name(project_id, _NINE))
    if not len(ids):
        return np.empty(0, np.int64), values
    place = np.minimum(np.searchsorted(ids, comparison_ids), len(ids) - 1)
    rows = np.flatnonzero(ids[place] == comparison_ids)
    return rows, values[place[rows]]


def _file_name(project_id: int, name: str) -> str:
    return f"routing/{name}-{project_id}-v{_VERSION}.npz"


def _read(file_name: str) -> tuple[IntArray, FloatArray]:
    try:
        with np.load(BytesIO(storage_read(file_name)), allow_pickle=False) as stored:
            return stored["ids"], stored["values"]
    except (OSError, BadZipFile, KeyError, ValueError, EOFError):
        # No file yet, or one that a full disk cut short: compute everything again.
        return np.empty(0, np.int64), np.empty((0, len(STATISTIC_NAMES)))


def _write(file_name: str, ids: IntArray, values: FloatArray) -> None:
    content = BytesIO()
    np.savez(content, ids=ids, values=values)
    storage_write(file_name, content.getvalue())
