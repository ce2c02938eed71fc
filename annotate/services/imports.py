"""Files on their way in: checked as a whole first, then written in one transaction."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from django.db import connection, transaction

from annotate.formats.base import (
    ComparisonRecord,
    FormatError,
    ImportFormat,
    Row,
    RowError,
    records_of,
)
from annotate.formats.native import write_line
from annotate.formats.registry import AUTO, import_format_of
from annotate.models import Project
from annotate.services.assignments import comparisons_lock
from annotate.services.import_plans import BatchPlan, ImportTarget, batch_plan
from annotate.services.import_writes import batch_write
from annotate.services.preferences import project_writers_lock

BATCH = 1_000
MAX_ERRORS_KEPT = 100
CHECKING, WRITING = "checking", "writing"
Progress = Callable[["ImportProgress"], None]


@dataclass(frozen=True)
class ImportProgress:
    """Where an import stands; ``n_rows`` is known once the file has been checked."""

    phase: str
    n_done: int
    n_rows: int | None


@dataclass
class ImportReport:
    """What an import did, or would do in a dry run. With any error nothing was written."""

    format: str
    dry_run: bool = False
    n_rows: int = 0
    n_created: int = 0
    n_unchanged: int = 0
    n_extended: int = 0
    n_preferences: int = 0
    n_errors: int = 0
    errors: list[RowError] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Whether no row was refused."""
        return self.n_errors == 0

    def add_errors(self, errors: list[RowError]) -> None:
        """Count errors and keep the first hundred."""
        self.n_errors += len(errors)
        self.errors += errors[: MAX_ERRORS_KEPT - len(self.errors)]

    def forget_changes(self) -> None:
        """Say that nothing was written."""
        self.n_created = self.n_unchanged = self.n_extended = self.n_preferences = 0

    def add_plan(self, plan: BatchPlan, *, n_new: int) -> None:
        """Add what a batch changes."""
        self.n_created += n_new
        self.n_unchanged += plan.n_unchanged
        self.n_extended += len(plan.labels)
        self.n_preferences += plan.n_preferences


class _Refused(Exception):
    """Takes the transaction back once a row turns out to be wrong while writing."""


def comparisons_import(
    *,
    project: Project,
    path: Path,
    format: str = AUTO,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a file: every row or none.

    The file is streamed twice, once to check every row, once to write. Rows that the project holds
    already are left alone, so importing a file again changes nothing; new verdicts on a known
    comparison are added.
    """
    try:
        import_format = import_format_of(path, format)
    except FormatError as error:
        report = ImportReport(format=format, dry_run=dry_run)
        report.add_errors(list(error.errors))
        return report
    return _Import(project, path, import_format, dry_run, progress).run()


def tables_analyze() -> None:
    """Let the planner know tables that have just grown, before autovacuum comes round."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE annotate_prompt, annotate_response, annotate_comparison,"
            " annotate_comparisonresponse, annotate_preference"
        )


class _Import:
    """One run over one file."""

    def __init__(
        self,
        project: Project,
        path: Path,
        import_format: ImportFormat,
        dry_run: bool,
        progress: Progress | None,
    ) -> None:
        self.project = project
        self.path = path
        self.format = import_format
        self.tell = progress or (lambda _: None)
        self.report = ImportReport(format=import_format.name, dry_run=dry_run)

    def run(self) -> ImportReport:
        """Check and write in one transaction, so that both see the same project."""
        try:
            with transaction.atomic():
                project_import_lock(project_id=self.project.pk)
                extended = self._check()
                if self.report.is_ok and not self.report.dry_run:
                    self._write(extended)
                    if self.report.n_created >= BATCH:
                        tables_analyze()
        except _Refused:
            pass
        if not self.report.is_ok:
            self.report.forget_changes()
        return self.report

    def _check(self) -> list[int]:
        """Check every row; return the ids of known comparisons that get new verdicts."""
        target = ImportTarget.of(self.project)
        seen = _SeenIds(self.format)
        extended: set[int] = set()
        for batch in self._batches():
            records = self._without_errors(batch, seen)
            plan = batch_plan(target=target, records=records)
            self.report.add_errors(plan.errors)
            n_new = sum(seen.is_first(record) for record in plan.new)
            self.report.add_plan(plan, n_new=n_new)
            extended.update(plan.labels)
            self.tell(ImportProgress(CHECKING, self.report.n_rows, None))
        return sorted(extended)

    def _without_errors(self, batch: list[Row], seen: "_SeenIds") -> list[ComparisonRecord]:
        self.report.n_rows += len(batch)
        errors = [row for row in batch if isinstance(row, RowError)]
        records = []
        for row in batch:
            if isinstance(row, RowError):
                continue
            error = seen.refusal(row)
            if error is None:
                records.append(row)
            else:
                errors.append(error)
        self.report.add_errors(sorted(errors, key=lambda error: error.row))
        return records

    def _write(self, extended: list[int]) -> None:
        """Write every batch; the locks are taken in id order before the first row."""
        n_rows = self.report.n_rows
        self.report = ImportReport(format=self.format.name, n_rows=n_rows)
        project_writers_lock(project_id=self.project.pk)
        comparisons_lock(comparison_ids=extended)
        target = ImportTarget.of(self.project)
        n_done = 0
        for batch in self._batches():
            records = [row for row in batch if isinstance(row, ComparisonRecord)]
            plan = batch_plan(target=target, records=records)
            self.report.add_errors(plan.errors)
            if plan.errors:
                raise _Refused
            batch_write(target=target, plan=plan)
            self.report.add_plan(plan, n_new=len(plan.new))
            n_done += len(batch)
            self.tell(ImportProgress(WRITING, n_done, n_rows))

    def _batches(self) -> Iterator[list[Row]]:
        rows = records_of(self.path, self.format)
        while batch := list(islice(rows, BATCH)):
            yield batch


class _SeenIds:
    """Finds ids that a file uses twice, in a few dozen bytes per row."""

    def __init__(self, import_format: ImportFormat) -> None:
        self._format = import_format
        self._seen: dict[bytes, tuple[int, bytes]] = {}

    def is_first(self, record: ComparisonRecord) -> bool:
        """Whether the row is the first of its comparison in the file."""
        return self._seen[_short_hash(record.external_id.encode())][0] == record.row

    def refusal(self, record: ComparisonRecord) -> RowError | None:
        """Return why the row's id cannot be used, or ``None``."""
        key = _short_hash(record.external_id.encode())
        digest = b""
        if self._format.one_label_per_row:
            digest = _short_hash(write_line(_bare(record), provenance=False))
        row, first = self._seen.setdefault(key, (record.row, digest))
        if row == record.row:
            return None
        if not self._format.one_label_per_row:
            message = f"The id {record.external_id!r} was used in row {row} already."
            return RowError(record.row, "id", message, "Give every comparison its own id.")
        if first != digest:
            message = f"Row {row} has the id {record.external_id!r} with another content."
            return RowError(record.row, "id", message, "Rows with one id must agree on its texts.")
        return None


def _bare(record: ComparisonRecord) -> ComparisonRecord:
    return ComparisonRecord(
        0, record.external_id, record.turns, record.responses, record.criterion, record.metadata
    )


def _short_hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=12).digest()


def project_import_lock(*, project_id: int) -> None:
    """Let one import at a time into a project, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7402, %s)", [project_id])


@transaction.atomic
def project_import_is_free(*, project_id: int) -> bool:
    """Whether no import into the project is under way at this moment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(7402, %s)", [project_id])
        return bool(cursor.fetchone()[0])
