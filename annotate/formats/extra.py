"""Columns that other apps add to exports: imports point down, so those apps register here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from annotate.formats.base import ComparisonRecord
from annotate.labels import PairLabel

Row = dict[str, Any]
Reader = Callable[[ComparisonRecord, PairLabel], Row]


@dataclass(frozen=True)
class ColumnSource:
    """Columns of one origin with their kinds, as in ``annotate.formats.columns``.

    ``open`` takes a project's id and returns what fills a row's columns, record by record in the
    order of the export; it raises ApplicationError where they are not there. ``tag`` names the
    state that the values come from, so that an export's tag changes with it.
    """

    kinds: dict[str, str]
    open: Callable[[int], Reader]
    tag: Callable[[int], str]


_sources: list[ColumnSource] = []


def register(source: ColumnSource) -> None:
    """Add a source; called from ``AppConfig.ready``."""
    if source not in _sources:
        _sources.append(source)


def extra_names() -> tuple[str, ...]:
    """The names of all added columns."""
    return tuple(extra_kinds())


def extra_kinds() -> dict[str, str]:
    """What kind of values each added column holds."""
    return {name: kind for source in _sources for name, kind in source.kinds.items()}


def extra_tag(project_id: int, columns: tuple[str, ...]) -> str:
    """What the values of the chosen columns depend on besides the data; empty without any."""
    return "".join(source.tag(project_id) for source in _chosen(columns))


def extra_reader(project_id: int, columns: tuple[str, ...]) -> Reader | None:
    """What fills the chosen columns among the added ones; ``None`` where none is chosen."""
    readers = [source.open(project_id) for source in _chosen(columns)]
    if not readers:
        return None

    def read(record: ComparisonRecord, label: PairLabel) -> Row:
        row: Row = {}
        for reader in readers:
            row |= reader(record, label)
        return {name: row[name] for name in columns if name in row}

    return read


def _chosen(columns: tuple[str, ...]) -> list[ColumnSource]:
    return [source for source in _sources if set(source.kinds) & set(columns)]
