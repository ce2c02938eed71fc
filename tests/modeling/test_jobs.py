"""Jobs: claimed once, alive by heartbeat, ended with a sentence."""

from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.utils import timezone
from django.utils.module_loading import import_string

from annotate.errors import NotReady
from annotate.models import JobState
from modeling.models import Job, Judge, JudgeRun
from modeling.services import jobs
from modeling.services.jobs import (
    JobCancelled,
    JobLost,
    job_cancel,
    job_execute,
    job_fail,
    job_finish,
    job_progress,
    job_reporter,
    job_start,
    job_task_path,
    jobs_reap,
)
from tests.factories import make_annotator, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> JudgeRun:
    """A queued job."""
    annotator = make_annotator(make_project(), kind="judge")
    return JudgeRun.objects.create(judge=Judge.objects.create(annotator=annotator))


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that were handed to a worker."""
    handed: list[int] = []
    monkeypatch.setattr(jobs, "job_enqueue", lambda job: handed.append(job.pk))
    return handed


def fall_silent(job: JudgeRun) -> None:
    """Let the last heartbeat lie beyond the limit."""
    beat = timezone.now() - timedelta(seconds=jobs.STALE_SECONDS + 1)
    JudgeRun.objects.filter(pk=job.pk).update(heartbeat_at=beat)


def test_a_queued_job_is_claimed_once(job: JudgeRun) -> None:
    other = JudgeRun.objects.get(pk=job.pk)
    assert job_start(job)
    assert not job_start(other)
    assert (job.state, job.attempts) == (JobState.RUNNING, 1)


def test_a_job_whose_worker_fell_silent_is_claimed_again(job: JudgeRun) -> None:
    job_start(job)
    fall_silent(job)
    assert job_start(JudgeRun.objects.get(pk=job.pk))
    job.refresh_from_db()
    assert job.attempts == 2


@pytest.mark.parametrize("state", JobState.finished())
def test_a_finished_job_is_not_claimed(job: JudgeRun, state: str) -> None:
    JudgeRun.objects.filter(pk=job.pk).update(state=state)
    assert not job_start(job)


def test_progress_is_stored_with_a_heartbeat(job: JudgeRun) -> None:
    job_start(job)
    fall_silent(job)
    job_progress(job, 0.4, "4 of 10")
    job.refresh_from_db()
    assert (job.progress, job.message) == (0.4, "4 of 10")
    assert job.heartbeat_at is not None
    assert job.heartbeat_at > timezone.now() - timedelta(seconds=10)


def test_progress_stops_a_job_that_somebody_cancelled(job: JudgeRun) -> None:
    job_start(job)
    job_cancel(JudgeRun.objects.get(pk=job.pk))
    with pytest.raises(JobCancelled):
        job_progress(job, 0.5)


def test_a_worker_that_was_given_up_on_cannot_write(job: JudgeRun) -> None:
    job_start(job)
    fall_silent(job)
    job_start(JudgeRun.objects.get(pk=job.pk))
    with pytest.raises(JobLost):
        job_progress(job, 0.9, "old")
    with pytest.raises(JobLost):
        job_finish(job, "old")
    job_fail(job, "old")
    job.refresh_from_db()
    assert (job.state, job.message) == (JobState.RUNNING, "")


def test_a_queued_job_is_cancelled_at_once(job: JudgeRun) -> None:
    job_cancel(job)
    assert (job.state, job.is_finished) == (JobState.CANCELLED, True)


def test_cancelling_a_finished_job_changes_nothing(job: JudgeRun) -> None:
    job_start(job)
    job_finish(job, "Done.")
    job_cancel(job)
    assert (job.state, job.cancel_requested) == (JobState.DONE, False)


def test_work_that_returns_ends_the_job_with_its_sentence(job: JudgeRun) -> None:
    assert job_execute(job, lambda _: "All good.")
    assert (job.state, job.message, job.progress) == (JobState.DONE, "All good.", 1.0)
    assert job.finished_at is not None


@pytest.mark.parametrize(
    ("error", "state", "sentence"),
    [
        (NotReady("Label 3 more."), JobState.FAILED, "Label 3 more."),
        (ValueError("row 3 is NaN"), JobState.FAILED, "row 3 is NaN"),
        (JobCancelled(), JobState.CANCELLED, "Cancelled."),
    ],
)
def test_a_refusal_ends_the_job_with_its_own_sentence(
    job: JudgeRun, error: Exception, state: str, sentence: str
) -> None:
    def refuse(_job: Job) -> str:
        raise error

    assert job_execute(job, refuse)
    assert (job.state, job.message) == (state, sentence)


def test_an_unexpected_error_fails_the_job_and_goes_on_to_the_log(job: JudgeRun) -> None:
    def crash(_job: Job) -> str:
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        job_execute(job, crash)
    assert job.state == JobState.FAILED
    assert "disk full" in job.message


def test_a_job_in_other_hands_is_not_worked_on(job: JudgeRun) -> None:
    job_start(JudgeRun.objects.get(pk=job.pk))
    assert not job_execute(job, lambda _: pytest.fail("worked on twice"))


def test_the_reaper_queues_a_silent_job_again(job: JudgeRun, queued: list[int]) -> None:
    job_start(job)
    fall_silent(job)
    assert jobs_reap() == {"requeued": 1, "failed": 0}
    job.refresh_from_db()
    assert (job.state, queued) == (JobState.QUEUED, [job.pk])


def test_the_reaper_fails_a_job_that_fell_silent_twice(job: JudgeRun, queued: list[int]) -> None:
    JudgeRun.objects.filter(pk=job.pk).update(attempts=1)
    job_start(job)
    fall_silent(job)
    assert jobs_reap() == {"requeued": 0, "failed": 1}
    job.refresh_from_db()
    assert (job.state, queued) == (JobState.FAILED, [])
    assert "start it again" in job.message


def test_the_reaper_ends_a_silent_job_that_was_cancelled(job: JudgeRun, queued: list[int]) -> None:
    job_start(job)
    job_cancel(job)
    fall_silent(job)
    jobs_reap()
    job.refresh_from_db()
    assert (job.state, queued) == (JobState.CANCELLED, [])


def test_the_reaper_leaves_a_live_job_alone(job: JudgeRun, queued: list[int]) -> None:
    job_start(job)
    assert jobs_reap() == {"requeued": 0, "failed": 0}
    assert queued == []


def test_a_reporter_maps_its_stage_and_writes_only_so_often(
    job: JudgeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[float] = []
    monkeypatch.setattr(jobs, "job_progress", lambda _, fraction, __: written.append(fraction))
    report = job_reporter(job, 0.2, 0.6, every_s=3600)
    for fraction in (0.0, 0.25, 0.5, 1.0):
        report(fraction, "x")
    assert written == pytest.approx([0.2, 0.6])


def test_the_heartbeat_goes_on_through_silent_work(
    job: JudgeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.01)
    beats: list[Any] = []
    monkeypatch.setattr(jobs, "_beat", lambda job: beats.append(job))
    job_execute(job, lambda _: "slept" if not Event().wait(0.1) else "")
    assert len(beats) >= 2


@pytest.mark.parametrize("model", Job.__subclasses__(), ids=lambda model: model.__name__)
def test_every_kind_of_job_has_a_task_of_its_own(model: type[Job]) -> None:
    path = job_task_path(model)
    assert import_string(path).name == path
