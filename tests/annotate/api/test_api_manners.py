"""What every operation shares: tags, keys, rates, scopes, strict bodies, errors in one shape."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from jsonschema_rs import Draft202012Validator
from pytest_django.fixtures import Settings
from redis import Redis
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from annotate.api.comparisons import ComparisonListView
from annotate.api.examples import REQUESTS, RESPONSES
from annotate.api.scopes import SCOPES, scope_wanted
from annotate.api.throttling import RequestRate
from annotate.models import ApiToken, Comparison, Project
from annotate.services.tokens import api_token_create
from tests.factories import make_comparison, make_member, make_project, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]
ROOT = "/api/v1/projects/answers"
ROWS = {
    "comparisons": [{"id": "q1", "prompt": "Why?", "responses": [{"text": "one"}, {"text": "two"}]}]
}


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def project(ada: User) -> Project:
    return make_project(owner=ada, slug="answers")


def client_with(user: User, **token: Any) -> Client:
    """A client with a token of this kind."""
    _, secret = api_token_create(user=user, name="test", **{"scope": "write", **token})
    return Client(headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def client(ada: User, project: Project) -> Client:
    return client_with(ada)


def send(client: Client, path: str, body: Any, method: str = "post", **headers: str) -> Any:
    """Send JSON."""
    request: Callable[..., Any] = getattr(client, method)
    return request(f"{ROOT}/{path}", body, "application/json", headers=headers)


# --- Tags ---------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(client: Client, project: Project) -> None:
    first = client.get(f"{ROOT}/comparisons")
    again = client.get(f"{ROOT}/comparisons", headers={"if-none-match": first["ETag"]})
    make_comparison(project)
    changed = client.get(f"{ROOT}/comparisons", headers={"if-none-match": first["ETag"]})
    assert [first.status_code, again.status_code, changed.status_code] == [200, 304, 200]
    assert (again.content, changed["ETag"] == first["ETag"]) == (b"", False)
    assert "no-cache" in first["Cache-Control"]


def test_a_change_to_what_has_moved_on_is_refused(client: Client, project: Project) -> None:
    path = f"comparisons/{make_comparison(project).pk}"
    tag = client.get(f"{ROOT}/{path}")["ETag"]
    first = send(client, path, {"priority": 3}, "patch", **{"if-match": tag})
    second = send(client, path, {"priority": 4}, "patch", **{"if-match": tag})
    third = send(client, path, {"priority": 5}, "patch", **{"if-match": first["ETag"]})
    assert [first.status_code, second.status_code, third.status_code] == [200, 412, 200]
    assert Comparison.objects.get().priority == 5


# --- Keys ---------------------------------------------------------------------------------------


def test_the_same_key_gets_the_first_answer_and_does_it_once(client: Client) -> None:
    key = {"idempotency-key": str(uuid4())}
    answers = [send(client, "comparisons", ROWS, **key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert "Idempotent-Replayed" not in answers[0].headers
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert answers[1]["Content-Type"] == "application/json"
    assert send(client, "comparisons", ROWS).status_code == 200, "without a key it is done again"


def test_a_refusal_is_kept_too(client: Client) -> None:
    key = {"idempotency-key": "one"}
    answers = [send(client, "comparisons", {"comparisons": []}, **key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[1]["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "body"), [("comparisons", {"comparisons": [{}]}), ("views", ROWS)]
)
def test_a_key_belongs_to_one_request(client: Client, path: str, body: Any) -> None:
    send(client, "comparisons", ROWS, **{"idempotency-key": "one"})
    assert send(client, path, body, **{"idempotency-key": "one"}).status_code == 422


def test_a_key_belongs_to_one_token(client: Client, ada: User) -> None:
    send(client, "comparisons", ROWS, **{"idempotency-key": "one"})
    other = send(client_with(ada), "comparisons", ROWS, **{"idempotency-key": "one"})
    assert "Idempotent-Replayed" not in other.headers


def test_a_revoked_token_gets_no_kept_answer(client: Client) -> None:
    send(client, "comparisons", ROWS, **{"idempotency-key": "one"})
    ApiToken.objects.all().delete()
    assert send(client, "comparisons", ROWS, **{"idempotency-key": "one"}).status_code == 401


@pytest.mark.parametrize("key", ["", "with space", "x" * 201, "é"])
def test_a_key_that_is_none_is_refused(client: Client, key: str) -> None:
    assert send(client, "comparisons", ROWS, **{"idempotency-key": key}).status_code == 400


def test_our_own_failure_is_not_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.raise_request_exception = False

    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr(ComparisonListView, "post", fail)
        broken = send(client, "comparisons", ROWS, **{"idempotency-key": "one"})
    mended = send(client, "comparisons", ROWS, **{"idempotency-key": "one"})
    assert (broken.status_code, mended.status_code) == (500, 201)
    assert broken.json()["title"] == "Server error"


# --- Rates --------------------------------------------------------------------------------------


def test_each_token_has_its_own_rate_and_is_told_where_it_stands(
    ada: User, project: Project
) -> None:
    slow, fast = client_with(ada, rate_per_minute=2), client_with(ada)
    answers = [slow.get(f"{ROOT}/versions") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[0]["RateLimit-Limit"] == "2"
    assert 0 < int(answers[2]["Retry-After"]) <= int(answers[2]["RateLimit-Reset"]) + 1 <= 61
    assert answers[2].json()["title"] == "Too many requests"
    assert fast.get(f"{ROOT}/versions").status_code == 200


def test_strangers_are_counted_by_address() -> None:
    throttle = RequestRate()
    assert throttle.allow_request(Request(APIRequestFactory().get("/")), None)
    assert throttle.rate is not None
    assert (throttle.rate.limit, throttle.rate.n_left) == (60, 59)


def test_a_count_never_stands_without_an_end(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Redis, "expire", Mock(side_effect=ConnectionError))
    throttle = RequestRate()
    for _ in range(2):
        assert throttle.allow_request(Request(APIRequestFactory().get("/")), None)
    (key,) = redis.scan_iter(f"{settings.REDIS_PREFIX}rate:*")
    assert (redis.get(key), redis.ttl(key) > 0) == (b"2", True)


# --- Scopes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("read", [200, 403, 403, 403, 403]),
        ("label", [200, 200, 403, 403, 403]),
        ("data", [200, 403, 201, 403, 403]),
        ("run", [200, 403, 403, 409, 403]),
        ("write", [200, 200, 201, 409, 200]),
    ],
)
def test_a_token_may_do_what_its_scope_says_and_no_more(
    ada: User, project: Project, scope: str, statuses: list[int]
) -> None:
    client = client_with(ada, scope=scope)
    answers = [
        client.get(f"{ROOT}/comparisons"),
        send(client, "assignments/next/", {}),
        send(client, "comparisons", ROWS),
        send(client, "training-runs", {}),
        send(client, "members/ada", {"role": "owner"}, "put"),
    ]
    assert [answer.status_code for answer in answers] == statuses


def test_a_long_question_may_be_asked_by_a_token_that_only_reads(
    ada: User, project: Project
) -> None:
    reader = client_with(ada, scope="read")
    answer = send(reader, "comparisons/read", {"ids": ["q1"]})
    assert answer.json() == {"results": [], "missing": ["q1"]}


def test_a_token_of_one_project_sees_no_other(ada: User, project: Project) -> None:
    other = make_project(owner=ada, slug="other")
    client = client_with(ada, project=other)
    assert client.get(f"{ROOT}/comparisons").status_code == 404
    assert client.get("/api/v1/projects/other/comparisons").status_code == 200
    assert [row["slug"] for row in client.get("/api/v1/projects/").json()] == ["other"]
    made = client.post("/api/v1/projects/", {"name": "N", "slug": "n"}, "application/json")
    assert made.status_code == 403


def routes(patterns: list[Any], prefix: str = "") -> list[str]:
    """Every address below a resolver."""
    found: list[str] = []
    for pattern in patterns:
        place = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += routes(pattern.url_patterns, place)
        elif isinstance(pattern, URLPattern):
            found.append(place)
    return found


def test_every_segment_that_has_a_scope_is_an_address() -> None:
    start = "api/v1/projects/<slug:slug>/"
    places = [each for each in routes(get_resolver().url_patterns) if each.startswith(start)]
    segments = {place.removeprefix(start).split("/")[0] for place in places}
    assert set(SCOPES) - {"score", "exports"} <= segments


def test_every_segment_below_a_project_stands_in_the_documentation() -> None:
    start = "api/v1/projects/<slug:slug>/"
    places = [each for each in routes(get_resolver().url_patterns) if each.startswith(start)]
    segments = {place.removeprefix(start).split("/")[0] for place in places} - {""}
    page = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
    assert sorted(each for each in segments if f"`{each}" not in page) == []


def test_what_no_scope_names_needs_them_all() -> None:
    assert scope_wanted("POST", "/api/v1/projects/answers/webhooks") == "write"
    assert scope_wanted("POST", "/api/v1/something/new") == "write"


# --- Bodies and errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a\\u0000b", "query": {}}',
        b'{"name": "\\ud800", "query": {}}',
        b'{"a\\u0000": 1}',
        b'{"value": 1e999}',
        b'{"value": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_stored_is_refused(client: Client, body: bytes) -> None:
    answer = client.post(f"{ROOT}/views", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_a_body_that_is_too_large_is_told_so(client: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = send(client, "comparisons", {"comparisons": [{"id": "x" * 200}]})
    assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_what_is_nowhere_is_404_in_the_apis_own_language(client: Client, method: str) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), method)("/api/v1/nowhere/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


# --- The description ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The description as it is published."""
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]
    described: dict[str, Any] = json.loads(
        json.dumps(generator.get_schema(request=None, public=True), default=str)
    )
    return described


def test_the_description_is_openapi_3_1(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")


def examples(schema: dict[str, Any], part: str) -> dict[str, tuple[Any, Any]]:
    """Example and schema by operation."""
    found = {}
    for operations in schema["paths"].values():
        for operation in operations.values():
            content = (
                [operation.get("requestBody", {})]
                if part == "request"
                else [each for code, each in operation["responses"].items() if code[0] == "2"]
            )
            bodies = [each.get("content", {}).get("application/json", {}) for each in content]
            for body in bodies:
                if "example" in body:
                    found[operation["operationId"]] = (body["example"], body["schema"])
    return found


@pytest.mark.parametrize(("part", "written"), [("request", REQUESTS), ("response", RESPONSES)])
def test_every_example_stands_in_the_description_and_fits_it(
    schema: dict[str, Any], part: str, written: dict[str, Any]
) -> None:
    shown = examples(schema, part)
    assert set(shown) == set(written)
    for example, wanted in shown.values():
        whole = {**wanted, "components": schema["components"]}
        Draft202012Validator(whole).validate(example)


def test_every_operation_tells_of_errors_and_rates(schema: dict[str, Any]) -> None:
    for operations in schema["paths"].values():
        for method in set(operations) & {"get", "post", "put", "patch", "delete"}:
            answers = operations[method]["responses"]
            assert {"400", "401", "403", "404", "429"} <= set(answers)
            done = next(each for code, each in answers.items() if code[0] == "2")
            assert "RateLimit-Remaining" in done["headers"]


def test_members_see_projects_and_owners_their_data(ada: User, project: Project) -> None:
    ben = make_user("ben")
    make_member(project, ben)
    statuses = [
        client_with(ben).get(f"{ROOT}/{place}").status_code
        for place in ("", "comparisons", "webhooks", "audit-events", "money", "members")
    ]
    assert statuses == [200, 403, 403, 403, 403, 403]
