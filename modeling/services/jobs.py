"""One life for every long task: claimed once, alive by heartbeat, ended with a sentence.

A service makes the row and calls :func:`job_enqueue`; the task calls :func:`job_execute` with the
work. By convention the task of a model is ``<app>.tasks.<model_in_snake_case>_execute(pk)``. Work
must run outside a transaction, or nobody would see its progress.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from django.db import close_old_connections, connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from annotate.errors import ApplicationError
from annotate.models import JobState
from modeling.models import Job

logger = logging.getLogger(__name__)

J = TypeVar("J", bound=Job)

HEARTBEAT_SECONDS = 15
STALE_SECONDS = 90
MAX_ATTEMPTS = 2


class JobCancelled(Exception):
    """Somebody asked the running job to stop."""


class JobLost(Exception):
    """The job was handed to another worker, or ended, while this one still held it."""


def job_enqueue(job: Job) -> None:
    """Hand a queued job to its worker once the transaction has committed."""
    task: Any = import_string(job_task_path(type(job)))
    pk = job.pk
    transaction.on_commit(lambda: task.delay(pk))


def job_task_path(model: type[Job]) -> str:
    """Return the dotted path of the task that executes jobs of a model."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower()
    return f"{model._meta.app_label}.tasks.{name}_execute"


def job_execute(job: J, work: Callable[[J], str]) -> bool:
    """Claim a job, do the work and record its end; return whether it was claimed here.

    ``work`` returns the closing message. A refusal (``ApplicationError``) or input that the core
    cannot use (``ValueError``) fails the job with its own sentence; anything else fails it too and
    goes on to the worker's log.
    """
    if not job_start(job):
        return False
    try:
        with _beating(job):
            message = work(job)
        job_finish(job, message)
    except JobCancelled:
        _end(job, JobState.CANCELLED, "Cancelled.")
    except JobLost:
        logger.warning("%s was taken over by another worker; this attempt stops.", job)
    except (ApplicationError, ValueError) as error:
        job_fail(job, str(error))
        logger.info("%s failed: %s", job, error)
    except Exception as error:
        job_fail(
            job,
            f"Stopped by an unexpected error ({type(error).__name__}: {error}). The "
            "worker's log has the details; start it again once the cause is mended.",
        )
        raise
    return True


def job_start(job: Job) -> bool:
    """Claim a queued job, or one whose worker fell silent; return whether this caller got it."""
    now = timezone.now()
    rows = (_row(job).filter(state=JobState.QUEUED) | _silent(_row(job))).update(
        state=JobState.RUNNING,
        attempts=F("attempts") + 1,
        heartbeat_at=now,
        progress=0.0,
        message="",
    )
    if rows:
        job.refresh_from_db()
    return bool(rows)


def job_progress(job: Job, fraction: float, message: str = "") -> None:
    """Record how far a running job is.

    Raises
    ------
    JobCancelled
        If somebody asked the job to stop.
    JobLost
        If another worker took the job over.
    """
    now = timezone.now()
    job.progress, job.message = min(max(fraction, 0.0), 1.0), message[:500]
    rows = _mine(job).update(heartbeat_at=now, progress=job.progress, message=job.message)
    if not rows:
        raise JobLost(f"{job} is no longer held by this worker.")
    if _row(job).filter(cancel_requested=True).exists():
        raise JobCancelled


def job_finish(job: Job, message: str = "") -> None:
    """Record that a running job is done."""
    if not _end(job, JobState.DONE, message, progress=1.0):
        raise JobLost(f"{job} is no longer held by this worker.")


def job_fail(job: Job, message: str) -> None:
    """Record that a running job failed, and why."""
    _end(job, JobState.FAILED, message)


def job_cancel(job: Job) -> None:
    """Ask a job to stop; one that nobody has started stops at once."""
    now = timezone.now()
    queued = _row(job).filter(state=JobState.QUEUED)
    stopped = queued.update(
        state=JobState.CANCELLED, cancel_requested=True, finished_at=now, message="Cancelled."
    )
    if not stopped:
        _row(job).filter(state=JobState.RUNNING).update(cancel_requested=True)
    job.refresh_from_db()


def jobs_reap() -> dict[str, int]:
    """Queue jobs again whose worker fell silent, or fail them when that happened before."""
    counts = {"requeued": 0, "failed": 0}
    for model in _job_models():
        for job in _silent(model._default_manager.all()):
            counts["requeued" if _reap(job) else "failed"] += 1
    return counts


def _reap(job: Job) -> bool:
    silent = _silent(_mine(job))
    if job.cancel_requested:
        silent.update(state=JobState.CANCELLED, finished_at=timezone.now(), message="Cancelled.")
        return False
    if job.attempts >= MAX_ATTEMPTS:
        silent.update(
            state=JobState.FAILED,
            finished_at=timezone.now(),
            message=f"The worker stopped {job.attempts} times while it ran this, most likely for "
            "lack of memory. Give the worker more memory or take less data, then start it again.",
        )
        return False
    if silent.update(state=JobState.QUEUED, message="The worker stopped; waiting for another."):
        job_enqueue(job)
    return True


def _job_models() -> list[type[Job]]:
    return [model for model in Job.__subclasses__() if not model._meta.abstract]


def _row(job: J) -> QuerySet[J]:
    return type(job)._default_manager.filter(pk=job.pk)


def _mine(job: J) -> QuerySet[J]:
    # The attempt number is the fence: a worker that was given up on cannot write any more.
    return _row(job).filter(state=JobState.RUNNING, attempts=job.attempts)


def _silent(jobs: QuerySet[J]) -> QuerySet[J]:
    before = timezone.now() - timedelta(seconds=STALE_SECONDS)
    return jobs.filter(state=JobState.RUNNING, heartbeat_at__lt=before)


def _end(job: Job, state: JobState, message: str, **values: Any) -> bool:
    rows = _mine(job).update(
        state=state, message=message[:500], finished_at=timezone.now(), **values
    )
    # A row that is no longer ours is not read back: its attempt number would pass for our own.
    if rows:
        job.refresh_from_db()
    return bool(rows)


def _beat(job: Job) -> None:
    close_old_connections()
    _mine(job).update(heartbeat_at=timezone.now())


@contextmanager
def _beating(job: Job) -> Iterator[None]:
    """Keep the heartbeat going from a thread, through steps that report nothing for minutes."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            _beat(job)
        connection.close()

    thread = threading.Thread(target=beat, daemon=True, name=f"heartbeat-{job.pk}")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def job_reporter(
    job: Job, start: float = 0.0, end: float = 1.0, *, every_s: float = 0.5
) -> Callable[[float, str], None]:
    """Return a callback that maps a stage's fraction into the job's and writes at most so often.

    It raises what :func:`job_progress` raises, so a stage that calls it can be cancelled.
    """
    last = 0.0

    def report(fraction: float, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if fraction < 1.0 and now - last < every_s:
            return
        last = now
        job_progress(job, start + (end - start) * min(fraction, 1.0), message)

    return report
