"""Imports in the background: they end, once, whatever happens to the worker."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection
from pytest_django.fixtures import Settings

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Comparison, ImportJob, Project
from annotate.services import import_batches, import_jobs
from annotate.services.import_jobs import (
    ImportBusy,
    import_job_cancel,
    import_job_confirm,
    import_job_create,
    import_job_progress,
    import_job_run,
    imports_resume,
)
from annotate.services.imports import ImportProgress
from annotate.tasks import import_run
from tests.factories import make_project

Capture = Callable[..., AbstractContextManager[list[Callable[[], Any]]]]


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def project(db: None) -> Project:
    return make_project()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the jobs that were handed to the queue."""
    found: list[int] = []

    def send_task(app: Celery, name: str, args: list[int], queue: str) -> None:
        assert name == import_run.name
        found.extend(args)

    monkeypatch.setattr(Celery, "send_task", send_task)
    return found


def rows(count: int) -> bytes:
    """A file of this many good rows."""
    responses = [{"text": "one"}, {"text": "two"}]
    human = [{"annotator": "p", "preference": 0}]
    return b"".join(
        json.dumps(
            {"id": f"q{i}", "prompt": "Why?", "responses": responses, "human": human}
        ).encode()
        + b"\n"
        for i in range(count)
    )


def a_job(project: Project, content: bytes = b"", **fields: Any) -> ImportJob:
    """A job for a file of this content, three good rows by default."""
    file = ContentFile(content or rows(3), name="../rows.jsonl")
    return import_job_create(project=project, user=None, file=file, **fields)


def state_of(job: ImportJob) -> str:
    """The job's state now."""
    job.refresh_from_db()
    return job.state


def test_a_job_is_queued_after_commit_and_its_file_stays_below_the_media_folder(
    project: Project, sent: list[int], django_capture_on_commit_callbacks: Capture, tmp_path: Path
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = a_job(project)
        assert sent == []
    assert sent == [job.pk]
    assert job.file_name == "rows.jsonl"
    assert Path(job.file.path).is_relative_to(tmp_path)


def test_a_job_imports_and_says_what_it_did(project: Project) -> None:
    job = a_job(project)
    assert import_job_run(job_id=job.pk)
    assert state_of(job) == "done"
    assert (job.format, job.n_rows, job.n_created, job.n_preferences) == ("native", 3, 3, 3)
    assert job.finished_at is not None
    assert "3 comparisons and 3 verdicts added" in job.message
    assert project.audit_events.get().action == "import"


def test_a_finished_job_runs_no_second_time(project: Project) -> None:
    job = a_job(project)
    import_job_run(job_id=job.pk)
    Comparison.objects.filter(external_id="q0").update(priority=9)
    assert not import_job_run(job_id=job.pk)
    assert Comparison.objects.filter(priority=9).count() == 1


def test_a_job_that_is_gone_is_no_error(project: Project) -> None:
    assert not import_job_run(job_id=10**9)


def test_a_job_with_a_bad_row_fails_with_row_field_and_remedy(project: Project) -> None:
    job = a_job(project, rows(2) + b'{"id": "x"}\n')
    import_job_run(job_id=job.pk)
    assert state_of(job) == "failed"
    assert job.n_errors == 1
    assert job.errors[0]["row"] == 3
    assert set(job.errors[0]) == {"row", "field", "message", "remedy"}
    assert not Comparison.objects.exists()


def test_a_check_writes_nothing_until_it_is_confirmed(project: Project) -> None:
    job = a_job(project, dry_run=True)
    import_job_run(job_id=job.pk)
    assert (state_of(job), job.n_created) == ("done", 3)
    assert not Comparison.objects.exists()
    import_job_confirm(job=job)
    import_job_run(job_id=job.pk)
    assert state_of(job) == "done"
    assert Comparison.objects.count() == 3


def test_only_a_finished_check_can_be_confirmed(project: Project) -> None:
    job = a_job(project)
    import_job_run(job_id=job.pk)
    with pytest.raises(ConflictError):
        import_job_confirm(job=job)


def test_a_cancelled_job_never_runs(project: Project) -> None:
    job = a_job(project)
    assert import_job_cancel(job=job)
    assert not import_job_run(job_id=job.pk)
    assert not import_job_cancel(job=job)
    assert state_of(job) == "cancelled"


def test_a_job_cancelled_while_writing_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 1)
    job = a_job(project)

    def cancel_late(job_id: int, progress: ImportProgress) -> None:
        if progress == ImportProgress("writing", 2, None):
            import_job_cancel(job=job)

    monkeypatch.setattr(import_jobs, "_say", cancel_late)
    assert not import_job_run(job_id=job.pk)
    assert not Comparison.objects.exists()


def test_a_job_that_breaks_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(project)
    Path(job.file.path).unlink()
    with pytest.raises(FileNotFoundError):
        import_job_run(job_id=job.pk)
    assert state_of(job) == "failed"
    assert "FileNotFoundError" in job.message


@pytest.mark.parametrize(
    ("content", "format", "field"), [(b"", "auto", "file"), (b"x", "excel", "format")]
)
def test_a_job_that_cannot_be_is_refused(
    project: Project, content: bytes, format: str, field: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        import_job_create(
            project=project, user=None, file=ContentFile(content, name="x"), format=format
        )
    assert caught.value.field == field
    assert not ImportJob.objects.exists()


def test_progress_is_read_while_a_job_runs_and_after(
    project: Project, redis: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job(project)
    job.state = "running"
    import_jobs._say(job.pk, ImportProgress("writing", 2, 3))
    assert import_job_progress(job=job) == ImportProgress("writing", 2, 3)
    import_job_run(job_id=job.pk)
    job.refresh_from_db()
    assert import_job_progress(job=job).n_done == 3


def test_a_silent_running_job_is_queued_again_once(
    project: Project, redis: object, sent: list[int], django_capture_on_commit_callbacks: Capture
) -> None:
    job = a_job(project)
    ImportJob.objects.filter(pk=job.pk).update(state="running")
    cache.delete(import_jobs._key(job.pk))
    with django_capture_on_commit_callbacks(execute=True):
        assert [imports_resume(), imports_resume()] == [1, 0]
    assert sent == [job.pk]


@pytest.fixture
def busy(transactional_db: None) -> Iterator[Project]:
    """A project into which another session imports at this moment."""
    project = make_project()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7402, %s)", [project.pk])
    yield project
    other.close()


def test_a_second_import_into_a_project_waits_its_turn(busy: Project, sent: list[int]) -> None:
    job = a_job(busy)
    with pytest.raises(ImportBusy):
        import_job_run(job_id=job.pk)
    assert state_of(job) == "queued"
