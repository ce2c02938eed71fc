"""What can be known about an import's rows before the database is asked.

A thread works this out for the next batch while PostgreSQL writes the last one.
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from annotate.formats.base import ComparisonRecord, ImportFormat, Row, RowError
from annotate.formats.json_lines import dump_json
from annotate.formats.opening import records_of
from annotate.formats.screening import leaks_of
from annotate.reading_ahead import read_ahead
from annotate.services.import_drafts import Destination, Draft, draft_of

# A batch ends with either; a batch of short rows costs fewer questions to the database.
BATCH = 2_000
BATCH_CHARS = 4_000_000
YIELD_EVERY = 10


@dataclass(frozen=True, slots=True)
class Notice:
    """What the screens found in one row: models given away, with the words; equal responses."""

    row: int
    external_id: str
    leaks: list[tuple[str, str]]
    is_same: bool


@dataclass(slots=True)
class ImportBatch:
    """Some rows of a file, with hashes of their contents and what the screens noticed.

    Where ids repeat, the draft is that of the first row.
    """

    n_rows: int = 0
    n_chars: int = 0
    errors: list[RowError] = field(default_factory=list)
    records: list[ComparisonRecord] = field(default_factory=list)
    drafts: dict[str, Draft] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def import_batches(
    path: Path, import_format: ImportFormat, to: Destination
) -> Iterator[ImportBatch]:
    """Yield the rows of a file by batches, read ahead."""
    return read_ahead(_batches(path, import_format, to))


def _batches(path: Path, import_format: ImportFormat, to: Destination) -> Iterator[ImportBatch]:
    batch = ImportBatch()
    for row in records_of(path, import_format):
        _add(batch, row, import_format.one_label_per_row, to)
        if batch.n_rows >= BATCH or batch.n_chars >= BATCH_CHARS:
            yield batch
            batch = ImportBatch()
        # The thread that talks to the database gets its turn, which is short, at once.
        if not batch.n_rows % YIELD_EVERY:
            time.sleep(0)
    if batch.n_rows:
        yield batch


def _add(batch: ImportBatch, row: Row, one_label_per_row: bool, to: Destination) -> None:
    batch.n_rows += 1
    if isinstance(row, RowError):
        batch.errors.append(row)
        return
    draft = draft_of(to, row)
    batch.records.append(row)
    batch.drafts.setdefault(row.external_id, draft)
    batch.n_chars += len(draft.prompt) + sum(len(response.line) for response in draft.responses)
    batch.keys.append(_keys(draft, one_label_per_row))
    notice = _noticed(row)
    if notice is not None:
        batch.notices.append(notice)


def _noticed(record: ComparisonRecord) -> Notice | None:
    leaks = leaks_of(record)
    is_same = len({response.text for response in record.responses}) < len(record.responses)
    return Notice(record.row, record.external_id, leaks, is_same) if leaks or is_same else None


def _keys(draft: Draft, one_label_per_row: bool) -> str:
    """A row's number with hashes of its id, its comparison and its contents, as COPY takes them.

    The second is compared only where an id may come again, and stays equal elsewhere.
    """
    record = draft.record
    content = [draft.prompt_hash]
    for response, place in zip(record.responses, draft.responses, strict=True):
        content += (response.external_id, place.source_model, place.content_hash)
    digest = bare = _digest("\0".join(content).encode())
    if one_label_per_row:
        bare = _digest(dump_json([digest, record.criterion, record.metadata]))
    return f"{record.row}\t{_digest(record.external_id.encode())}\t{bare}\t{digest}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
