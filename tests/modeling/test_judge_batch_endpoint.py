"""Batch files at an endpoint that speaks the protocol, through the real client."""

import os
import random
import signal
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from annotate.models import Preference, Project
from modeling.models import Judge, JudgeBatch, JudgeReply
from modeling.services import judge_batches
from modeling.services.judge_batches import (
    judge_batch_cancel,
    judge_batch_poll,
    judge_batch_prepare,
    judge_batch_read,
    judge_batch_start,
    judge_batches_poll,
)
from modeling.services.judges import judge_create
from tests.factories import make_comparison, make_project
from tests.fake_batches import BatchEndpoint, Line, running_batches, said

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
REPLY_USD = Decimal("0.006")  # 100 tokens at $100 and 10 at $200 per million, at half the price
BETTER = '{"verdict": "A", "strength": 2}'
WORSE = '{"verdict": "B", "strength": 2}'


@pytest.fixture
def remote() -> Iterator[BatchEndpoint]:
    """An endpoint that answers every question for the response that is canonically first."""
    with running_batches() as fake:
        fake.answer = answered
        yield fake


@pytest.fixture
def project() -> Project:
    """Three comparisons, one with separators that only Python takes for line ends."""
    project = make_project(budget_usd=Decimal(50))
    make_comparison(project, texts=["good\u2028one", "bad\x85one"])
    make_comparison(project, texts=["good two", "bad two"])
    make_comparison(project, texts=["good three", "bad three"])
    return project


@pytest.fixture
def judge(project: Project, remote: BatchEndpoint) -> Judge:
    """A judge with prices."""
    return make_judge(project, remote.base_url)


def make_judge(project: Project, base_url: str, name: str = "fake") -> Judge:
    """A judge at an endpoint."""
    return judge_create(
        project=project, user=None, name=name, base_url=base_url, model_name="fake-1",
        input_usd_per_million_tokens=Decimal(100), output_usd_per_million_tokens=Decimal(200),
    )  # fmt: skip


def answered(requests: list[Line]) -> list[Any]:
    """Output lines for all requests, in another order than they were asked."""
    lines = [said(one, WORSE if ".1.0." in one["custom_id"] else BETTER) for one in requests]
    random.Random(4).shuffle(lines)
    return lines


def submitted(judge: Judge) -> JudgeBatch:
    """A batch that is at the endpoint."""
    batch = judge_batch_start(judge=judge, user=None)
    judge_batch_prepare(batch_id=batch.pk)
    return fresh(batch)


def fresh(batch: JudgeBatch) -> JudgeBatch:
    """The batch as it is now."""
    return JudgeBatch.objects.get(pk=batch.pk)


def polled(batch: JudgeBatch) -> JudgeBatch:
    """The batch after one look, and the reading that it may have led to."""
    judge_batch_poll(batch_id=batch.pk)
    judge_batch_read(batch_id=batch.pk)
    return fresh(batch)


def committed(project: Project) -> Decimal:
    """The project's money that is spent or reserved."""
    return Project.objects.get(pk=project.pk).committed_usd


def test_a_batch_is_waited_for_until_the_endpoint_has_ended_it(
    judge: Judge, project: Project, remote: BatchEndpoint
) -> None:
    remote.statuses = deque(["validating", "in_progress", "finalizing", "completed"])
    batch = submitted(judge)
    seen = [polled(batch) for _ in range(4)]
    assert [one.stage for one in seen] == ["submitted", "submitted", "submitted", "done"]
    assert seen[1].message == "The endpoint says: in progress. 1 of 6 answered."
    assert (seen[3].n_replies, seen[3].cost_usd) == (6, 6 * REPLY_USD)
    assert committed(project) == 6 * REPLY_USD
    replies = JudgeReply.objects.filter(judge=judge).order_by("comparison_id", "order_swapped")
    assert [reply.verdict for reply in replies] == ["first"] * 6


def test_lines_that_are_no_reply_are_left_to_the_run(judge: Judge, remote: BatchEndpoint) -> None:
    def odd(requests: list[Line]) -> list[Any]:
        good = said(requests[0], BETTER)
        refused = {**said(requests[1], WORSE)}
        refused["response"] = {**refused["response"], "status_code": 429}
        failed = {"custom_id": requests[2]["custom_id"], "response": None, "error": {"code": "x"}}
        body = {"error": {"message": "overloaded"}}
        told = {
            "custom_id": requests[3]["custom_id"],
            "response": {"status_code": 200, "body": body},
        }
        stranger = {**said(requests[4], BETTER), "custom_id": "somebody-else"}
        return [good, good, refused, failed, told, stranger, "[]", "{", '{"custom_id": 3}']

    remote.answer = odd
    batch = polled(submitted(judge))
    assert (batch.stage, batch.n_replies, batch.cost_usd) == ("done", 1, REPLY_USD)
    assert batch.run is not None


def test_questions_in_the_error_file_are_told_to_the_owner(
    judge: Judge, remote: BatchEndpoint
) -> None:
    remote.answer = lambda requests: answered(requests[:4])
    remote.failed = lambda requests: [
        {"custom_id": one["custom_id"], "error": {"message": "context too long"}}
        for one in requests[4:]
    ]
    batch = polled(submitted(judge))
    assert batch.message.startswith("4 of 6 replies for $0.0240. 2 questions were not answered")
    assert "context too long" in batch.message


def test_a_batch_of_which_every_question_failed_ends_and_gives_its_money_back(
    judge: Judge, project: Project, remote: BatchEndpoint
) -> None:
    remote.answer = lambda requests: []
    remote.failed = lambda requests: [{"error": {"message": "no such model"}}] * len(requests)
    batch = polled(submitted(judge))
    assert batch.stage == "failed"
    assert "6 questions were not answered" in batch.message
    assert committed(project) == 0


def test_a_file_that_the_endpoint_refuses_is_told_with_its_reason(
    judge: Judge, project: Project, remote: BatchEndpoint
) -> None:
    remote.statuses = deque(["failed"])
    remote.errors = [{"code": "invalid", "message": "Line 2 has no model.", "line": 2}]
    batch = polled(submitted(judge))
    assert (batch.stage, committed(project)) == ("failed", Decimal(0))
    assert batch.message == "The endpoint says: failed. Line 2 has no model."


def test_what_was_answered_before_a_batch_expired_counts(
    judge: Judge, project: Project, remote: BatchEndpoint
) -> None:
    remote.statuses = deque(["in_progress", "expired"])
    remote.answer = lambda requests: answered(requests[:2])
    batch = submitted(judge)
    batch = [polled(batch) for _ in range(2)][-1]
    assert (batch.stage, batch.n_replies, batch.cost_usd) == ("done", 2, 2 * REPLY_USD)
    assert batch.run is not None


def test_a_cancelled_batch_is_recalled_and_its_replies_are_kept_and_paid(
    judge: Judge, project: Project, remote: BatchEndpoint
) -> None:
    remote.statuses = deque(["in_progress"])
    batch = submitted(judge)
    judge_batch_cancel(batch=batch, user=None)
    remote.answer = lambda requests: answered(requests[:3])
    assert fresh(batch).stage == "submitted"
    assert committed(project) > 3 * REPLY_USD
    batch = [polled(batch) for _ in range(2)][-1]
    assert remote.cancelled[0] == batch.remote_id
    assert (batch.stage, batch.n_replies, batch.run) == ("cancelled", 3, None)
    assert committed(project) == 3 * REPLY_USD
    assert not Preference.objects.filter(annotator=judge.annotator).exists()


def test_a_second_cancel_does_not_wait_for_the_endpoint(
    judge: Judge, project: Project, remote: BatchEndpoint
) -> None:
    batch = submitted(judge)
    judge_batch_cancel(batch=batch, user=None)
    judge_batch_cancel(batch=fresh(batch), user=None)
    assert (fresh(batch).stage, committed(project)) == ("cancelled", Decimal(0))


def test_a_worker_that_died_after_sending_does_not_send_twice(
    judge: Judge, remote: BatchEndpoint
) -> None:
    batch = submitted(judge)
    # As if it had been killed between the endpoint's answer and its own note of it.
    JudgeBatch.objects.filter(pk=batch.pk).update(stage="ready", remote_id="")
    assert judge_batch_prepare(batch_id=batch.pk)
    assert (len(remote.batches), fresh(batch).remote_id) == (1, batch.remote_id)


def test_an_endpoint_that_lists_no_batches_takes_them_all_the_same(
    judge: Judge, remote: BatchEndpoint
) -> None:
    remote.is_listed = False
    assert submitted(judge).stage == "submitted"


def test_one_endpoint_that_cannot_be_asked_does_not_stop_the_others(
    judge: Judge, project: Project, remote: BatchEndpoint
) -> None:
    broken = submitted(make_judge(project, remote.base_url, name="broken"))
    batch = submitted(judge)
    Judge.objects.filter(pk=broken.judge_id).update(api_key_env="GONE_API_KEY")
    assert judge_batches_poll() == 1
    assert fresh(batch).stage == "reading"
    assert "cannot be asked about the batch" in fresh(broken).message


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_while_reading_doubles_and_loses_nothing(
    judge: Judge, project: Project, remote: BatchEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = submitted(judge)
    judge_batch_poll(batch_id=batch.pk)
    connections.close_all()
    child = os.fork()
    if child == 0:
        # Its own connection: one that another test's browser loop hides may still be open here.
        connections["default"].connect()
        # Killed with all replies written and the transaction still open.
        judge_batches._finish = lambda *_given, **_values: os.kill(os.getpid(), signal.SIGKILL)
        judge_batch_read(batch_id=batch.pk)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert (fresh(batch).stage, JudgeReply.objects.count()) == ("reading", 0)
    judge_batch_read(batch_id=batch.pk)
    assert (fresh(batch).stage, JudgeReply.objects.count()) == ("done", 6)
    assert committed(project) == 6 * REPLY_USD
