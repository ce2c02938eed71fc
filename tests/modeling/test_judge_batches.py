"""Batch files: written, sent or taken along, read back once, and made into labels by a run."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from annotate.errors import ApplicationError, ConflictError
from annotate.models import JobState, Preference, Project
from modeling.judges.client import JudgeClient
from modeling.models import Judge, JudgeBatch, JudgeReply
from modeling.services.judge_batches import (
    judge_batch_cancel,
    judge_batch_prepare,
    judge_batch_read,
    judge_batch_replies,
    judge_batch_start,
)
from modeling.services.judge_runs import judge_run_execute
from modeling.services.judges import judge_create
from modeling.storage import storage_read
from tests.factories import make_comparison, make_project
from tests.fake_endpoint import FakeEndpoint, completion

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
REPLY_USD = Decimal("0.006")  # 100 tokens at $100 and 10 at $200 per million, at half the price


@pytest.fixture
def project() -> Project:
    """Three comparisons."""
    project = make_project(budget_usd=Decimal(50))
    for number in range(3):
        make_comparison(project, texts=[f"good {number}", f"bad {number}"])
    return project


@pytest.fixture
def judge(project: Project, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """A judge that prefers "good"."""
    monkeypatch.setattr(JudgeClient, "_delay_s", lambda *_arguments: 0.0)
    endpoint.prefer = lambda first, _second: "A" if "good" in first else "B"
    return judge_create(
        project=project, user=None, name="fake", base_url=endpoint.base_url, model_name="fake-1",
        input_usd_per_million_tokens=Decimal(100), output_usd_per_million_tokens=Decimal(200),
    )  # fmt: skip


def prepared(judge: Judge, **options: Any) -> JudgeBatch:
    """A batch whose request file is written and not sent."""
    batch = judge_batch_start(judge=judge, user=None, is_uploaded=False, **options)
    judge_batch_prepare(batch_id=batch.pk)
    batch.refresh_from_db()
    return batch


def requests(batch: JudgeBatch) -> list[dict[str, Any]]:
    """The lines of the request file."""
    return [json.loads(line) for line in storage_read(batch.request_file).splitlines()]


def replies(batch: JudgeBatch, endpoint: FakeEndpoint) -> Iterator[str]:
    """What the endpoint would write into its output file."""
    for request in requests(batch):
        body = json.loads(completion(endpoint.answer(request["body"])))
        yield json.dumps(
            {"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}}
        )


def read(batch: JudgeBatch, lines: list[str]) -> JudgeBatch:
    """A batch after its replies were brought, with the run that follows executed."""
    judge_batch_replies(batch=batch, content="\n".join(lines).encode())
    judge_batch_read(batch_id=batch.pk)
    batch.refresh_from_db()
    if batch.run is not None:
        judge_run_execute(run_id=batch.run.pk)
        batch.run.refresh_from_db()
    return batch


def committed(project: Project) -> Decimal:
    """The project's money that is spent or reserved."""
    return Project.objects.get(pk=project.pk).committed_usd


def test_the_file_asks_every_comparison_in_both_orders_once(judge: Judge, project: Project) -> None:
    batch = prepared(judge)
    lines = requests(batch)
    assert (batch.stage, batch.n_requests, len(lines)) == ("ready", 6, 6)
    assert len({line["custom_id"] for line in lines}) == 6
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    assert lines[0]["body"]["model"] == "fake-1"
    assert committed(project) == batch.reserved_usd > 0


def test_replies_become_labels_without_asking_again(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    batch = prepared(judge)
    batch = read(batch, list(replies(batch, endpoint)))
    assert (batch.stage, batch.n_replies, batch.cost_usd) == ("done", 6, 6 * REPLY_USD)
    assert batch.run is not None
    assert (batch.run.state, batch.run.n_done) == (JobState.DONE, 3)
    assert batch.run.cost_usd == 0
    assert endpoint.requests == []
    labels = Preference.objects.filter(annotator=judge.annotator)
    assert [label.ranking for label in labels] == [[0, 1]] * 3
    assert {label.cost_usd for label in labels} == {2 * REPLY_USD}
    assert batch.reserved_usd == 0
    assert committed(project) == 6 * REPLY_USD


def test_what_is_missing_or_unreadable_is_asked_by_the_run(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    batch = prepared(judge)
    lines = list(replies(batch, endpoint))
    spoilt = [lines[0], "garbage", "{}", '{"custom_id": "1.0-1.0.0.x"}', lines[1], lines[1]]
    batch = read(batch, spoilt)
    assert batch.n_replies == 2
    assert len(endpoint.requests) == 4
    assert Preference.objects.filter(annotator=judge.annotator).count() == 3


def test_reading_twice_adds_and_costs_nothing(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    batch = prepared(judge)
    lines = list(replies(batch, endpoint))
    batch = read(batch, lines)
    assert not judge_batch_read(batch_id=batch.pk)
    with pytest.raises(ConflictError, match="takes no replies"):
        judge_batch_replies(batch=batch, content=b"")
    assert (JudgeReply.objects.count(), committed(project)) == (6, 6 * REPLY_USD)


def test_the_cap_bounds_what_the_file_asks(judge: Judge) -> None:
    batch = prepared(judge, cap_usd=Decimal("0.30"))
    assert 0 < batch.n_requests < 6
    assert batch.reserved_usd <= Decimal("0.30")
    assert "cap allows no more" in batch.message


def test_a_budget_that_cannot_pay_the_batch_stops_it(judge: Judge, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(budget_usd=Decimal("0.01"))
    batch = prepared(judge)
    assert batch.stage == "failed"
    assert "budget" in batch.message
    assert committed(project) == 0


def test_a_cancelled_batch_gives_its_money_back(judge: Judge, project: Project) -> None:
    batch = prepared(judge)
    judge_batch_cancel(batch=batch, user=None)
    assert committed(project) == 0
    with pytest.raises(ConflictError, match="ended already"):
        judge_batch_cancel(batch=batch, user=None)


def test_only_an_endpoint_takes_batch_files(project: Project, media: Path) -> None:
    check = judge_create(
        project=project, user=None, name="check", provider="plugin", plugin="answer_check"
    )
    with pytest.raises(ApplicationError, match="endpoint"):
        judge_batch_start(judge=check, user=None)
