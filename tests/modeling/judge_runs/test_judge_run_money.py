"""What a judge run takes on and what it costs: choice, estimate, cap, cache."""

from decimal import Decimal
from typing import Any

import pytest

from annotate.errors import ApplicationError, NotReady
from annotate.models import Guideline, JobState, Preference, Project
from modeling.models import Judge, JudgeReply
from modeling.services.judge_runs import (
    judge_run_estimate,
    judge_run_start,
)
from tests.factories import make_annotator, make_comparison, make_project
from tests.fake_endpoint import FakeEndpoint, Misbehaviour
from tests.modeling.judge_runs.books import REPLY_USD, committed, executed

# The runner's threads ask over HTTP only; rows are written by the test's own thread.
pytestmark = pytest.mark.django_db


def test_money_is_what_the_tokens_cost(judge: Judge, project: Project) -> None:
    run = executed(judge)
    assert run.cost_usd == 8 * REPLY_USD
    assert (run.reserved_usd, committed(project)) == (Decimal(0), 8 * REPLY_USD)
    assert (run.input_tokens, run.output_tokens) == (800, 80)
    assert Preference.objects.first().cost_usd == 2 * REPLY_USD  # type: ignore[union-attr]


def test_a_storm_of_errors_loses_and_doubles_no_verdict(
    judge: Judge, endpoint: FakeEndpoint
) -> None:
    # One fewer than the attempts, so that even a question that meets all of them gets through.
    storm = [Misbehaviour(status) for status in (429, 500, 503, 429)]
    endpoint.script.extend([*storm, Misbehaviour(body="garbage")])
    run = executed(judge)
    assert (run.n_done, run.n_failed, run.n_unparsed) == (4, 0, 0)
    assert JudgeReply.objects.count() == 8
    assert Preference.objects.filter(annotator=judge.annotator).count() == 4


def test_a_second_run_over_the_same_comparisons_costs_nothing(
    judge: Judge, endpoint: FakeEndpoint, project: Project
) -> None:
    Judge.objects.filter(pk=judge.pk).update(conflict_policy=Judge.ConflictPolicy.NEEDS_HUMAN)
    endpoint.prefer = lambda _first, _second: "A"
    judge.refresh_from_db()
    executed(judge)
    n_requests, money = len(endpoint.requests), committed(project)
    again = executed(judge, cap_usd=Decimal(0))
    assert (again.n_done, again.n_conflicts, again.cost_usd) == (4, 4, Decimal(0))
    assert (len(endpoint.requests), committed(project)) == (n_requests, money)


def test_a_changed_guideline_is_a_new_question(
    judge: Judge, endpoint: FakeEndpoint, project: Project
) -> None:
    Judge.objects.filter(pk=judge.pk).update(conflict_policy=Judge.ConflictPolicy.NEEDS_HUMAN)
    endpoint.prefer = lambda _first, _second: "A"
    judge.refresh_from_db()
    executed(judge, n_comparisons=1)
    Guideline.objects.create(project=project, version=1, body="Prefer short responses.")
    executed(judge, n_comparisons=1)
    assert len(endpoint.requests) == 4
    assert "Prefer short responses." in endpoint.requests[-1]["messages"][1]["content"]


@pytest.mark.parametrize("cap", ["0.00", "0.30", "0.50"])
def test_the_cap_is_never_passed(judge: Judge, project: Project, cap: str) -> None:
    run = executed(judge, cap_usd=Decimal(cap))
    assert run.state == JobState.DONE
    assert run.cost_usd <= Decimal(cap)
    assert run.n_done < 4
    assert "cap of" in run.message
    assert committed(project) == run.cost_usd


def test_the_projects_budget_holds_too(judge: Judge, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(budget_usd=Decimal("0.50"))
    run = executed(judge)
    assert run.n_done < 4
    assert "budget" in run.message
    assert committed(project) <= Decimal("0.50")


def test_the_estimate_counts_both_orders(judge: Judge, project: Project) -> None:
    ids = list(project.comparisons.values_list("pk", flat=True))
    one, four = (judge_run_estimate(judge=judge, comparison_ids=ids[:n]) for n in (1, 4))
    assert one.output_tokens == 2 * 60
    assert four.output_tokens == 4 * one.output_tokens
    expected = Decimal(four.input_tokens) / 10_000 + Decimal(four.output_tokens) / 5_000
    assert four.cost_usd == expected
    assert judge_run_estimate(judge=judge, comparison_ids=[]).cost_usd == 0


def test_the_run_takes_the_head_of_the_queue(judge: Judge, project: Project) -> None:
    urgent = make_comparison(project, priority=5.0)
    run = judge_run_start(judge=judge, user=None, n_comparisons=1)
    assert run.comparison_ids == [urgent.pk]


def test_a_comparison_of_three_is_not_for_pairwise_judges(judge: Judge, project: Project) -> None:
    triple = make_comparison(project, texts=["a", "b", "c"])
    assert triple.pk not in judge_run_start(judge=judge, user=None).comparison_ids
    with pytest.raises(ApplicationError, match="two responses"):
        judge_run_start(judge=judge, user=None, comparison_ids=[triple.pk])


def test_a_comparison_of_another_project_is_refused(judge: Judge) -> None:
    foreign = make_comparison(make_project())
    with pytest.raises(ApplicationError, match=f"Comparison {foreign.pk}"):
        judge_run_start(judge=judge, user=None, comparison_ids=[foreign.pk])


def test_a_judge_that_has_labelled_everything_has_nothing_to_do(judge: Judge) -> None:
    executed(judge)
    with pytest.raises(NotReady, match="labelled every comparison"):
        judge_run_start(judge=judge, user=None)


def test_a_recorded_judge_cannot_be_asked(project: Project) -> None:
    annotator = make_annotator(project, kind="judge")
    recorded = Judge.objects.create(annotator=annotator)
    with pytest.raises(ApplicationError, match="recorded verdicts only"):
        judge_run_start(judge=recorded, user=None)


def test_eight_threads_keep_the_books(
    judge: Judge, project: Project, endpoint: FakeEndpoint, settings: Any
) -> None:
    settings.JUDGE_CONCURRENCY = 8
    for number in range(40):
        make_comparison(project, texts=[f"good {number}", f"bad {number}"])
    endpoint.script.extend([Misbehaviour(429), Misbehaviour(500)] * 20)
    run = executed(judge, cap_usd=Decimal("2.00"))
    assert run.cost_usd == JudgeReply.objects.count() * REPLY_USD <= Decimal(2)
    assert run.n_done == Preference.objects.filter(annotator=judge.annotator).count()
    assert committed(project) == run.cost_usd
