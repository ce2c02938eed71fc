import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from annotate.models import (
    Annotator,
    Assignment,
    Flag,
    Gold,
    Membership,
    Project,
    QualityAlarm,
    QualityPolicy,
    Review,
)
from tests.factories import (
    make_annotator,
    make_comparison,
    make_member,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/projects/answers"
OWNER_READS = ["people", "agreement", "alarms", "policy", "golds", "flags"]


@pytest.fixture
def project() -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, make_user("ben"))
    make_member(project, make_user("rita"), role=Membership.Role.REVIEWER)
    return project


@pytest.fixture
def ben(project: Project) -> Annotator:
    return make_annotator(project, name="ben", user=User.objects.get(username="ben"))


def signed_in(name: str) -> APIClient:
    client = APIClient()
    client.force_login(User.objects.get(username=name))
    return client


@pytest.mark.parametrize("what", OWNER_READS)
@pytest.mark.parametrize(("who", "status"), [("ada", 200), ("rita", 403), ("ben", 403)])
def test_quality_is_read_by_owners_only(project: Project, what: str, who: str, status: int) -> None:
    assert signed_in(who).get(f"{ROOT}/quality/{what}").status_code == status


def test_people_come_with_intervals(project: Project, ben: Annotator) -> None:
    zoe = make_annotator(project, name="zoe")
    for _ in range(4):
        comparison = make_comparison(project)
        make_preference(comparison, ben)
        make_preference(comparison, zoe)
    rows = signed_in("ada").get(f"{ROOT}/quality/people").json()
    assert [row["n_labels"] for row in rows] == [4, 4]
    assert rows[0]["agreement"]["n"] == 4
    assert rows[0]["agreement"]["low"] == pytest.approx(0.5101, abs=1e-4)
    (pair,) = signed_in("ada").get(f"{ROOT}/quality/agreement").json()
    assert pair["agreement"]["value"] == 1.0


def test_a_check_raises_alarms_and_closing_ends_them(project: Project, ben: Annotator) -> None:
    for number in range(20):
        order = [number % 2, 1 - number % 2]
        ranking = (0, 1) if order[0] == 0 else (1, 0)
        make_preference(make_comparison(project), ben, ranking, shown_order=order)
    client = signed_in("ada")
    assert client.post(f"{ROOT}/quality/alarms").json() == {"n_new": 1}
    (alarm,) = client.get(f"{ROOT}/quality/alarms").json()
    assert (alarm["kind"], alarm["name"]) == ("straight_line", "ben")
    assert client.post(f"{ROOT}/quality/alarms/{alarm['id']}/close").status_code == 204
    assert client.get(f"{ROOT}/quality/alarms").json() == []
    assert QualityAlarm.objects.get().resolved_at is not None


@pytest.mark.parametrize("action", ["pause", "qualify"])
def test_owners_act_on_people(project: Project, ben: Annotator, action: str) -> None:
    url = f"{ROOT}/quality/people/{ben.pk}/{action}"
    assert signed_in("ben").post(url).status_code == 403
    assert signed_in("ada").post(url).status_code == 204
    (row,) = signed_in("ada").get(f"{ROOT}/quality/people").json()
    assert (row["is_paused"], row["is_qualified"]) == (action == "pause", action == "qualify")


def test_the_policy_changes_field_by_field(project: Project) -> None:
    answer = signed_in("ada").patch(f"{ROOT}/quality/policy", {"gold_share": 0.1}, format="json")
    assert answer.status_code == 200
    assert answer.json()["gold_share"] == 0.1
    assert answer.json()["pause_window"] == 10
    refused = signed_in("ada").patch(f"{ROOT}/quality/policy", {"gold_share": 2}, format="json")
    assert refused.status_code == 400


def test_known_answers_are_made_and_withdrawn(project: Project) -> None:
    comparison, client = make_comparison(project), signed_in("ada")
    body = {"comparison": comparison.pk, "accepted": ["A", "tie"]}
    made = client.post(f"{ROOT}/quality/golds", body, format="json")
    assert made.status_code == 201
    url = f"{ROOT}/quality/golds/{made.json()['id']}"
    assert client.patch(url, {"is_active": False}, format="json").json()["is_active"] is False
    assert Gold.objects.get().accepted == [[0, 1], [0, 0]]
    again = client.post(f"{ROOT}/quality/golds", body, format="json")
    assert again.status_code == 400


def test_flags_are_closed(project: Project, ben: Annotator) -> None:
    Flag.objects.create(comparison=make_comparison(project), annotator=ben, reason="pii")
    client = signed_in("ada")
    (flag,) = client.get(f"{ROOT}/quality/flags").json()
    assert client.post(f"{ROOT}/quality/flags/{flag['id']}/close").status_code == 204
    assert client.get(f"{ROOT}/quality/flags").json() == []


@pytest.fixture
def review(project: Project, ben: Annotator) -> Review:
    comparison = make_comparison(project, models=("gpt-hidden", "llama-hidden"))
    make_preference(comparison, ben, (0, 1), strength=-2, rationale="Shorter.")
    zoe = make_annotator(project, name="zoe-secret")
    make_preference(comparison, zoe, (1, 0), strength=2)
    return Review.objects.create(comparison=comparison, reason="4 steps apart")


def test_a_review_is_blind_and_decided_once(review: Review) -> None:
    client, url = signed_in("rita"), f"{ROOT}/reviews/{review.pk}"
    shown = client.get(url)
    assert len(shown.json()["votes"]) == 2
    assert not {"ben", "zoe-secret", "gpt-hidden"} & set(shown.content.decode().split('"'))
    body = {"idempotency_key": str(uuid.uuid4()), "verdict": "ranked", "strength": -1}
    assert client.post(url, body, format="json").status_code == 201
    other = {**body, "idempotency_key": str(uuid.uuid4())}
    assert client.post(url, other, format="json").status_code == 409
    assert client.get(f"{ROOT}/reviews").json() == []


def test_reviews_are_closed_to_annotators(review: Review) -> None:
    assert signed_in("ben").get(f"{ROOT}/reviews/{review.pk}").status_code == 403


def lease(client: APIClient) -> dict[str, Any]:
    body: dict[str, Any] = client.post(f"{ROOT}/assignments/next/", {}, format="json").json()
    return body


def test_a_known_answer_looks_like_work_to_the_annotator(project: Project, ben: Annotator) -> None:
    make_comparison(project, prompt="One?", priority=2)
    work = lease(signed_in("ben"))
    Assignment.objects.update(state="submitted", closed_at=ben.created_at)
    gold = make_comparison(project, prompt="Two?", is_gold=True, wanted_labels=0)
    Gold.objects.create(comparison=gold, accepted=[[0, 1]])
    QualityPolicy.objects.create(project=project, gold_share=1.0)
    hidden = lease(signed_in("ben"))
    assert Assignment.objects.order_by("-pk")[0].kind == Assignment.Kind.GOLD
    assert work.keys() == hidden.keys()
    assert work["assignment"].keys() == hidden["assignment"].keys()
    assert work["comparison"].keys() == hidden["comparison"].keys()
    assert "gold" not in str(hidden)


def test_who_must_pass_a_test_first_reads_why_there_is_no_work(
    project: Project, ben: Annotator
) -> None:
    QualityPolicy.objects.create(project=project, qualification_required=True)
    make_comparison(project)
    task = lease(signed_in("ben"))
    assert task["assignment"] is None
    assert "test question" in task["reason"]
    state = signed_in("ben").get(f"{ROOT}/qualification").json()
    assert state["is_required"] is True
