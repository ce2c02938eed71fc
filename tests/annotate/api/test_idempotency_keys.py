"""Keys of requests live in PostgreSQL: once under many at once, kept when the cache is lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from annotate.models import KeptAnswer, SavedView
from annotate.services.kept_answers import (
    CLAIMED,
    answer_claim,
    answer_forget,
    answer_keep,
    answers_tidy,
)
from annotate.services.tokens import api_token_create
from tests.factories import make_project, make_user

ADDRESS = "/api/v1/projects/answers/views"
PLACE, REQUEST = "p" * 64, "f" * 64


@pytest.fixture
def secret() -> str:
    """A token of the owner of the project *answers*."""
    ada = make_user("ada")
    make_project(owner=ada, slug="answers")
    return api_token_create(user=ada, name="test", scope="write")[1]


def save(secret: str, key: str, name: str = "mine") -> Any:
    """Save a view, which a second time would be refused."""
    headers = {"authorization": f"Bearer {secret}", "idempotency-key": key}
    body = {"name": name, "query": {"state": "open"}}
    return Client(headers=headers).post(ADDRESS, body, "application/json")


def in_a_thread(secret: str, key: str) -> int:
    """Save a view on a connection of this thread's own."""
    try:
        return int(save(secret, key).status_code)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
def test_of_many_requests_at_once_one_does_the_work(secret: str) -> None:
    key = str(uuid4())
    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(lambda _: in_a_thread(secret, key), range(6)))
    assert SavedView.objects.count() == 1
    assert set(statuses) <= {201, 409}
    assert save(secret, key)["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
@pytest.mark.usefixtures("redis")
def test_an_answer_outlives_the_cache(secret: str) -> None:
    key = str(uuid4())
    first = save(secret, key)
    cache.clear()
    again = save(secret, key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
@pytest.mark.usefixtures("redis")
def test_an_expired_key_begins_anew(secret: str) -> None:
    key = str(uuid4())
    save(secret, key)
    KeptAnswer.objects.update(expires_at=timezone.now())
    assert "Idempotent-Replayed" not in save(secret, key, name="other").headers


@pytest.mark.django_db
def test_a_claim_is_one_callers_until_it_runs_out() -> None:
    first = answer_claim(place=PLACE, fingerprint=REQUEST)
    assert first is not None
    assert answer_claim(place=PLACE, fingerprint=REQUEST) is None
    KeptAnswer.objects.update(expires_at=timezone.now() - CLAIMED)
    second = answer_claim(place=PLACE, fingerprint=REQUEST)
    assert second not in (None, first)


@pytest.mark.django_db
def test_who_lost_the_claim_keeps_no_answer_and_takes_no_claim_away() -> None:
    first = answer_claim(place=PLACE, fingerprint=REQUEST)
    KeptAnswer.objects.update(expires_at=timezone.now() - CLAIMED)
    answer_claim(place=PLACE, fingerprint=REQUEST)
    assert first is not None
    assert not answer_keep(place=PLACE, claim=first, status=201, body=b"late", headers={})
    answer_forget(place=PLACE, claim=first)
    assert KeptAnswer.objects.get().status == 0


@pytest.mark.django_db
def test_only_what_has_expired_is_tidied_away() -> None:
    for name, age in (("old", timedelta(seconds=1)), ("new", -timedelta(hours=1))):
        KeptAnswer.objects.create(
            place=name, fingerprint=REQUEST, claim=uuid4(), expires_at=timezone.now() - age
        )
    assert answers_tidy() == 1
    assert [kept.place for kept in KeptAnswer.objects.all()] == ["new"]
