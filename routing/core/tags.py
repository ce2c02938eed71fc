"""Binary tags of comparisons: binned statistics and categorical descriptions."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from routing.core.arrays import BoolArray, RoutingInputError
from routing.core.features import FrozenBins

UNKNOWN: Final = "unknown"
MIN_SUPPORT: Final = 20
TagValue = str | Collection[str] | None


@dataclass(frozen=True)
class TagMatrix:
    """Hold tags, bool of shape (n, T), with the name and the group of each column."""

    matrix: BoolArray
    names: tuple[str, ...]
    groups: tuple[str, ...]


def default_min_support(n_comparisons: int) -> int:
    """Return the fewest comparisons a tag must have to be kept.

    Parameters
    ----------
    n_comparisons : int
        Size of the seed set.

    Returns
    -------
    int
        20, or two per cent of a set smaller than 1,000, but never under 2.
    """
    return min(MIN_SUPPORT, max(2, math.ceil(0.02 * n_comparisons)))


def build_tags(
    bins: FrozenBins,
    values: npt.ArrayLike,
    categorical: Mapping[str, Sequence[TagValue]] | None = None,
    *,
    vocabulary: Mapping[str, Collection[str]] | None = None,
    min_support: int | None = None,
    names: Sequence[str] | None = None,
) -> TagMatrix:
    """Join binned statistics and categorical descriptions into one tag matrix.

    Parameters
    ----------
    bins : FrozenBins
        Fitted cut points.
    values : array-like of shape (n, m)
        Statistics in the column order of `bins`.
    categorical : mapping of str to sequence, length n, optional
        Per group one value, several values or None per comparison.
    vocabulary : mapping of str to collection of str, optional
        Allowed values per group; any other value becomes ``unknown``, never silence.
    min_support : int, optional
        Drop tags of fewer comparisons; `default_min_support` when None.
    names : sequence of str, optional
        Columns of an earlier matrix. Given, exactly these columns come back in this order
        whatever their support, so that serving matches fitting; a value they do not hold
        counts as ``unknown``.

    Returns
    -------
    TagMatrix
        Columns named ``group=value``.

    Raises
    ------
    RoutingInputError
        If a group has another length than `values`.
    """
    columns = dict(zip(bins.tag_names, bins.transform(values).T, strict=True))
    n = len(np.asarray(values))
    known = set(names) if names is not None else None
    for group, entries in (categorical or {}).items():
        if len(entries) != n:
            raise RoutingInputError(
                f"categorical[{group!r}] has {len(entries)} entries; pass one per row ({n})."
            )
        allowed = _allowed_values(group, vocabulary, known)
        columns |= _category_columns(group, entries, allowed)
    if names is not None:
        return _tag_matrix({name: columns.get(name, np.zeros(n, bool)) for name in names}, n)
    floor = default_min_support(n) if min_support is None else min_support
    return _tag_matrix({k: v for k, v in columns.items() if v.sum() >= floor}, n)


def _allowed_values(
    group: str, vocabulary: Mapping[str, Collection[str]] | None, known: set[str] | None
) -> set[str] | None:
    if known is not None:
        return {name.split("=", 1)[1] for name in known if name.startswith(f"{group}=")}
    return set(vocabulary[group]) if vocabulary and group in vocabulary else None


def _category_columns(
    group: str, entries: Sequence[TagValue], allowed: set[str] | None
) -> dict[str, BoolArray]:
    columns: dict[str, BoolArray] = {}
    for row, entry in enumerate(entries):
        for value in _entry_values(entry, allowed):
            column = columns.setdefault(f"{group}={value}", np.zeros(len(entries), bool))
            column[row] = True
    return dict(sorted(columns.items()))


def _entry_values(entry: TagValue, allowed: set[str] | None) -> set[str]:
    values = {entry} if isinstance(entry, str) else set(entry or ())
    kept = values if allowed is None else values & allowed
    return kept if kept and kept == values else kept | {UNKNOWN}


def _tag_matrix(columns: Mapping[str, BoolArray], n: int) -> TagMatrix:
    matrix = np.column_stack(list(columns.values())) if columns else np.zeros((n, 0), bool)
    names = tuple(columns)
    return TagMatrix(matrix, names, tuple(name.split("=", 1)[0] for name in names))
