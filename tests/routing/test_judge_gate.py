"""Routing sends no work to a judge that is below the owner's gate."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.test import APIClient

from annotate.errors import ApplicationError, NotReady
from annotate.models import Annotator, Project
from annotate.services.imports import comparisons_import
from modeling.judges.plugins import PluginComparison, PluginVerdict
from modeling.models import Judge, JudgeAlarm
from modeling.services.judge_gates import gate_change
from modeling.services.judge_runs import judge_run_execute, judge_run_start
from modeling.services.judges import judge_create, judges_measure
from routing.models import RoutingBatch, RoutingDecision
from routing.services.batches import routing_batch_decide
from tests.factories import make_project
from tests.routing_steps import routing_apply

BELOW: dict[str, Any] = {
    "n_compared": 200,
    "accuracy": {"estimate": 0.5, "low": 0.43, "high": 0.57, "n": 200, "n_prompts": 100},
    "kappa": {"estimate": -0.01, "low": -0.1, "high": 0.08, "n": 200, "n_prompts": 100},
}
ORDER: dict[str, Any] = {
    "study": None, "policy": "random-v1", "budget_usd": Decimal(5), "user": None,
}  # fmt: skip


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_judge_below_chance_is_refused_with_the_reason(
    small: Project, judge: Annotator, dry_run: bool
) -> None:
    Judge.objects.filter(annotator=judge).update(measured=BELOW)
    with pytest.raises(NotReady, match=r"judy gets no routed work: Kappa -0.010 \[-0.100, 0.080\]"):
        routing_apply(project=small, judge=judge, dry_run=dry_run, **ORDER)
    assert not RoutingBatch.objects.exists()


def test_the_api_refuses_with_the_reason(small: Project, judge: Annotator) -> None:
    Judge.objects.filter(annotator=judge).update(measured=BELOW)
    client = APIClient()
    client.force_authenticate(small.memberships.get().user)
    body = {"judge": judge.name, "policy": "random-v1", "budget_usd": "5.00"}
    response = client.post(f"/api/v1/projects/{small.slug}/routing-batches", body, format="json")
    assert response.status_code == 409
    assert "not shown to be better than chance" in response.content.decode()


def test_a_judge_that_fell_below_while_the_batch_waited_decides_nothing(
    small: Project, judge: Annotator
) -> None:
    batch = RoutingBatch.objects.create(
        project=small, number=1, judge=judge, policy="random-v1", budget_usd=5
    )
    JudgeAlarm.objects.create(judge=judge.judge, kind="endpoint", message="Another model.")
    with pytest.raises(ApplicationError, match="Open alarm: Another model"):
        routing_batch_decide(batch)
    assert not RoutingDecision.objects.exists()


def test_the_owner_may_lower_the_gate(small: Project, judge: Annotator) -> None:
    Judge.objects.filter(annotator=judge).update(measured=BELOW)
    gate_change(project=small, user=None, min_kappa=None)
    assert routing_apply(project=small, judge=judge, **ORDER).applied_at is not None


class Shortest:
    """A plug-in that prefers the shorter response."""

    def __call__(self, comparison: PluginComparison) -> PluginVerdict:
        first, second = map(len, comparison.responses)
        if first == second:
            return PluginVerdict("tie", 0)
        return PluginVerdict("first" if first < second else "second", 1)


def test_a_judge_of_real_comparisons_that_is_below_chance_is_refused(
    real_data: Path, tmp_path: Path, settings: Settings, admin_user: User
) -> None:
    """People prefer the longer of two answers more often than not, so this judge is wrong."""
    settings.JUDGE_PLUGINS = [f"{__name__}.Shortest"]
    project = make_project(owner=admin_user, slug="real", budget_usd=Decimal(50))
    some = tmp_path / "some.jsonl"
    lines = (real_data / "pandalm.jsonl").read_text().splitlines(keepends=True)
    some.write_text("".join(lines[::3]))
    comparisons_import(project=project, path=some)
    judge = judge_create(
        project=project,
        user=None,
        name="shortest",
        provider="plugin",
        plugin=f"{__name__}.Shortest",
    )
    run = judge_run_start(judge=judge, user=None)
    judge_run_execute(run_id=run.pk)
    judges_measure(project=project)
    judge.refresh_from_db()
    assert judge.measured["n_compared"] == 333
    assert judge.measured["kappa"]["high"] < 0.0
    client = APIClient()
    client.force_authenticate(admin_user)
    body = {"judge": "shortest", "policy": "random-v1", "budget_usd": "5.00"}
    response = client.post("/api/v1/projects/real/routing-batches", body, format="json")
    assert response.status_code == 409
    assert "shortest gets no routed work: Kappa -0." in response.content.decode()
    assert "not shown to be better than chance" in response.content.decode()
