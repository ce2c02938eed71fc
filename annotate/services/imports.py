"""Files on their way in: checked as a whole first, then written in one transaction."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import IntegrityError, connection, transaction

from annotate.collecting import old_objects_aside
from annotate.formats.base import ComparisonRecord, FormatError, ImportFormat, RowError
from annotate.formats.registry import AUTO, import_format_of
from annotate.models import Project
from annotate.services.assignments import comparisons_lock
from annotate.services.import_batches import BATCH, ImportBatch, import_batches
from annotate.services.import_plans import BatchPlan, ImportTarget, batch_plan
from annotate.services.import_screens import Screens, SeenRows
from annotate.services.import_writes import batch_write
from annotate.services.preferences import project_writers_lock
from annotate.services.table_statistics import tables_analyze

MAX_ERRORS_KEPT = 100
MAX_ERRORS_LOGGED = 100_000
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
    screens: Screens = field(default_factory=Screens)
    log: Callable[[RowError], None] | None = None

    @property
    def is_ok(self) -> bool:
        """Whether no row was refused."""
        return self.n_errors == 0

    def add_errors(self, errors: list[RowError]) -> None:
        """Count errors, log them and keep the first hundred."""
        if self.log is not None:
            for error in errors[: max(0, MAX_ERRORS_LOGGED - self.n_errors)]:
                self.log(error)
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


@dataclass(frozen=True)
class ImportOptions:
    """How a file is read and what is done with it."""

    format: str = AUTO
    mapping: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    n_rows_expected: int | None = None
    log: Callable[[RowError], None] | None = None


def comparisons_import(
    *,
    project: Project,
    path: Path,
    format: str = AUTO,
    mapping: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    n_rows_expected: int | None = None,
    log: Callable[[RowError], None] | None = None,
) -> ImportReport:
    """Import a file: every row or none.

    Rows that the project holds already are left alone, so importing a file again changes nothing;
    new verdicts on a known comparison are added. An empty project is written to at once and the
    file read once; otherwise it is read twice, to check every row and to write. ``log`` is told
    every error, of which the report keeps the first hundred.
    """
    options = ImportOptions(format, mapping or {}, dry_run, n_rows_expected, log)
    try:
        import_format = import_format_of(path, format, mapping)
    except FormatError as error:
        report = ImportReport(format=format, dry_run=dry_run, log=log)
        report.add_errors(list(error.errors))
        return report
    return _Import(project, path, import_format, options, progress).run()


class _Import:
    """One run over one file."""

    def __init__(
        self,
        project: Project,
        path: Path,
        import_format: ImportFormat,
        options: ImportOptions,
        progress: Progress | None,
    ) -> None:
        self.project = project
        self.path = path
        self.format = import_format
        self.options = options
        self.tell = progress or (lambda _: None)
        self.report = self._new_report()

    def _new_report(self) -> ImportReport:
        return ImportReport(
            format=self.format.name, dry_run=self.options.dry_run, log=self.options.log
        )

    def run(self) -> ImportReport:
        """Write at once what can be; whatever is wrong is taken back and looked for in full."""
        try:
            with transaction.atomic(), old_objects_aside():
                project_import_lock(project_id=self.project.pk)
                self._run_locked()
        except _Refused:
            pass
        except _Suspicious:
            self._run_again()
        if not self.report.is_ok:
            self.report.forget_changes()
        return self.report

    def _run_locked(self) -> None:
        target = ImportTarget.of(self.project)
        if self.options.dry_run:
            self._check(target)
        elif target.has_comparisons:
            extended = self._check(target)
            if self.report.is_ok:
                self._write(extended)
        else:
            self._write_at_once(target)
        if not self.options.dry_run and self.report.n_created >= BATCH:
            tables_analyze()

    def _run_again(self) -> None:
        """Find every error of a file of which a row was wrong."""
        self.report = self._new_report()
        with transaction.atomic():
            self._check(ImportTarget.of(self.project))
        if self.report.is_ok:
            # Rows that contradict each other show only against what is written.
            self.report = self._new_report()
            self._rehearse()

    def _rehearse(self) -> None:
        try:
            with transaction.atomic():
                project_import_lock(project_id=self.project.pk)
                self._check_while_writing(ImportTarget.of(self.project))
                raise _Refused
        except _Refused:
            pass

    def _check(self, target: ImportTarget) -> list[int]:
        """Check every row; return the ids of known comparisons that get new verdicts."""
        seen = SeenRows(one_label_per_row=self.format.one_label_per_row)
        extended: set[int] = set()
        for batch in self._batches(target):
            self._count(batch)
            plan = batch_plan(target=target, records=batch.records)
            self.report.add_errors(plan.errors)
            self.report.add_plan(plan, n_new=0)
            seen.add(batch, {record.external_id for record in plan.new})
            extended.update(plan.labels)
            self.tell(ImportProgress(CHECKING, self.report.n_rows, self.options.n_rows_expected))
        self.report.add_errors(list(seen.twice(MAX_ERRORS_LOGGED)))
        self.report.errors.sort(key=lambda error: error.row)
        self.report.n_created = seen.n_new()
        seen.summarize(self.report.screens)
        return sorted(extended)

    def _count(self, batch: ImportBatch) -> None:
        self.report.n_rows += batch.n_rows
        self.report.add_errors(batch.errors)
        for notice in batch.notices:
            self.report.screens.add(notice)

    def _write_at_once(self, target: ImportTarget) -> None:
        """Write while reading; the first sign of anything wrong ends it."""
        project_writers_lock(project_id=self.project.pk)
        target.hold()
        seen = SeenRows(one_label_per_row=self.format.one_label_per_row)
        for batch in self._batches(target):
            self._count(batch)
            if self.report.n_errors:
                raise _Suspicious
            plan = self._planned(target, batch.records)
            if plan.errors:
                raise _Suspicious
            self._put(target, plan, batch)
            seen.add(batch, set())
            self.report.add_plan(plan, n_new=len(plan.new))
            self.tell(ImportProgress(WRITING, self.report.n_rows, self.options.n_rows_expected))
        if self.format.one_label_per_row and any(seen.twice(1)):
            raise _Suspicious
        seen.summarize(self.report.screens)

    def _planned(self, target: ImportTarget, records: list[ComparisonRecord]) -> BatchPlan:
        ids = {record.external_id for record in records}
        if not self.format.one_label_per_row and len(ids) < len(records):
            raise _Suspicious
        # Only formats with one label per row come back to a comparison that they brought.
        looks_back = self.format.one_label_per_row
        return batch_plan(target=target, records=records, looks_back=looks_back)

    def _put(self, target: ImportTarget, plan: BatchPlan, batch: ImportBatch) -> None:
        try:
            batch_write(target=target, plan=plan, drafts=batch.drafts)
        except IntegrityError as error:
            raise _Suspicious from error

    def _check_while_writing(self, target: ImportTarget) -> None:
        for batch in self._batches(target):
            self._count(batch)
            plan = batch_plan(target=target, records=batch.records)
            self.report.add_errors(plan.errors)
            if plan.errors:
                return
            batch_write(target=target, plan=plan, drafts=batch.drafts)

    def _write(self, extended: list[int]) -> None:
        """Write every batch; the locks are taken in id order before the first row."""
        checked, self.report = self.report, self._new_report()
        self.report.n_rows, self.report.screens = checked.n_rows, checked.screens
        project_writers_lock(project_id=self.project.pk)
        comparisons_lock(comparison_ids=extended)
        target = ImportTarget.of(self.project)
        target.hold()
        n_done = 0
        for batch in self._batches(target):
            plan = batch_plan(target=target, records=batch.records)
            self.report.add_errors(plan.errors)
            if plan.errors:
                raise _Refused
            batch_write(target=target, plan=plan, drafts=batch.drafts)
            self.report.add_plan(plan, n_new=len(plan.new))
            n_done += batch.n_rows
            self.tell(ImportProgress(WRITING, n_done, self.report.n_rows))

    def _batches(self, target: ImportTarget) -> Iterator[ImportBatch]:
        return import_batches(self.path, self.format, target.destination)


class _Suspicious(Exception):
    """Something is wrong in a file that is being written at once; it is taken back and checked."""


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
