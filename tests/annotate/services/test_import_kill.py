"""`kill -9` of the worker in the middle of an import."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection, transaction

from annotate.models import Comparison, ImportJob, Preference, Project
from annotate.services import import_jobs, imports
from annotate.services.import_jobs import import_job_create, import_job_progress, imports_resume
from annotate.services.imports import WRITING
from tests.factories import make_comparison, make_project

pytestmark = pytest.mark.slow
Worker = Callable[..., AbstractContextManager["subprocess.Popen[bytes]"]]
N_ROWS = 20_000
BEGUN = 2_000
STOPS_AT = 15_000


@pytest.fixture
def job(celery_worker_process: Worker) -> Iterator[ImportJob]:
    """A job of some batches; the worker reads its file from the shared folder."""
    row = {
        "prompt": "Why?",
        "responses": [{"text": "one"}, {"text": "two"}],
        "human": [{"annotator": "p", "preference": 0}],
    }
    lines = [json.dumps({"id": f"q{i}", **row}).encode() for i in range(N_ROWS)]
    file = ContentFile(b"\n".join(lines), name="rows.jsonl")
    job = import_job_create(project=make_project(), user=None, file=file)
    yield job
    Path(job.file.path).unlink()


def wait_for(is_true: Callable[[], bool], seconds: float = 90) -> None:
    """Return once something holds."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill_nine(worker: "subprocess.Popen[bytes]") -> None:
    """Kill a worker with its pool: the pool's process does the work."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    for pid in [*map(int, children), worker.pid]:
        os.kill(pid, signal.SIGKILL)
    worker.wait()


def state_of(job: ImportJob) -> str:
    """The job's state now."""
    job.refresh_from_db()
    return job.state


@contextmanager
def row_held(project: Project) -> Iterator[None]:
    """Hold the id of a late row, uncommitted: whoever writes that row waits until the block ends.

    However fast a worker is, it is then killed between its first batch and its last.
    """
    is_held, is_over = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            make_comparison(project, external_id=f"q{STOPS_AT}")
            is_held.set()
            is_over.wait()
            transaction.set_rollback(True)
        connection.close()

    thread = Thread(target=hold, daemon=True)
    thread.start()
    try:
        assert is_held.wait(30)
        yield
    finally:
        is_over.set()
        thread.join()


def killed_while_writing(job: ImportJob, worker: Worker, *, resumed: int) -> None:
    """Let a worker begin to write, kill it, and see that nothing of it is there."""
    # Held first: the queue may hold the job already when the worker comes up.
    with row_held(job.project), worker() as process:
        assert imports_resume() == resumed
        wait_for(lambda: import_job_progress(job=job).n_done >= BEGUN)
        assert import_job_progress(job=job).phase == WRITING
        kill_nine(process)
    wait_for(lambda: imports.project_import_is_free(project_id=job.project_id))
    assert (state_of(job), Comparison.objects.count()) == ("running", 0)
    cache.delete(import_jobs._key(job.pk))


def test_two_kills_while_writing_leave_nothing_and_the_third_worker_finishes(
    job: ImportJob, celery_worker_process: Worker
) -> None:
    killed_while_writing(job, celery_worker_process, resumed=0)
    killed_while_writing(job, celery_worker_process, resumed=1)
    with celery_worker_process():
        assert imports_resume() == 1
        wait_for(lambda: state_of(job) == "done")
    assert (Comparison.objects.count(), Preference.objects.count()) == (N_ROWS, N_ROWS)
