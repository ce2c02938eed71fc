"""What can be known about an import's rows before the database is asked.

A thread works this out for the next batch while PostgreSQL writes the last one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from annotate.formats.base import ComparisonRecord, ImportFormat, Row, RowError
from annotate.formats.json_lines import dump_json
from annotate.formats.opening import records_of
from annotate.formats.screening import leaks_of
from annotate.reading_ahead import read_ahead

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Notice:
    """What the screens found in one row: models given away, with the words; equal responses."""

    row: int
    external_id: str
    leaks: list[tuple[str, str]]
    is_same: bool


@dataclass(slots=True)
class ImportBatch:
    """Some rows of a file, with hashes of their contents and what the screens noticed."""

    n_rows: int
    errors: list[RowError] = field(default_factory=list)
    records: list[ComparisonRecord] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def import_batches(path: Path, import_format: ImportFormat) -> Iterator[ImportBatch]:
    """Yield the rows of a file by batches, read ahead."""
    rows = records_of(path, import_format)
    one_label_per_row = import_format.one_label_per_row
    batches = iter(lambda: list(islice(rows, BATCH)), [])
    return read_ahead(_batch(batch, one_label_per_row) for batch in batches)


def _batch(rows: Sequence[Row], one_label_per_row: bool) -> ImportBatch:
    batch = ImportBatch(len(rows))
    for row in rows:
        if isinstance(row, RowError):
            batch.errors.append(row)
            continue
        batch.records.append(row)
        batch.keys.append(_keys(row, one_label_per_row))
        notice = _noticed(row)
        if notice is not None:
            batch.notices.append(notice)
    return batch


def _noticed(record: ComparisonRecord) -> Notice | None:
    leaks = leaks_of(record)
    is_same = len({response.text for response in record.responses}) < len(record.responses)
    return Notice(record.row, record.external_id, leaks, is_same) if leaks or is_same else None


def _keys(record: ComparisonRecord, one_label_per_row: bool) -> str:
    """A row's number with hashes of its id, its comparison and its contents, as COPY takes them.

    The second is compared only where an id may come again, and stays equal elsewhere.
    """
    content = [record.turns, record.responses]
    digest = _digest(dump_json(content))
    bare = digest
    if one_label_per_row:
        bare = _digest(dump_json([content, record.criterion, record.metadata]))
    return f"{record.row}\t{_digest(record.external_id.encode())}\t{bare}\t{digest}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
