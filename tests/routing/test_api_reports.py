"""Audit, next dollars and tagging over REST, and the weighting behind the audit."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from annotate.models import Annotator, JobState, Project
from modeling.models import Judge
from modeling.services.judges import judge_create
from routing.models import RoutingStudy
from routing.weighted_audit import pool_contradictions, weighted_share
from tests.factories import make_annotator, make_preference, make_user
from tests.routing_steps import routing_apply

PATHS = ["routing-audit", "routing-next-dollars", "tagging-runs"]
FRONTIER = {
    "human_share": [0.0, 0.5, 1.0],
    "performance": [0.60, 0.62, 0.63],
    "covariance": [[1e-6, 0.0, 0.0], [0.0, 1e-6, 0.0], [0.0, 0.0, 1e-6]],
}


@pytest.fixture
def api(ada: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(ada)
    return client


@pytest.fixture
def llm(small: Project, settings: Settings) -> Judge:
    settings.JUDGE_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    return judge_create(
        project=small, user=None, name="asked", base_url="http://127.0.0.1:9/v1",
        model_name="m", input_usd_per_million_tokens=Decimal(1),
    )  # fmt: skip


def url(project: Project, path: str) -> str:
    return f"/api/v1/projects/{project.slug}/{path}"


def studied(project: Project, judge: Annotator) -> RoutingStudy:
    ppm = {"has_signal": True, "reason": "Signal."}
    result = {"ppm": ppm, "frontier": FRONTIER, "judge_agreement": 0.5, "n_comparisons": 20}
    return RoutingStudy.objects.create(
        project=project, number=1, judge=judge, state="done", result=result
    )


def labelled(project: Project, judge: Annotator) -> Any:
    """A batch in which people contradict the judge on the audit alone."""
    batch = routing_apply(
        project=project, study=None, judge=judge, policy="random-v1",
        budget_usd=Decimal("4"), user=None, audit_share=0.2,
    )  # fmt: skip
    human = make_annotator(project, name="hugo")
    for decision in batch.decisions.filter(action="human").select_related("comparison"):
        said = decision.comparison.preferences.get(annotator=judge).ranking or []
        ranking = said[::-1] if decision.is_audit else said
        make_preference(decision.comparison, human, ranking=ranking)
    return batch


@pytest.mark.parametrize("path", PATHS)
def test_only_owners_get_them(small: Project, ben: User, path: str) -> None:
    assert APIClient().get(url(small, path)).status_code == 401
    client = APIClient()
    client.force_authenticate(make_user("cleo"))
    assert client.get(url(small, path)).status_code == 404
    client.force_authenticate(ben)
    assert client.get(url(small, path)).status_code == 403


def test_the_audit_is_told_with_its_intervals(
    small: Project, judge: Annotator, api: APIClient
) -> None:
    labelled(small, judge)
    told = api.get(url(small, "routing-audit")).json()
    # 4 of 20 are the audit, contradicted; 4 more were bought, confirmed: all by lot.
    assert (told["judge"], told["audit"]["n"], told["routed"]["n"]) == ("judy", 4, 4)
    assert (told["audit"]["share"], told["routed"]["share"], told["lift"]) == (1.0, 0.0, -1.0)
    assert told["pool"]["share"] == pytest.approx(0.5)
    assert told["pool"]["n_effective"] == pytest.approx(8)
    assert not told["is_ready"]
    assert told["alarms"] == []


def test_a_project_without_a_judge_has_no_audit(ada: User, api: APIClient) -> None:
    from tests.factories import make_project

    answer = api.get(url(make_project(owner=ada), "routing-audit"))
    assert (answer.status_code, "no judge" in answer.json()["detail"]) == (400, True)


def test_the_next_dollars_follow_the_curve(
    small: Project, judge: Annotator, api: APIClient
) -> None:
    studied(small, judge)
    told = api.get(url(small, "routing-next-dollars"), {"usd": "5", "worth_pp": "1"}).json()
    # $5 buy 10 of 20 labels at $0.50: from 0 to one half, .60 to .62.
    assert told["gain_pp"] == pytest.approx(2.0)
    assert told["high_pp"] - told["gain_pp"] == pytest.approx(1.959964 * 100 * np.sqrt(2e-6))
    assert (told["is_sure"], told["is_stop"], told["has_signal"]) == (True, False, True)


def test_without_a_study_it_says_what_to_do(small: Project, api: APIClient) -> None:
    answer = api.get(url(small, "routing-next-dollars"))
    assert (answer.status_code, "Run one first" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("query", [{"usd": "0"}, {"usd": "nan"}, {"worth_pp": "-1"}])
def test_bad_amounts_are_named(small: Project, api: APIClient, query: dict[str, str]) -> None:
    answer = api.get(url(small, "routing-next-dollars"), query)
    assert answer.status_code == 400
    assert next(iter(query)) in str(answer.json())


def test_tagging_is_started_read_and_cancelled(small: Project, llm: Judge, api: APIClient) -> None:
    started = api.post(url(small, "tagging-runs"), {"judge": llm.pk, "cap_usd": "2.00"})
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    pk = started.json()["id"]
    assert api.get(url(small, "tagging-runs")).json()[0]["judge"] == "asked"
    assert api.get(url(small, f"tagging-runs/{pk}")).json()["cap_usd"] == "2.00"
    assert api.post(url(small, "tagging-runs"), {"judge": llm.pk}).status_code == 409
    assert api.post(url(small, f"tagging-runs/{pk}/cancel")).json()["state"] == JobState.CANCELLED


def test_a_weighted_share_by_hand() -> None:
    # Two sure ones that agree and two of chance 1/4 of which one contradicts: 4 of 10.
    found = weighted_share([1.0, 1.0, 0.25, 0.25], [0.0, 0.0, 1.0, 0.0])
    assert found is not None
    assert found.share == pytest.approx(0.4)
    assert found.n_effective == pytest.approx(100 / 34)
    assert 0 < found.low < 0.4 < found.high < 1
    assert weighted_share([], []) is None


def test_weights_undo_what_routing_prefers() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(4000) < 0.2
    chance = np.where(wrong, 0.9, 0.1)
    estimates, plain = [], []
    for _ in range(40):
        asked = rng.random(4000) < chance
        found = weighted_share(chance[asked].tolist(), wrong[asked].astype(float).tolist())
        assert found is not None
        estimates.append(found.share)
        plain.append(wrong[asked].mean())
    assert np.mean(estimates) == pytest.approx(wrong.mean(), abs=0.01)
    assert np.mean(plain) > 0.6


def test_several_people_on_one_comparison_are_one_draw(small: Project, judge: Annotator) -> None:
    batch = labelled(small, judge)
    first = batch.decisions.filter(action="human", is_audit=True).first()
    said = first.comparison.preferences.get(annotator=judge).ranking or []
    make_preference(first.comparison, make_annotator(small, name="hanna"), ranking=said)
    found = pool_contradictions(batch=batch, judge=judge)
    assert found is not None
    assert found.n == 8
    assert found.share == pytest.approx(3.5 / 8)
