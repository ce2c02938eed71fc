"""A mistyped filter changes, freezes, exports and saves nothing, rather than everything."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from rest_framework.serializers import ChoiceField, Serializer
from rest_framework.test import APIClient

from annotate.api.fields import ChoiceField as Own
from annotate.models import BulkChange, Comparison, FreezeJob, Project
from tests.factories import make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    project = make_project(owner=make_user("ada"), slug="p")
    make_comparison(project)
    return project


@pytest.fixture
def client(project: Project) -> APIClient:
    client = APIClient()
    client.force_authenticate(project.memberships.get().user)
    return client


def posted(client: APIClient, path: str, body: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/projects/p/{path}", body, format="json")


@pytest.mark.parametrize(
    ("path", "body", "field", "known"),
    [
        (
            "changes",
            {"action": "priority", "value": 9, "filters": {"skil": "law"}},
            "skil",
            "skill",
        ),
        ("freezes", {"filters": {"min_vote": 3}}, "min_vote", "min_votes"),
        ("exports", {"format": "native", "filters": {"criteria": "x"}}, "criteria", "criterion"),
        ("views", {"name": "v", "query": {"states": "open"}}, "states", "state"),
    ],
)
def test_an_unknown_filter_is_refused_by_name(
    client: APIClient, path: str, body: dict[str, Any], field: str, known: str
) -> None:
    answer = posted(client, path, body)
    assert answer.status_code == 400
    errors = answer.json()["errors"]["query" if path == "views" else "filters"]
    assert known in errors[field][0]


def test_nothing_is_changed_or_frozen_by_it(client: APIClient, project: Project) -> None:
    posted(client, "changes", {"action": "priority", "value": 9, "filters": {"skil": "law"}})
    posted(client, "freezes", {"filters": {"min_vote": 3}})
    assert Comparison.objects.get().priority == 0
    assert not BulkChange.objects.exists()
    assert not FreezeJob.objects.exists()


def test_every_comparison_is_still_meant_by_no_filter(client: APIClient) -> None:
    answer = posted(client, "changes", {"action": "priority", "value": 9, "filters": {}})
    assert (answer.status_code, answer.json()["n_comparisons"]) == (201, 1)


def test_a_list_takes_other_parameters_beside_its_filters(client: APIClient) -> None:
    assert client.get("/api/v1/projects/p/comparisons?state=open&utm_source=x").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field", "told"),
    [
        (
            "exports",
            {"format": "csw"},
            "format",
            "“csw” is none of the choices: trl-preference, ",
        ),
        ("changes", {"action": "burn"}, "action", "choices: priority, "),
    ],
)
def test_a_refused_choice_names_the_choices(
    client: APIClient, path: str, body: dict[str, Any], field: str, told: str
) -> None:
    answer = posted(client, path, body)
    assert answer.status_code == 400
    assert told in answer.data["errors"][field][0]


def test_every_choice_of_the_api_names_them() -> None:
    import_module(settings.ROOT_URLCONF)
    described = [
        field
        for row in subclasses(Serializer)
        if row.__module__.startswith(("annotate.", "modeling.", "routing."))
        for field in row._declared_fields.values()
        if isinstance(field, ChoiceField)
    ]
    assert len(described) > 50
    assert [field for field in described if not isinstance(field, Own)] == []


def subclasses(row: Any) -> Iterator[Any]:
    for below in row.__subclasses__():
        yield below
        yield from subclasses(below)
