"""Whoever labels is known in one journey; who may not is refused exactly as everywhere else."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotate.models import Annotator, Assignment, Membership, Preference, Project
from tests.factories import make_comparison, make_member, make_project, make_user

pytestmark = pytest.mark.django_db
NEXT = ("assignment-next", ["answers"])


@pytest.fixture
def ben() -> User:
    return make_user("ben")


@pytest.fixture
def project(ben: User) -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, ben)
    for _ in range(4):
        make_comparison(project)
    return project


@pytest.fixture
def client(project: Project, ben: User) -> Client:
    """Ben's browser, in which he has labelled already."""
    client = Client()
    client.force_login(ben)
    assert post(client, *NEXT).status_code == 200
    return client


def post(client: Client, name: str, args: list[Any], body: dict[str, Any] | None = None) -> Any:
    url = reverse(f"annotate_api:{name}", args=args)
    return client.post(url, data=json.dumps(body or {}), content_type="application/json")


def verdict() -> dict[str, Any]:
    return {"idempotency_key": str(uuid.uuid4()), "verdict": "ranked", "strength": 1}


def leave(ben: User) -> None:
    Membership.objects.filter(user=ben).delete()


def be_paused(ben: User) -> None:
    Annotator.objects.filter(user=ben).update(is_active=False)


def sign_out_elsewhere(ben: User) -> None:
    Session.objects.all().delete()


def run_out(ben: User) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def be_locked_out(ben: User) -> None:
    User.objects.filter(pk=ben.pk).update(is_active=False)


def change_password(ben: User) -> None:
    ben.set_password("another-password-1")
    ben.save()


@pytest.mark.parametrize(
    ("happens", "status"),
    [
        (leave, 404),
        (be_paused, 403),
        (be_locked_out, 401),
        (change_password, 401),
    ],
)
def test_a_session_that_lost_its_right_neither_asks_nor_submits(
    client: Client, ben: User, happens: Callable[[User], None], status: int
) -> None:
    lease = post(client, *NEXT).json()["assignment"]["id"]
    happens(ben)
    answers = [
        post(client, *NEXT),
        post(client, "assignment-submit", ["answers", lease], verdict()),
        post(client, "assignment-heartbeat", ["answers", lease]),
    ]
    assert [answer.status_code for answer in answers] == [status] * 3
    assert not Preference.objects.exists()


@pytest.mark.parametrize("happens", [sign_out_elsewhere, run_out])
def test_a_session_that_has_ended_neither_asks_nor_submits(
    client: Client, ben: User, happens: Callable[[User], None]
) -> None:
    lease = post(client, *NEXT).json()["assignment"]["id"]
    happens(ben)
    # Redis is only asked about sessions that PostgreSQL does not know.
    cache.clear()
    answers = [
        post(client, *NEXT),
        post(client, "assignment-submit", ["answers", lease], verdict()),
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert not Preference.objects.exists()


def test_a_browser_in_which_somebody_else_signs_in_is_theirs(
    client: Client, project: Project
) -> None:
    cleo = make_user("cleo")
    make_member(project, cleo)
    before = client.session.session_key
    session = Session.objects.get(session_key=before)
    other = Client()
    other.force_login(cleo)
    # The same key with another's session behind it: nothing is done in the first one's name.
    Session.objects.filter(pk=session.pk).update(
        session_data=Session.objects.get(session_key=other.session.session_key).session_data
    )
    cache.clear()
    post(client, *NEXT)
    assert Assignment.objects.filter(annotator__user=cleo).exists()


def test_a_session_is_read_with_what_is_asked_and_not_before(client: Client) -> None:
    # From the first time on, a process knows whose the session is likely to be.
    assert post(client, *NEXT).status_code == 200
    with patch("annotate.sessions.SessionStore.load") as load:
        assert post(client, *NEXT).status_code == 200
    load.assert_not_called()


def test_whoever_labels_is_told_in_their_own_language(client: Client, project: Project) -> None:
    client.post(reverse("language"), {"language": "de"})
    project.comparisons.all().delete()
    reason = post(client, *NEXT).json()["reason"]
    assert reason == "Es wartet nichts auf Sie. Sie haben alles bewertet, was offen war."


def test_nobody_submits_for_another(client: Client, project: Project) -> None:
    lease = post(client, *NEXT).json()["assignment"]["id"]
    cleo = make_user("cleo")
    make_member(project, cleo)
    other = Client()
    other.force_login(cleo)
    assert post(other, "assignment-submit", ["answers", lease], verdict()).status_code == 404


def test_a_lease_of_one_project_is_none_of_another(client: Client, ben: User) -> None:
    lease = post(client, *NEXT).json()["assignment"]["id"]
    make_member(make_project(owner=make_user("dora"), slug="others"), ben)
    assert post(client, "assignment-submit", ["others", lease], verdict()).status_code == 404


def test_a_session_needs_its_csrf_token(project: Project, ben: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ben)
    assert post(client, *NEXT).status_code == 403


def test_whoever_labels_for_the_first_time_gets_a_pseudonym(project: Project, ben: User) -> None:
    client = Client()
    client.force_login(ben)
    assert post(client, *NEXT).json()["assignment"] is not None
    assert Annotator.objects.get(user=ben).name.startswith("person-")


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Every statement that goes to PostgreSQL, prepared ones too."""
    seen: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        yield seen


def test_the_next_comparison_and_a_submit_ask_the_database_a_few_times(client: Client) -> None:
    held = post(client, *NEXT).json()["assignment"]["id"]
    with counted_statements() as for_next:
        body = {"exclude": [held], "progress": False}
        lease = post(client, *NEXT, body).json()["assignment"]["id"]
    with counted_statements() as for_submit:
        post(client, "assignment-submit", ["answers", lease], verdict())
    # Who asks and what they have; the lock, the slot and its task. Who asks; the locks, the label,
    # the progress. Each in one journey where there is more than one, and in no transaction but it.
    assert (len(for_next), len(for_submit)) == (3, 4)


def test_a_bad_verdict_is_refused_field_by_field(client: Client) -> None:
    lease = post(client, *NEXT).json()["assignment"]["id"]
    answer = post(
        client, "assignment-submit", ["answers", lease], {"verdict": "no", "strength": 99}
    )
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert set(answer.json()["errors"]) == {"idempotency_key", "verdict", "strength"}


@pytest.mark.parametrize("body", [[], "text", 3, None])
def test_a_body_that_is_no_object_is_refused(client: Client, body: Any) -> None:
    lease = post(client, *NEXT).json()["assignment"]["id"]
    url = reverse("annotate_api:assignment-submit", args=["answers", lease])
    answer = client.post(url, data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 400
