import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotate.models import Annotator, Assignment, Comparison, Preference, Project
from annotate.services.tokens import api_token_create
from tests.factories import (
    make_annotator,
    make_comparison,
    make_member,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db
SECRETS = ("secret-model", "judge-seven", "the judge's opinion", "otherperson")


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def ben() -> User:
    return make_user("ben")


@pytest.fixture
def project(ada: User, ben: User) -> Project:
    project = make_project(owner=ada, slug="answers", protocol={"overlap": 3})
    make_member(project, ben)
    return project


@pytest.fixture
def comparison(project: Project) -> Comparison:
    comparison = make_comparison(
        project,
        texts=("**Bold** first", "Second <script>alert(1)</script>"),
        models=("secret-model-a", "secret-model-b"),
        metadata={"quality": "secret-model metadata"},
    )
    judge = make_annotator(project, name="judge-seven", kind=Annotator.Kind.JUDGE)
    make_preference(comparison, judge, rationale="the judge's opinion")
    make_preference(comparison, make_annotator(project, name="otherperson"))
    return comparison


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def post(client: Client, name: str, args: list[Any], body: dict[str, Any] | None = None) -> Any:
    url = reverse(f"annotate_api:{name}", args=args)
    return client.post(url, data=json.dumps(body or {}), content_type="application/json")


def next_task(client: Client) -> dict[str, Any]:
    response = post(client, "assignment-next", ["answers"])
    assert response.status_code == 200
    return dict(response.json())


def test_next_shows_sanitised_responses_under_neutral_names(
    ben: User, comparison: Comparison
) -> None:
    shown = next_task(signed_in(ben))["comparison"]
    assert [response["label"] for response in shown["responses"]] == ["A", "B"]
    html = " ".join(response["html"] for response in shown["responses"])
    assert "<strong>Bold</strong>" in html
    assert "<script" not in html


def test_nothing_that_an_annotator_can_fetch_names_a_model_or_a_judge(
    ben: User, comparison: Comparison
) -> None:
    client = signed_in(ben)
    task = post(client, "assignment-next", ["answers"])
    assignment = task.json()["assignment"]["id"]
    answers = [
        task,
        client.get(reverse("annotate_api:assignment", args=["answers", assignment])),
        submit(client, assignment),
        client.get(reverse("annotate:project-home", args=["answers"])),
        client.get(reverse("annotate:label", args=["answers"])),
        client.get(reverse("annotate:history", args=["answers"])),
    ]
    for answer in answers:
        body = answer.content.decode()
        assert not [secret for secret in SECRETS if secret in body]


def submit(client: Client, assignment: str, **changes: Any) -> Any:
    body = {
        "idempotency_key": str(uuid.uuid4()),
        "verdict": "ranked",
        "strength": -1,
        "active_ms": 1200,
        **changes,
    }
    return post(client, "assignment-submit", ["answers", assignment], body)


def test_submit_stores_once_and_answers_the_same_twice(ben: User, comparison: Comparison) -> None:
    client = signed_in(ben)
    assignment = next_task(client)["assignment"]["id"]
    key = str(uuid.uuid4())
    first = submit(client, assignment, idempotency_key=key)
    again = submit(client, assignment, idempotency_key=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["progress"]["done"] == 1
    assert Preference.objects.filter(annotator__user=ben).count() == 1


def test_an_own_assignment_shows_the_verdict_as_it_was_given(
    ben: User, comparison: Comparison
) -> None:
    client = signed_in(ben)
    assignment = next_task(client)["assignment"]["id"]
    submit(client, assignment, strength=-2, rationale="Clearer.")
    url = reverse("annotate_api:assignment", args=["answers", assignment])
    given = client.get(url).json()["given"]
    assert (given["verdict"], given["strength"], given["rationale"]) == ("ranked", -2, "Clearer.")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verdict": "best"}, "verdict"),
        ({"strength": 9}, "strength"),
        ({"idempotency_key": "abc"}, "idempotency_key"),
        ({"active_ms": -1}, "active_ms"),
    ],
)
def test_a_bad_verdict_is_a_problem_that_names_the_field(
    ben: User, comparison: Comparison, body: dict[str, Any], field: str
) -> None:
    client = signed_in(ben)
    answer = submit(client, next_task(client)["assignment"]["id"], **body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert list(answer.json()["errors"]) == [field]
    assert not Preference.objects.filter(annotator__user=ben).exists()


@pytest.mark.parametrize("action", ["return", "skip"])
def test_a_comparison_can_be_given_back(ben: User, comparison: Comparison, action: str) -> None:
    client = signed_in(ben)
    assignment = next_task(client)["assignment"]["id"]
    answer = post(client, f"assignment-{action}", ["answers", assignment], {"reason": "Broken"})
    assert answer.status_code == 204
    assert Assignment.objects.get().closed_at is not None


def test_a_heartbeat_returns_the_new_expiry(ben: User, comparison: Comparison) -> None:
    client = signed_in(ben)
    task = next_task(client)["assignment"]
    answer = post(client, "assignment-heartbeat", ["answers", task["id"]])
    assert answer.json()["expires_at"] >= task["expires_at"]


def test_an_empty_queue_gives_a_reason(ben: User, project: Project) -> None:
    task = next_task(signed_in(ben))
    assert task["assignment"] is None
    assert "Nothing is waiting" in task["reason"]


@pytest.mark.parametrize("name", ["assignment-next"])
def test_an_anonymous_caller_gets_401(project: Project, name: str) -> None:
    answer = post(Client(), name, ["answers"])
    assert answer.status_code == 401
    assert answer.json()["status"] == 401


def test_an_outsider_gets_the_404_of_a_missing_project(project: Project) -> None:
    client = signed_in(make_user("cleo"))
    outside = post(client, "assignment-next", ["answers"])
    missing = post(client, "assignment-next", ["no-such-project"])
    assert (outside.status_code, missing.status_code) == (404, 404)
    assert outside.json() == missing.json()


def test_somebody_elses_assignment_is_not_found(
    ada: User, ben: User, comparison: Comparison
) -> None:
    assignment = next_task(signed_in(ben))["assignment"]["id"]
    assert submit(signed_in(ada), assignment).status_code == 404


def test_a_wrong_method_gets_405_as_json(ben: User, project: Project) -> None:
    answer = signed_in(ben).get(reverse("annotate_api:assignment-next", args=["answers"]))
    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("header", "status"),
    [("Bearer tdm_wrong", 401), ("Bearer", 401), ("Bearer tdm wrong", 401)],
)
def test_a_bad_token_gets_401(project: Project, header: str, status: int) -> None:
    url = reverse("annotate_api:assignment-next", args=["answers"])
    answer = Client().post(url, headers={"authorization": header})
    assert answer.status_code == status
    assert answer.json()["title"] == "Not authenticated"


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 200)])
def test_a_read_token_may_not_take_a_lease(
    ben: User, comparison: Comparison, scope: str, status: int
) -> None:
    _, secret = api_token_create(user=ben, name="script", scope=scope)
    url = reverse("annotate_api:assignment-next", args=["answers"])
    answer = Client().post(
        url, "{}", content_type="application/json", headers={"authorization": f"Bearer {secret}"}
    )
    assert answer.status_code == status


def test_a_paused_annotator_is_refused(ben: User, project: Project) -> None:
    make_annotator(project, user=ben, is_active=False)
    answer = post(signed_in(ben), "assignment-next", ["answers"])
    assert answer.status_code == 403
    assert "paused" in answer.json()["detail"]


def test_a_flag_is_kept_and_labelling_goes_on(ben: User, comparison: Comparison) -> None:
    client = signed_in(ben)
    assignment = next_task(client)["assignment"]["id"]
    answer = post(client, "assignment-flag", ["answers", assignment], {"reason": "pii"})
    assert answer.status_code == 204
    assert [flag.reason for flag in comparison.flags.all()] == ["pii"]
    assert submit(client, assignment).json()["feedback"] is None


def test_everything_given_comes_back_as_it_was_shown(ben: User, project: Project) -> None:
    project.protocols.update(
        rating_points=5,
        aspects=[{"key": "helpful", "name": "Helpful", "ask": "both", "reasons": ["Clear"]}],
        span_categories=[{"key": "error", "name": "Error"}],
    )
    make_comparison(project)
    client = signed_in(ben)
    assignment = next_task(client)["assignment"]["id"]
    given = {
        "strength": -1,
        "aspects": {"helpful": 2},
        "ratings": {"helpful": [5, 1]},
        "spans": [{"response": 1, "start": 0, "end": 5, "category": "error"}],
        "reasons": {"helpful": ["Clear"]},
    }
    assert submit(client, assignment, **given).status_code == 201
    url = reverse("annotate_api:assignment", args=["answers", assignment])
    shown = client.get(url).json()["given"]
    assert {name: shown[name] for name in given} == given


def test_own_keys_are_read_and_written_by_their_person(ben: User) -> None:
    client = signed_in(ben)
    url = reverse("annotate_api:workbench-keys")
    body = {"keys": {"undo": "q"}}
    answer = client.put(url, json.dumps(body), content_type="application/json")
    assert answer.json() == body
    assert client.get(url).json() == body
    assert signed_in(make_user("cleo")).get(url).json() == {"keys": {}}


def test_a_page_that_is_left_does_not_take_the_lease_from_the_page_opened_since(
    ben: User, comparison: Comparison
) -> None:
    client = signed_in(ben)
    left, opened = (next_task(client)["assignment"] for _ in range(2))
    assert left["id"] == opened["id"]
    known = {"expires_at": left["expires_at"]}
    post(client, "assignment-return", ["answers", left["id"]], known)
    assert Assignment.objects.get().state == Assignment.State.LIVE
    known = {"expires_at": opened["expires_at"]}
    post(client, "assignment-return", ["answers", left["id"]], known)
    assert Assignment.objects.get().state == Assignment.State.RETURNED
