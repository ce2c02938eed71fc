"""Imports in the background: state, progress, cancelling, and starting again after a crash."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from celery import current_app
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files import File
from django.db import OperationalError, transaction
from django.utils import timezone

from annotate.errors import ApplicationError, ConflictError
from annotate.formats.registry import AUTO, IMPORT_FORMATS
from annotate.models import ImportJob, JobState, Project
from annotate.services.audit import audit_write
from annotate.services.imports import (
    CHECKING,
    ImportProgress,
    ImportReport,
    comparisons_import,
    project_import_is_free,
    project_import_lock,
)

# A running job writes its progress at least once a batch; silence this long means that its worker
# is gone.
SILENT_AFTER_S = 120
# By name, because tasks call services and not the other way round.
IMPORT_TASK = "annotate.tasks.import_run"
UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class ImportBusy(Exception):
    """Another import into the same project is under way; try again later."""


class _Cancelled(Exception):
    """Takes the import's transaction back after its owner cancelled it."""


@transaction.atomic
def import_job_create(
    *,
    project: Project,
    user: User | None,
    file: File[bytes],
    format: str = AUTO,
    dry_run: bool = False,
) -> ImportJob:
    """Keep an uploaded file and queue its import.

    Raises
    ------
    ApplicationError
        If the format is unknown or the file is empty.
    """
    if format not in (AUTO, *IMPORT_FORMATS):
        known = ", ".join((AUTO, *IMPORT_FORMATS))
        raise ApplicationError(f"Unknown format {format!r}; use one of {known}.", field="format")
    if not file.size:
        raise ApplicationError("The file is empty. Choose a file with rows.", field="file")
    name = Path(file.name or "upload").name[:200]
    job = ImportJob(
        project=project, file_name=name, format=format, dry_run=dry_run, created_by=user
    )
    # Stored under the job's own id: a name from outside never becomes a path.
    job.file.save(f"{job.public_id}.upload", file, save=True)
    _queue(job)
    return job


def _queue(job: ImportJob) -> None:
    transaction.on_commit(partial(current_app.send_task, IMPORT_TASK, [job.pk], queue="default"))


@transaction.atomic
def import_job_confirm(*, job: ImportJob) -> ImportJob:
    """Import for real what a dry run found to be right.

    Raises
    ------
    ConflictError
        If the job is no finished dry run.
    """
    rows = ImportJob.objects.filter(pk=job.pk, dry_run=True, state=JobState.DONE).update(
        dry_run=False, state=JobState.QUEUED, finished_at=None, message="", n_done=0
    )
    if not rows:
        raise ConflictError("Only a finished check can be imported. Look at its state.")
    job.refresh_from_db()
    _queue(job)
    return job


def import_job_cancel(*, job: ImportJob) -> bool:
    """Stop an import; nothing of it stays. A finished one is left alone."""
    rows = ImportJob.objects.filter(pk=job.pk, state__in=UNFINISHED).update(
        state=JobState.CANCELLED, finished_at=timezone.now(), message="Cancelled."
    )
    return bool(rows)


def import_job_run(*, job_id: int) -> bool:
    """Run a queued job, or one whose worker died; return whether it was done here.

    The rows and the state "done" are committed together, so whoever runs the job a second time
    finds it done.

    Raises
    ------
    ImportBusy
        If another import into the project, or another run of this one, is under way.
    """
    unfinished = ImportJob.objects.filter(pk=job_id, state__in=UNFINISHED)
    project_id = unfinished.values_list("project_id", flat=True).first()
    if project_id is None:
        return False
    if not project_import_is_free(project_id=project_id):
        raise ImportBusy
    _say(job_id, ImportProgress(CHECKING, 0, None))
    unfinished.update(state=JobState.RUNNING)
    try:
        with transaction.atomic():
            project_import_lock(project_id=project_id)
            job = unfinished.select_related("project").first()
            if job is None:
                return False
            _run(job)
    except _Cancelled:
        return False
    except OperationalError:
        # The database went away: the task is tried again.
        raise
    except Exception as error:
        # Whatever else went wrong, the page must not show a job that runs for ever.
        _finish(job_id, JobState.FAILED, message=f"The import stopped: {type(error).__name__}.")
        raise
    return True


def _run(job: ImportJob) -> None:
    report = comparisons_import(
        project=job.project,
        path=Path(job.file.path),
        format=job.format,
        dry_run=job.dry_run,
        progress=lambda progress: _tell(job.pk, progress),
    )
    values = {
        "format": report.format,
        "n_rows": report.n_rows,
        "n_done": report.n_rows if report.is_ok else 0,
        "n_created": report.n_created,
        "n_unchanged": report.n_unchanged,
        "n_preferences": report.n_preferences,
        "n_errors": report.n_errors,
        "errors": [asdict(error) for error in report.errors],
    }
    state = JobState.DONE if report.is_ok else JobState.FAILED
    if not _finish(job.pk, state, message=_sentence(report), **values):
        raise _Cancelled
    if report.is_ok and not report.dry_run:
        data = {"file": job.file_name, "comparisons": report.n_created}
        audit_write(
            project=job.project, actor=job.created_by, action="import", target=job.file_name,
            data=data | {"verdicts": report.n_preferences},
        )  # fmt: skip


def _finish(job_id: int, state: JobState, **values: Any) -> bool:
    rows = ImportJob.objects.filter(pk=job_id, state=JobState.RUNNING).update(
        state=state, finished_at=timezone.now(), **values
    )
    return bool(rows)


def _sentence(report: ImportReport) -> str:
    if not report.is_ok:
        return f"Nothing was imported: {report.n_errors:,} errors in {report.n_rows:,} rows."
    verb = "would be added" if report.dry_run else "added"
    return (
        f"{report.n_rows:,} rows: {report.n_created:,} comparisons and "
        f"{report.n_preferences:,} verdicts {verb}, {report.n_unchanged:,} comparisons unchanged."
    )


def _key(job_id: int) -> str:
    return f"import-progress:{job_id}"


def _say(job_id: int, progress: ImportProgress) -> None:
    """Publish progress outside the import's own transaction."""
    cache.set(_key(job_id), asdict(progress), timeout=SILENT_AFTER_S)


def _tell(job_id: int, progress: ImportProgress) -> None:
    """Publish progress, and notice a cancelled job."""
    _say(job_id, progress)
    if not ImportJob.objects.filter(pk=job_id, state=JobState.RUNNING).exists():
        raise _Cancelled


def import_job_progress(*, job: ImportJob) -> ImportProgress:
    """Where a job stands."""
    if job.state in JobState.finished():
        return ImportProgress("", job.n_done, job.n_rows)
    told = cache.get(_key(job.pk))
    return ImportProgress(**told) if told else ImportProgress(CHECKING, 0, None)


def imports_resume() -> int:
    """Queue running jobs again whose worker fell silent; return how many."""
    n_queued = 0
    for job in ImportJob.objects.filter(state=JobState.RUNNING):
        # `add` takes the place of the progress, so that one silence queues the job once.
        waiting = asdict(ImportProgress(CHECKING, 0, None))
        if cache.add(_key(job.pk), waiting, timeout=SILENT_AFTER_S):
            _queue(job)
            n_queued += 1
    return n_queued
