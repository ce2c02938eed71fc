"""Prices of single comparisons: what routing sets is what a lease reserves and a label costs."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from annotate.errors import BudgetExhausted
from annotate.models import Annotator, Assignment, Comparison, Project
from annotate.services.assignments import MAX_LIVE_LEASES, assignment_close, assignment_lease_next
from annotate.services.imports import comparisons_import
from routing.models import RoutingBatch
from routing.selectors import left_usd
from routing.services.batches import routing_undo
from tests.factories import make_annotator, make_comparison, make_project, qualify_judge
from tests.routing_steps import routing_apply


def by_time(project: Project, judge: Annotator, **values: Any) -> RoutingBatch:
    given: dict[str, Any] = {
        "project": project,
        "study": None,
        "judge": judge,
        "policy": "all_human-v1",
        "budget_usd": Decimal("100"),
        "user": None,
        "options": {"by_time": True},
    }
    return routing_apply(**{**given, **values})


@pytest.fixture
def uneven(ada: User, tmp_path: Path) -> Project:
    """Comparisons of many lengths, labelled by a judge alone."""
    project = make_project(owner=ada, human_price_usd=Decimal("0.50"))
    rows = [
        {
            "id": str(k),
            "prompt": f"Question {k}?",
            "responses": [{"text": "yes " * (20 * k + 1)}, {"text": "no " * (20 * k + 1)}],
            "llm": [{"judge": "judy", "preference": 0}],
        }
        for k in range(12)
    ]
    path = tmp_path / "uneven.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    comparisons_import(project=project, path=path)
    qualify_judge(Annotator.objects.get(project=project, name="judy"))
    return project


@pytest.fixture
def judy(uneven: Project) -> Annotator:
    return Annotator.objects.get(project=uneven, name="judy")


def lease(annotator: Annotator) -> Assignment:
    given = assignment_lease_next(annotator=annotator)
    assert given is not None
    return given


def test_a_lease_reserves_the_price_of_its_comparison(uneven: Project, judy: Annotator) -> None:
    batch = by_time(uneven, judy)
    held = lease(make_annotator(uneven))
    decision = batch.decisions.get(comparison=held.comparison)
    assert held.price_usd == decision.label_price_usd == held.comparison.human_price_usd
    assert decision.label_price_usd != uneven.human_price_usd
    uneven.refresh_from_db()
    assert uneven.committed_usd == held.price_usd
    assignment_close(assignment=held, state=Assignment.State.RETURNED)
    uneven.refresh_from_db()
    assert uneven.committed_usd == 0


def test_longer_comparisons_cost_more_and_the_prices_add_up(
    uneven: Project, judy: Annotator
) -> None:
    batch = by_time(uneven, judy, n_humans=2)
    rows = [
        (decision.price_usd, decision.label_price_usd or Decimal(0))
        for decision in batch.decisions.order_by("comparison")
    ]
    assert all(price == 2 * label for price, label in rows)
    # 240 words a minute and 15 seconds: (4 + 40 k + 2) / 4 + 15 seconds for the comparison k.
    labels = [label for _, label in rows]
    assert labels == sorted(set(labels))
    assert float(labels[-1] / labels[0]) == pytest.approx((444 / 4 + 15) / (4 / 4 + 15), rel=1e-3)


def test_a_flat_batch_leaves_the_price_of_the_project(small: Project, judge: Annotator) -> None:
    by_time(small, judge, options={})
    assert set(Comparison.objects.values_list("human_price_usd", flat=True)) == {None}
    assert lease(make_annotator(small)).price_usd == small.human_price_usd


def test_undo_gives_back_the_price(small: Project, judge: Annotator) -> None:
    batch = by_time(small, judge)
    routing_undo(batch=batch, user=None)
    assert set(Comparison.objects.values_list("human_price_usd", flat=True)) == {None}


def test_open_slots_elsewhere_count_at_their_own_price(uneven: Project, judy: Annotator) -> None:
    by_time(uneven, judy, n_humans=2)
    held = lease(make_annotator(uneven))
    uneven.refresh_from_db()
    uneven.budget_usd = Decimal("100")
    uneven.save()
    left = left_usd(project=uneven)
    # One label is reserved and a second slot of the same comparison waits for somebody.
    assert left == Decimal("100") - 2 * held.price_usd


def test_the_pages_and_the_api_show_the_price(client: Client, small: Project) -> None:
    row = Comparison.objects.filter(project=small, open_slots__gt=0).first()
    assert row is not None
    Comparison.objects.filter(pk=row.pk).update(human_price_usd=Decimal("7.31"))
    client.force_login(small.memberships.get(role="owner").user)
    for page in (
        f"/projects/{small.slug}/comparisons/",
        f"/projects/{small.slug}/comparisons/{row.pk}/",
    ):
        assert "$7.31" in client.get(page).content.decode()
    found = client.get(f"/api/v1/projects/{small.slug}/comparisons").json()["results"]
    assert {r["human_price_usd"] for r in found if r["id"] == row.external_id} == {"7.3100"}


@pytest.mark.django_db(transaction=True)
def test_the_budget_holds_when_eight_workers_lease_at_different_prices() -> None:
    project = make_project(budget_usd=Decimal("4.00"), human_price_usd=Decimal("0.50"))
    prices = [Decimal("0.10") * (1 + k % 9) for k in range(40)]
    for price in prices:
        make_comparison(project, human_price_usd=price)
    annotators = [make_annotator(project) for _ in range(8)]
    together = threading.Barrier(8)

    def work(annotator: Annotator) -> list[Decimal]:
        together.wait()
        paid: list[Decimal] = []
        held: list[Any] = []
        try:
            for _ in range(MAX_LIVE_LEASES):
                given = assignment_lease_next(annotator=annotator, exclude=held)
                if given is None:
                    break
                held.append(given.public_id)
                paid.append(given.price_usd)
        except BudgetExhausted:
            pass
        finally:
            connection.close()
        return paid

    with ThreadPoolExecutor(8) as pool:
        paid = [price for some in pool.map(work, annotators) for price in some]
    project.refresh_from_db()
    assert project.committed_usd == sum(paid) <= Decimal("4.00")
    # The next comparison, at most 0.90, did not fit any more.
    assert sum(paid) > Decimal("4.00") - Decimal("0.90")
