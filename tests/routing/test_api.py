"""Routing and acquisition over REST: owners only, bad input named, pages of decisions."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from annotate.models import Annotator, Project
from routing.models import AcquisitionRound, RoutingBatch, RoutingStudy
from routing.services.rounds import acquisition_round_start
from routing.tasks import acquisition_round_execute, routing_batch_execute
from tests.factories import make_user
from tests.routing_steps import routing_apply

PATHS = ["routing-studies", "routing-batches", "routing-decisions", "acquisition-rounds"]


@pytest.fixture
def api(ada: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(ada)
    return client


def url(project: Project, path: str) -> str:
    return f"/api/v1/projects/{project.slug}/{path}"


def applied(project: Project, judge: Annotator) -> RoutingBatch:
    return routing_apply(
        project=project,
        study=None,
        judge=judge,
        policy="random-v1",
        budget_usd=Decimal("4"),
        user=None,
    )


@pytest.mark.parametrize("path", PATHS)
def test_anonymous_is_401(small: Project, path: str) -> None:
    assert APIClient().get(url(small, path)).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_outsider_is_404_and_annotator_403(small: Project, ben: User, path: str) -> None:
    client = APIClient()
    client.force_authenticate(make_user("cleo"))
    assert client.get(url(small, path)).status_code == 404
    client.force_authenticate(ben)
    assert client.get(url(small, path)).status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_wrong_method_is_405(small: Project, api: APIClient, path: str) -> None:
    assert api.delete(url(small, path)).status_code == 405


def test_study_that_is_not_ready_says_what_is_missing(small: Project, api: APIClient) -> None:
    answer = api.post(url(small, "routing-studies"), {"judge": "judy"})
    assert answer.status_code == 409
    assert "40 more comparisons" in answer.json()["detail"]


def test_study_of_an_unknown_judge_is_404(small: Project, api: APIClient) -> None:
    assert api.post(url(small, "routing-studies"), {"judge": "nobody"}).status_code == 404


def test_study_is_queued_read_and_cancelled(planted: Project, api: APIClient) -> None:
    started = api.post(url(planted, "routing-studies"), {"judge": "judy", "seed": 3})
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    assert api.get(url(planted, "routing-studies/1")).json()["seed"] == 3
    assert api.get(url(planted, "routing-studies")).json()[0]["judge"] == "judy"
    cancelled = api.post(url(planted, "routing-studies/1/cancel"))
    assert cancelled.json()["state"] == "cancelled"
    assert RoutingStudy.objects.get().is_finished


def test_dry_run_is_queued_and_read(small: Project, api: APIClient) -> None:
    body = {"policy": "random-v1", "budget_usd": "4.00", "judge": "judy", "dry_run": True}
    started = api.post(url(small, "routing-batches"), body)
    assert (started.status_code, started.json()["number"]) == (202, None)
    routing_batch_execute(RoutingBatch.objects.get().pk)
    found = api.get(url(small, f"routing-batches/{started.json()['id']}")).json()
    assert (found["state"], found["summary"]["n_human"]) == ("done", 8)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"budget_usd": "1"}, "policy"),
        ({"policy": "random-v1"}, "budget_usd"),
        ({"policy": "random-v1", "budget_usd": "-1"}, "budget_usd"),
        ({"policy": "luck", "budget_usd": "1"}, "policy"),
        ({"policy": "random-v1", "budget_usd": "1"}, "judge"),
        ({"policy": "random-v1", "budget_usd": "1", "audit_share": 2}, "audit_share"),
    ],
)
def test_bad_batch_names_the_field(
    small: Project, api: APIClient, body: dict[str, Any], field: str
) -> None:
    answer = api.post(url(small, "routing-batches"), body)
    assert answer.status_code == 400
    assert field in answer.json()["errors"]


def test_decisions_come_in_pages(small: Project, judge: Annotator, api: APIClient) -> None:
    applied(small, judge)
    first = api.get(url(small, "routing-decisions"), {"page_size": 15, "batch": 1}).json()
    rest = api.get(first["next"]).json()
    rows = first["results"] + rest["results"]
    assert (len(rows), rest["next"]) == (20, None)
    assert {row["action"] for row in rows} == {"human", "judge"}
    assert rows[0]["reason"]


def test_decisions_of_an_unknown_batch_are_404(small: Project, api: APIClient) -> None:
    assert api.get(url(small, "routing-decisions"), {"batch": "x"}).status_code == 404


def test_undo_answers_once_and_then_409(small: Project, judge: Annotator, api: APIClient) -> None:
    path = url(small, f"routing-batches/{applied(small, judge).public_id}/undo")
    assert api.post(path).json()["undone_at"] is not None
    assert api.post(path).status_code == 409


def test_round_is_queued_and_its_picks_are_read(small: Project, api: APIClient) -> None:
    started = api.post(url(small, "acquisition-rounds"), {"batch_size": 4})
    assert (started.status_code, started.json()["number"]) == (202, 1)
    acquisition_round_execute(AcquisitionRound.objects.get().pk)
    found = api.get(url(small, "acquisition-rounds/1")).json()
    assert [pick["rank"] for pick in found["picks"]] == [0, 1, 2, 3]
    assert found["report"]["strategy"] == "random-v1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("random-v1", 5, 0.4)),
        ({"strategy": "bald-v1"}, ("bald-v1", 5, 0.4)),
        ({"batch_size": 2, "random_share": 0.1}, ("random-v1", 2, 0.1)),
    ],
)
def test_a_round_by_hand_follows_the_plan_where_nothing_else_is_said(
    small: Project, api: APIClient, given: dict[str, Any], expected: tuple[str, int, float]
) -> None:
    plan = {"initial_size": 5, "batch_size": 3, "random_share": 0.4}
    assert api.patch(url(small, "acquisition-plan"), plan).status_code == 200
    started = api.post(url(small, "acquisition-rounds"), given).json()
    found = (started["strategy"], started["batch_size"], started["random_share"])
    assert found == expected


def test_rounds_take_a_bounded_number_of_queries(
    small: Project, api: APIClient, django_assert_max_num_queries: Any
) -> None:
    for seed in range(3):
        row = acquisition_round_start(project=small, user=None, batch_size=2, seed=seed)
        acquisition_round_execute(row.pk)
    with django_assert_max_num_queries(4):
        assert len(api.get(url(small, "acquisition-rounds")).json()) == 3
