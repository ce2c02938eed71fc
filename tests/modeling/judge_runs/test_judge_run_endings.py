"""How judge runs end: refused, down, cancelled, killed, gone."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from annotate.models import JobState, Preference, Project
from modeling.judges import ledger
from modeling.judges.turns import turn_reserve, turn_take
from modeling.models import Judge, JudgeReply, JudgeRun, JudgeTurn
from modeling.services.jobs import job_cancel
from modeling.services.judge_runs import (
    judge_run_execute,
    judge_run_start,
    judge_runs_release,
)
from tests.factories import make_comparison
from tests.fake_endpoint import FakeEndpoint, Misbehaviour
from tests.modeling.judge_runs.books import REPLY_USD, committed, executed

# The runner's threads ask over HTTP only; rows are written by the test's own thread.
pytestmark = pytest.mark.django_db


def test_a_wrong_key_fails_the_run_with_the_remedy(
    judge: Judge, endpoint: FakeEndpoint, project: Project
) -> None:
    endpoint.script.extend([Misbehaviour(401)] * 20)
    run = executed(judge)
    assert run.state == JobState.FAILED
    assert "check the key" in run.message
    assert committed(project) == 0


def test_an_endpoint_that_is_down_fails_the_run_and_keeps_what_came_before(
    judge: Judge, endpoint: FakeEndpoint, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeling.judges.run.FAILURES_IN_A_ROW", 2)
    for number in range(8):
        make_comparison(project, texts=[f"good {number}", f"bad {number}"])
    executed(judge, n_comparisons=1)
    endpoint.script.extend([Misbehaviour(500)] * 1000)
    run = executed(judge)
    assert run.state == JobState.FAILED
    assert "got no reply" in run.message
    assert Preference.objects.filter(annotator=judge.annotator).count() == 1
    assert committed(project) == 2 * REPLY_USD


def test_one_question_that_fails_is_counted_and_asked_by_the_next_run(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    endpoint.script.append(Misbehaviour(400))
    first = executed(judge)
    assert (first.state, first.n_done, first.n_failed) == (JobState.DONE, 3, 1)
    second = executed(judge)
    assert (second.n_comparisons, second.n_done, second.n_failed) == (1, 1, 0)


def test_a_cancelled_run_stops_and_keeps_what_was_paid_for(
    judge: Judge, endpoint: FakeEndpoint, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = judge_run_start(judge=judge, user=None)
    cancel_after(monkeypatch, run)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.state == JobState.CANCELLED
    assert committed(project) == run.cost_usd == JudgeReply.objects.count() * REPLY_USD


def cancel_after(monkeypatch: pytest.MonkeyPatch, run: JudgeRun) -> None:
    """Let somebody cancel as soon as the first comparison is stored."""
    real: Callable[..., Any] = ledger.settle

    def settle(**arguments: Any) -> Any:
        job_cancel(JudgeRun.objects.get(pk=run.pk))
        return real(**arguments)

    monkeypatch.setattr("modeling.judges.run.settle", settle)


def abandoned_turn(run: JudgeRun, project: Project) -> None:
    """A turn that holds $3, of a worker that fell silent two minutes ago."""
    turn = turn_take(run=run, comparison_id=run.comparison_ids[0], holder=uuid4())
    assert turn is not None
    turn_reserve(turn=turn, run=run, project_id=project.pk, amount_usd=Decimal(3))
    JudgeTurn.objects.update(seen_at=timezone.now() - timedelta(minutes=2))


def test_a_killed_attempt_gives_its_reservation_back_when_taken_up(
    judge: Judge, project: Project
) -> None:
    run = judge_run_start(judge=judge, user=None)
    abandoned_turn(run, project)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.n_done, run.reserved_usd) == (4, Decimal(0))
    assert committed(project) == 8 * REPLY_USD


def test_a_run_that_was_given_up_on_gives_its_reservation_back(
    judge: Judge, project: Project
) -> None:
    run = judge_run_start(judge=judge, user=None)
    abandoned_turn(run, project)
    JudgeRun.objects.filter(pk=run.pk).update(state=JobState.FAILED)
    assert judge_runs_release() == 1
    assert committed(project) == 0
    assert judge_runs_release() == 0


def test_a_run_that_is_gone_is_no_error() -> None:
    assert not judge_run_execute(run_id=4711)


def test_the_measurement_is_asked_for_when_a_run_ends(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Project] = []
    monkeypatch.setattr(
        "modeling.services.judges.judges_refresh", lambda project, force: asked.append(project)
    )
    executed(judge)
    assert asked == [judge.annotator.project]
