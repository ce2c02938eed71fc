"""Runs that are shared, resumed and asked in an owner's words: who does what, once."""

import json
from datetime import timedelta
from decimal import Decimal
from itertools import chain, repeat
from typing import Any
from unittest.mock import DEFAULT, Mock
from uuid import uuid4

import httpx2
import pytest
from django.utils import timezone

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Comparison, JobState, Preference, Project
from modeling.judges import client as client_module
from modeling.judges.client import JudgeClient
from modeling.judges.ledger import settle
from modeling.judges.run import JudgeRunner
from modeling.judges.turns import TurnLost, turn_reserve, turn_take, turns_release
from modeling.models import Judge, JudgeOutcome, JudgeReply, JudgeRun, JudgeTurn
from modeling.services.judge_prompts import judge_prompt_save
from modeling.services.judge_runs import (
    judge_run_execute,
    judge_run_help,
    judge_run_resume,
    judge_run_start,
)
from modeling.services.judges import judge_create, judge_update
from tests.factories import make_comparison, make_project
from tests.fake_endpoint import FakeEndpoint, Misbehaviour, completion

pytestmark = pytest.mark.django_db
REPLY_USD = Decimal("0.012")


@pytest.fixture
def project() -> Project:
    """Three comparisons that routing gave to judges alone."""
    project = make_project(budget_usd=Decimal(10))
    for number in range(3):
        make_comparison(project, texts=[f"good {number}", f"bad {number}"], wanted_labels=0)
    return project


@pytest.fixture
def judge(project: Project, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """A judge that prefers "good"."""
    monkeypatch.setattr(JudgeClient, "_delay_s", lambda *_arguments: 0.0)
    monkeypatch.setattr("modeling.judges.run.LOOK_AGAIN_SECONDS", 0.01)
    endpoint.prefer = lambda first, _second: "A" if "good" in first else "B"
    return judge_create(
        project=project, user=None, name="fake", base_url=endpoint.base_url, model_name="fake-1",
        input_usd_per_million_tokens=Decimal(100), output_usd_per_million_tokens=Decimal(200),
    )  # fmt: skip


def executed(judge: Judge, **options: Any) -> JudgeRun:
    """A run that has been executed in this process."""
    run = judge_run_start(judge=Judge.objects.get(pk=judge.pk), user=None, **options)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    return run


def kinds(run: JudgeRun) -> list[str]:
    """Outcomes in the order of the comparisons."""
    rows = JudgeOutcome.objects.filter(run=run).order_by("comparison_id")
    return list(rows.values_list("kind", flat=True))


def test_a_turn_is_one_workers_until_it_falls_silent(judge: Judge, project: Project) -> None:
    run = judge_run_start(judge=judge, user=None)
    first, second = uuid4(), uuid4()
    held = turn_take(run=run, comparison_id=run.comparison_ids[0], holder=first)
    assert held is not None
    turn_reserve(turn=held, run=run, project_id=project.pk, amount_usd=Decimal(2))
    assert turn_take(run=run, comparison_id=run.comparison_ids[0], holder=second) is None
    JudgeTurn.objects.update(seen_at=timezone.now() - timedelta(seconds=61))
    taken = turn_take(run=run, comparison_id=run.comparison_ids[0], holder=second)
    assert taken is not None
    run.refresh_from_db()
    project.refresh_from_db()
    # The dollars of the silent worker are back before anybody asks again.
    assert (run.reserved_usd, project.committed_usd) == (Decimal(0), Decimal(0))
    assert turns_release(run=run, holder=second) == 1


def test_the_leader_takes_over_what_a_dead_helper_had_in_hand(judge: Judge) -> None:
    run = judge_run_start(judge=judge, user=None, n_workers=2)
    turn_take(run=run, comparison_id=run.comparison_ids[1], holder=uuid4())
    JudgeTurn.objects.update(seen_at=timezone.now() - timedelta(seconds=61))
    judge_run_execute(run_id=run.pk)
    assert kinds(run) == ["labelled"] * 3
    assert not JudgeTurn.objects.exists()


def test_a_helper_takes_part_only_while_the_run_goes(judge: Judge, endpoint: FakeEndpoint) -> None:
    run = judge_run_start(judge=judge, user=None, n_workers=2)
    assert not judge_run_help(run_id=run.pk, helper=1)
    JudgeRun.objects.filter(pk=run.pk).update(state=JobState.RUNNING)
    assert judge_run_help(run_id=run.pk, helper=1)
    assert kinds(run) == ["labelled"] * 3
    assert len(endpoint.requests) == 6


def test_what_a_helper_did_the_leader_neither_asks_nor_counts_again(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    run = judge_run_start(judge=judge, user=None, n_workers=2)
    JudgeRun.objects.filter(pk=run.pk).update(state=JobState.RUNNING)
    judge_run_help(run_id=run.pk, helper=1)
    JudgeRun.objects.filter(pk=run.pk).update(state=JobState.QUEUED)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.state, run.n_done, len(endpoint.requests)) == (JobState.DONE, 3, 6)
    assert run.cost_usd == 6 * REPLY_USD


def test_a_refusal_ends_a_helper_without_noise(judge: Judge, endpoint: FakeEndpoint) -> None:
    endpoint.script.extend([Misbehaviour(401)] * 20)
    run = judge_run_start(judge=judge, user=None, n_workers=2)
    JudgeRun.objects.filter(pk=run.pk).update(state=JobState.RUNNING)
    assert judge_run_help(run_id=run.pk, helper=1)
    assert not JudgeTurn.objects.exists()


@pytest.mark.parametrize("n_workers", [0, 33])
def test_too_many_workers_are_refused(judge: Judge, n_workers: int) -> None:
    with pytest.raises(ApplicationError, match="1 to 32"):
        judge_run_start(judge=judge, user=None, n_workers=n_workers)


def test_a_resumed_run_asks_only_what_is_missing_under_what_its_cap_leaves(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    endpoint.script.append(Misbehaviour(400))
    run = executed(judge, cap_usd=Decimal(5))
    assert (run.state, run.n_failed) == (JobState.DONE, 1)
    spent = run.cost_usd
    judge_run_resume(run=run, user=None)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.n_done, run.n_failed) == (3, 0)
    assert run.cost_usd == 6 * REPLY_USD > spent
    with pytest.raises(ConflictError, match="is done"):
        judge_run_resume(run=run, user=None)


def test_a_run_that_still_goes_is_not_resumed(judge: Judge) -> None:
    run = judge_run_start(judge=judge, user=None)
    with pytest.raises(ConflictError, match="still going"):
        judge_run_resume(run=run, user=None)


def test_needs_human_really_sends_the_comparison_to_people(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    judge_update(judge=judge, user=None, conflict_policy=Judge.ConflictPolicy.NEEDS_HUMAN)
    endpoint.prefer = lambda _first, _second: "A"
    run = executed(judge)
    assert (kinds(run), run.n_to_people) == (["conflict"] * 3, 3)
    assert Comparison.objects.filter(project=project, open_slots=1, wanted_labels=1).count() == 3
    detail = JudgeOutcome.objects.filter(run=run).values_list("detail", flat=True)[0]
    assert detail == "with the first response as A: A; with the second response as A: A"


def test_a_tie_the_owner_wants_keeps_people_out(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    endpoint.prefer = lambda _first, _second: "A"
    assert executed(judge).n_to_people == 0
    assert not Comparison.objects.filter(project=project, open_slots=1).exists()


def test_an_unreadable_reply_sends_the_comparison_to_people(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    endpoint.script.extend([Misbehaviour(body=completion("Both."))] * 2)
    run = executed(judge, n_comparisons=1)
    assert (kinds(run), run.n_to_people) == (["unparsed"], 1)


def test_equal_responses_are_one_question_and_never_a_label_for_one_side(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    endpoint.prefer = lambda _first, _second: "A"
    twin = make_comparison(judge.annotator.project, texts=["same", "same"])
    run = executed(judge, comparison_ids=[twin.pk])
    assert len(endpoint.requests) == 1
    assert Preference.objects.get(comparison=twin).verdict == "tie"
    assert run.cost_usd == JudgeReply.objects.get().cost_usd == REPLY_USD


def test_samples_are_asked_apart_and_the_most_common_verdict_counts(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    judge_update(judge=judge, user=None, n_samples=3)
    odd = json.dumps({"verdict": "B", "strength": 1})
    endpoint.script.append(Misbehaviour(body=completion(odd)))
    executed(judge, n_comparisons=1)
    label = Preference.objects.get(annotator=judge.annotator)
    assert len(endpoint.requests) == 6
    assert {request["temperature"] for request in endpoint.requests} == {0.7}
    assert (label.ranking, label.strength) == ([0, 1], -2.0)
    assert label.extra["sample_share"] == pytest.approx(5 / 6)


def test_an_owners_prompt_is_asked_and_named_in_the_label(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    prompt = judge_prompt_save(
        project=project, user=None, name="Ratings", kind="rating", instructions="Rate strictly."
    )
    judge_update(judge=judge, user=None, prompt=prompt, structured="json_schema")

    def rate(first: str, _second: str) -> str:
        high, low = (8, 5) if "good" in first else (5, 8)
        return json.dumps({"rating_a": high, "rating_b": low, "reason": "So."})

    endpoint.answer = lambda body: rate(  # type: ignore[method-assign]
        body["messages"][1]["content"].split("response A]")[1], ""
    )
    run = executed(judge)
    assert kinds(run) == ["labelled"] * 3
    label = Preference.objects.filter(annotator=judge.annotator).earliest("pk")
    assert (label.extra["prompt"], label.extra["ratings"]) == ("Ratings v1", [8.0, 5.0])
    assert label.ranking == [0, 1]
    asked = endpoint.requests[0]
    assert asked["messages"][0]["content"].startswith("Rate strictly.")
    schema = asked["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["rating_a", "rating_b", "reason"]


def test_a_judge_that_has_spoken_is_not_asked_differently(judge: Judge) -> None:
    executed(judge, n_comparisons=1)
    with pytest.raises(ConflictError, match="Copy the judge"):
        judge_update(judge=judge, user=None, n_samples=5)
    assert judge_update(judge=judge, user=None, requests_per_minute=9).requests_per_minute == 9


def test_a_request_goes_to_the_address_that_was_checked_under_its_own_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = [[(2, 1, 6, "", ("93.184.216.34", 443))], [(2, 1, 6, "", ("10.0.0.1", 443))]]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_arguments, **_names: looked_up.pop(0))
    request = httpx2.Request("POST", "https://judge.example/v1/chat/completions")
    client_module._pin_request(request)
    # A second look-up, which would lead inside, is not made.
    assert request.url.host == "93.184.216.34"
    assert request.headers["Host"] == "judge.example"
    assert request.extensions["sni_hostname"] == "judge.example"
    assert len(looked_up) == 1


def test_a_turn_that_was_taken_over_holds_no_money(judge: Judge, project: Project) -> None:
    run = judge_run_start(judge=judge, user=None)
    held = turn_take(run=run, comparison_id=run.comparison_ids[0], holder=uuid4())
    assert held is not None
    JudgeTurn.objects.update(seen_at=timezone.now() - timedelta(seconds=61))
    turn_take(run=run, comparison_id=run.comparison_ids[0], holder=uuid4())
    with pytest.raises(TurnLost):
        turn_reserve(turn=held, run=run, project_id=project.pk, amount_usd=Decimal(2))
    run.refresh_from_db()
    project.refresh_from_db()
    assert (run.reserved_usd, project.committed_usd) == (Decimal(0), Decimal(0))


def test_a_worker_whose_turn_was_taken_over_leaves_the_comparison_to_the_other(
    judge: Judge, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Mock(side_effect=chain([TurnLost], repeat(DEFAULT)), wraps=turn_reserve)
    monkeypatch.setattr("modeling.judges.run.turn_reserve", reserve)
    run = executed(judge)
    assert (run.state, run.n_done, len(endpoint.requests)) == (JobState.DONE, 3, 6)


def test_a_worker_that_is_stopping_stays_alive_to_the_others_until_its_replies_are_in(
    judge: Judge, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another worker would take its turns over and pay for the same questions."""
    monkeypatch.setattr("modeling.judges.run.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(JudgeRunner, "_report", broken)
    body = completion('{"verdict": "A", "strength": 2}')
    endpoint.script.append(Misbehaviour(body=body, delay_s=0.3))
    endpoint.script.append(Misbehaviour(body=body, delay_s=1.5))
    seen: list[float] = []

    def settled(**values: Any) -> None:
        turn = values["turn"]
        held = JudgeTurn.objects.filter(pk=turn.pk).get()
        seen.append((held.seen_at - turn.seen_at).total_seconds())
        settle(**values)

    monkeypatch.setattr("modeling.judges.run.settle", settled)
    ids = list(judge.annotator.project.comparisons.values_list("pk", flat=True)[:1])
    run = judge_run_start(judge=judge, user=None, comparison_ids=ids)
    with pytest.raises(RuntimeError, match="stopped"):
        JudgeRunner(run).execute()
    assert seen[0] > 0.5


def broken(_runner: JudgeRunner) -> None:
    """End a run at its first report."""
    raise RuntimeError("stopped")
