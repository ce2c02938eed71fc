"""Reward models on the human labels of projects that they never learned from."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotate.errors import ApplicationError, ConflictError
from annotate.models import ApiToken, AuditEvent, Comparison, JobState, Project
from annotate.services.tokens import api_token_create
from modeling.models import OutsideTest, RewardModel
from modeling.services.outside_tests import outside_test_execute, outside_test_start
from tests.factories import (
    make_annotator,
    make_comparison,
    make_member,
    make_preference,
    make_project,
    make_user,
)
from tests.modeling.worlds import kind_project, listed_model, trained_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
SUBSETS = ("alpacaeval-easy", "llmbar-natural", "donotanswer", "hep-go")


@pytest.fixture
def owner() -> User:
    """Owns everything here."""
    return make_user("ada")


@pytest.fixture
def model(owner: User) -> RewardModel:
    """A row without anything behind it."""
    return listed_model(make_project(owner=owner, slug="home"))


def elsewhere(*, prompts: range, winner: int = 0, **fields: Any) -> Project:
    """A project whose people choose the kind response, or the rude one."""
    project = make_project(slug="away", **fields)
    human = make_annotator(project)
    for number in prompts:
        texts = [f"Certainly, gladly: {number}.", f"No idea, ask away: {number}."]
        comparison = make_comparison(
            project, prompt=f"Question {number}", texts=texts if number % 2 else texts[::-1]
        )
        kind_is_first = bool(number % 2)
        make_preference(comparison, human, (0, 1) if kind_is_first == (winner == 0) else (1, 0))
    return project


def outcome(model: RewardModel, project: Project) -> OutsideTest:
    """A test that has been executed in this process."""
    run = outside_test_start(model=model, tested=project, user=None)
    outside_test_execute(run_id=run.pk)
    run.refresh_from_db()
    return run


def test_a_model_is_tested_on_prompts_that_it_never_saw() -> None:
    model = trained_model(kind_project())
    # Sixty prompts are at home, too.
    project = elsewhere(prompts=range(40, 100))
    subsets = {f"Question {number}": SUBSETS[number % 4] for number in range(60, 100)}
    for comparison in Comparison.objects.filter(project=project).select_related("prompt"):
        comparison.metadata = {"subset": subsets.get(comparison.prompt.text, "")}
        comparison.save()
    run = outcome(model, project)
    assert run.state == JobState.DONE, run.message
    assert (run.metrics["n"], run.metrics["n_prompts_shared"]) == (40, 20)
    assert run.metrics["accuracy"]["estimate"] > 0.9
    bench = run.metrics["bench"]
    assert set(bench["sections"]) == {"Chat", "Chat Hard", "Safety", "Reasoning"}
    assert bench["overall"]["mean"] > 0.9
    assert bench["overall"]["n"] == 40


def test_people_who_prefer_the_opposite_make_it_visible() -> None:
    model = trained_model(kind_project())
    run = outcome(model, elsewhere(prompts=range(100, 130), winner=1))
    assert run.metrics["accuracy"]["high"] < 0.5
    assert run.metrics["bench"] is None


def test_too_few_labels_end_in_a_sentence(model: RewardModel) -> None:
    run = outcome(model, elsewhere(prompts=range(100, 105)))
    assert run.state == JobState.FAILED
    assert "5 human labels on prompts" in run.message


def test_its_own_project_and_a_second_test_at_once_are_refused(
    model: RewardModel, owner: User
) -> None:
    with pytest.raises(ApplicationError, match="learned from this project"):
        outside_test_start(model=model, tested=model.project, user=owner)
    away = make_project(owner=owner, slug="away")
    outside_test_start(model=model, tested=away, user=owner)
    with pytest.raises(ConflictError, match="already"):
        outside_test_start(model=model, tested=away, user=owner)
    assert AuditEvent.objects.get(action="model.outside_test").data == {"project": "away"}


def test_the_page_tests_and_shows_what_was_found(model: RewardModel, owner: User) -> None:
    make_project(owner=owner, slug="away", name="Far away")
    client = signed_in(owner)
    page = f"/projects/home/models/{model.number}/"
    response = client.post(f"{page}elsewhere/", {"project": "away"})
    assert response["Location"] == f"{page}#elsewhere"
    run = OutsideTest.objects.get()
    live = client.get(f"/projects/home/models/elsewhere/{run.public_id}/")
    assert "every 2s" in live.content.decode()
    share = {"mean": 0.71, "low": 0.6, "high": 0.8, "n": 44}
    figure = {"estimate": 0.663, "low": 0.6, "high": 0.7, "n": 44, "n_prompts": 30}
    metrics: dict[str, Any] = {}
    metrics |= dict.fromkeys(("accuracy", "above_length", "log_loss", "ece"), figure)
    metrics |= {"n": 44, "n_prompts": 30, "n_prompts_shared": 7}
    metrics["bench"] = {"sections": {"Chat Hard": share}, "overall": None}
    OutsideTest.objects.update(state=JobState.DONE, metrics=metrics)
    shown = client.get(page).content.decode()
    assert "Far away" in shown
    assert "0.663" in shown
    assert "7 shared left out" in shown
    assert "Chat Hard" in shown
    ended = client.get(f"/projects/home/models/elsewhere/{run.public_id}/")
    assert ended["HX-Refresh"] == "true"


def test_a_project_of_others_cannot_be_chosen(model: RewardModel, owner: User) -> None:
    make_member(make_project(slug="away"), owner)
    client = signed_in(owner)
    client.post(f"/projects/home/models/{model.number}/elsewhere/", {"project": "away"})
    assert not OutsideTest.objects.exists()
    shown = client.get(f"/projects/home/models/{model.number}/").content.decode()
    assert "You own no other project." in shown


def test_the_api_starts_lists_and_reads_tests(model: RewardModel, owner: User) -> None:
    make_project(owner=owner, slug="away")
    client = signed_in(owner)
    address = f"/api/v1/projects/home/reward-models/{model.number}/outside-tests"
    started = client.post(address, {"project": "away"}, content_type="application/json")
    assert started.status_code == 202
    run = started.json()
    assert (run["project"], run["state"], run["metrics"]) == ("away", "queued", {})
    assert client.get(address).json() == [run]
    assert client.get(f"/api/v1/projects/home/outside-tests/{run['id']}").json() == run


@pytest.mark.parametrize(("role", "status"), [("annotator", 403), ("", 404)])
def test_both_projects_must_be_owned(
    model: RewardModel, owner: User, role: str, status: int
) -> None:
    away = make_project(slug="away")
    if role:
        make_member(away, owner, role=role)
    address = f"/api/v1/projects/home/reward-models/{model.number}/outside-tests"
    body = {"project": "away"}
    response = signed_in(owner).post(address, body, content_type="application/json")
    assert response.status_code == status


def test_a_token_of_one_project_reads_no_other(model: RewardModel, owner: User) -> None:
    make_project(owner=owner, slug="away")
    _, secret = api_token_create(
        user=owner, name="t", project=model.project, scope=ApiToken.Scope.WRITE
    )
    response = Client().post(
        f"/api/v1/projects/home/reward-models/{model.number}/outside-tests",
        {"project": "away"},
        content_type="application/json",
        headers={"authorization": f"Bearer {secret}"},
    )
    assert response.status_code == 404
    assert not OutsideTest.objects.exists()


def signed_in(user: User) -> Client:
    """A client of this user."""
    client = Client()
    client.force_login(user)
    return client
