import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotate.models import Annotator, Comparison, Project
from tests.factories import make_annotator, make_comparison, make_member, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def ben() -> User:
    return make_user("ben")


@pytest.fixture
def project(ada: User, ben: User) -> Project:
    project = make_project(owner=ada, slug="answers")
    make_member(project, ben)
    return project


@pytest.fixture
def annotator(project: Project, ben: User) -> Annotator:
    return make_annotator(project, user=ben)


@pytest.fixture
def comparison(project: Project) -> Comparison:
    return make_comparison(project, external_id="q1")


def send(
    user: User, name: str, body: dict[str, Any], *, args: list[Any], verb: str = "post"
) -> Any:
    client = Client()
    client.force_login(user)
    url = reverse(f"annotate_api:{name}", args=args)
    return getattr(client, verb)(url, data=json.dumps(body), content_type="application/json")


def test_an_owner_gives_a_comparison_and_takes_it_back(
    ada: User, annotator: Annotator, comparison: Comparison
) -> None:
    body = {"annotator": annotator.pk, "comparisons": ["q1"]}
    given = send(ada, "reservations", body, args=["answers"])
    comparison.refresh_from_db()
    assert (given.json(), comparison.is_reserved) == ({"n_comparisons": 1}, True)
    released = send(ada, "reservations-release", body, args=["answers"])
    comparison.refresh_from_db()
    assert (released.json(), comparison.is_reserved) == ({"n_comparisons": 1}, False)


def test_an_owner_says_who_knows_what(
    ada: User, annotator: Annotator, comparison: Comparison
) -> None:
    wanted = send(
        ada, "comparisons-skill", {"comparisons": ["q1"], "skill": "law"}, args=["answers"]
    )
    known = send(
        ada, "annotator-skills", {"skills": ["law"]}, args=["answers", annotator.pk], verb="put"
    )
    comparison.refresh_from_db()
    assert (wanted.status_code, comparison.skill) == (200, "law")
    assert known.json() == {"skills": ["law"]}


def test_an_unknown_comparison_is_named(ada: User, annotator: Annotator) -> None:
    body = {"annotator": annotator.pk, "comparisons": ["nowhere"]}
    answer = send(ada, "reservations", body, args=["answers"])
    assert answer.status_code == 400
    assert "'nowhere'" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["reservations", "reservations-release", "comparisons-skill"])
def test_only_owners_decide_who_is_asked(ben: User, project: Project, name: str) -> None:
    assert send(ben, name, {}, args=["answers"]).status_code == 403
    assert send(make_user("eve"), name, {}, args=["answers"]).status_code == 404
