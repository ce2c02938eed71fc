"""Pages of one model, its gates, label audits and filters."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from annotate.models import AuditEvent, Comparison, JobState, Project
from modeling.models import (
    AuditFinding,
    AuditRun,
    FilterRun,
    GateRun,
    Promotion,
    RewardModel,
    ScoreRun,
    TrainingRun,
)
from tests.factories import make_comparison, make_member, make_project, make_user
from tests.modeling.worlds import listed_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
PAGE = "/projects/answers/models/"
NOBODY = "00000000-0000-0000-0000-000000000000"


def figure(value: float, n: int = 40) -> dict[str, float]:
    """A stored figure."""
    return {"estimate": value, "low": value - 0.05, "high": value + 0.05, "n": n, "n_prompts": 9}


METRICS = {
    "held_out": "held-out human labels",
    "n": 44,
    "n_prompts": 9,
    "accuracy": figure(0.742),
    "log_loss": figure(0.6),
    "ece": figure(0.06),
    "brier": figure(0.2),
    "above_length": figure(0.031),
    "labels": "human",
    "n_train": 120,
    "n_train_prompts": 31,
    "n_heads": 8,
    "temperature": 1.1,
    "seed": 0,
    "seconds": 2.1,
    "slices": [
        {"slice": "Turns", "value": "one", "n": 30, "n_prompts": 8, "accuracy": figure(0.7, 30),
         "log_loss": figure(0.6, 30)},
        {"slice": "Turns", "value": "several", "n": 14, "n_prompts": 3, "accuracy": None,
         "log_loss": None},
    ],
    "best_of_n": [
        {"n": n, "kl": 0.1, "proxy": 0.2 * n, "gold": figure(0.1 * n)} for n in (1, 2, 4)
    ],
    "sources": {
        key: {"n_train": 100, "accuracy": figure(0.7), "log_loss": figure(0.6),
              "above_human": None if key == "human" else figure(0.0)}
        for key in ("human", "judge")
    },
    "bias": [{"feature": "log_characters", "rewards_per_sd": 0.31, "human_rate": 0.62}],
    "one_reward": {"sentence": "One reward is enough as far as 44 labels can tell."},
}  # fmt: skip
TESTS = [
    {"key": "beats_length", "title": "Beats the longer response", "has_passed": False,
     "found": "Accuracy less that of the longer response: +0.031", "estimate": 0.031,
     "low": -0.02, "high": 0.08},
    {"key": "on_topic", "title": "Short on-topic beats long off-topic", "has_passed": True,
     "found": "9 of 12 probes won, 8 needed.", "estimate": 0.75, "low": 0.47, "high": 0.91,
     "is_stress": True},
]  # fmt: skip


@pytest.fixture
def project() -> Project:
    """A project of ada's."""
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, make_user("ben"))
    make_user("cleo")
    return project


@pytest.fixture
def model(project: Project) -> RewardModel:
    """A model with every figure."""
    return listed_model(project, metrics=METRICS)


@pytest.fixture
def finding(project: Project) -> AuditFinding:
    """A suspected wrong label."""
    run = AuditRun.objects.create(
        project=project, encoder="tfidf", labels="human", state=JobState.DONE,
        finished_at=timezone.now(), message="1 labelled comparisons",
    )  # fmt: skip
    return AuditFinding.objects.create(
        run=run, comparison=make_comparison(project, prompt="Why?", wanted_labels=1), rank=0,
        finding="wrong", p_wrong=0.83, probability=0.1, strength=-2.0, spread=0.2, label=1.0,
        n_labels=2, soft_target=0.3,
    )  # fmt: skip


def signed_in(name: str) -> Client:
    """A client of this user."""
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def text_of(response: Any) -> str:
    """The page as text."""
    return str(response.content.decode())


@pytest.mark.parametrize(("who", "status"), [("ben", 403), ("cleo", 404)])
@pytest.mark.parametrize(
    "place",
    [
        "1/gates/", "1/score/", "rollback/", "fine-tunings/", "audit/runs/", "audit/decide/",
        "audit/filters/", f"runs/{NOBODY}/resume/", f"runs/{NOBODY}/repeat/",
        f"gates/{NOBODY}/cancel/", f"audit/runs/{NOBODY}/cancel/",
        f"audit/filters/{NOBODY}/switch/",
    ],
)  # fmt: skip
def test_only_owners_act(model: RewardModel, place: str, who: str, status: int) -> None:
    assert signed_in(who).post(f"{PAGE}{place}").status_code == status


def test_a_model_shows_slices_bias_sources_and_what_it_was_made_with(model: RewardModel) -> None:
    response = signed_in("ada").get(f"{PAGE}1/")
    page = text_of(response)
    assert "Length (characters)" in page
    assert "One reward is enough as far as 44 labels can tell." in page
    assert "Judges only" in page
    assert [name for name, _ in response.context["slices"]] == ["Turns"]
    chosen, at_random = response.context["best_of_n"]["series"]
    assert (chosen["points"][-1], at_random["points"][-1]) == ([4, 0.4], [4, 0.1])


def test_a_slice_of_few_labels_shows_its_n_and_no_figure(model: RewardModel) -> None:
    _, rows = signed_in("ada").get(f"{PAGE}1/").context["slices"][0]
    assert [(row.n, row.accuracy is None) for row in rows] == [(30, False), (14, True)]


def test_a_refusal_names_the_test_that_failed(model: RewardModel) -> None:
    GateRun.objects.create(
        reward_model=model, state=JobState.DONE, has_passed=False, tests=TESTS,
        finished_at=timezone.now(),
        message="rm-1 is not promoted. Failed: Beats the longer response.",
    )  # fmt: skip
    page = text_of(signed_in("ada").get(f"{PAGE}1/"))
    assert "rm-1 is not promoted. Failed: Beats the longer response." in page
    assert "9 of 12 probes won, 8 needed." in page


def test_gates_are_started_by_one_press_and_shown_live(model: RewardModel) -> None:
    client = signed_in("ada")
    assert client.post(f"{PAGE}1/gates/")["Location"] == f"{PAGE}1/"
    run = GateRun.objects.get()
    assert "Waiting for a worker" in text_of(client.get(f"{PAGE}1/"))
    GateRun.objects.update(state=JobState.DONE)
    assert client.get(f"{PAGE}gates/{run.public_id}/")["HX-Refresh"] == "true"


def test_rollback_is_one_press_and_on_the_audit_trail(model: RewardModel) -> None:
    run = GateRun.objects.create(reward_model=model, state=JobState.DONE, has_passed=True)
    Promotion.objects.create(
        project=model.project, kind="promote", reward_model=model, gate_run=run
    )
    client = signed_in("ada")
    assert "Roll back rm-1" in text_of(client.get(PAGE))
    assert "Rolled back. None is current." in text_of(client.post(f"{PAGE}rollback/", follow=True))
    assert AuditEvent.objects.filter(action="model.rollback").exists()
    assert "nothing to roll back" in text_of(client.post(f"{PAGE}rollback/", follow=True))


def test_a_model_is_trained_again_from_its_page(model: RewardModel) -> None:
    place = f"{PAGE}runs/{model.training_run.public_id}/repeat/"
    signed_in("ada").post(place)
    assert TrainingRun.objects.get(repeats=model.training_run).state == JobState.QUEUED


def test_a_repetition_says_whether_the_artifact_is_the_same(model: RewardModel) -> None:
    twin = listed_model(model.project, 2, metrics=METRICS)
    TrainingRun.objects.filter(pk=twin.training_run_id).update(repeats=model.training_run)
    assert "the same artifact" in text_of(signed_in("ada").get(f"{PAGE}1/"))
    RewardModel.objects.filter(pk=twin.pk).update(artifact_sha256="1" * 64)
    assert "another artifact" in text_of(signed_in("ada").get(f"{PAGE}1/"))


def test_the_project_is_scored_from_the_page(model: RewardModel) -> None:
    make_comparison(model.project)
    client = signed_in("ada")
    assert "2 responses are not scored yet" in text_of(client.get(f"{PAGE}1/"))
    client.post(f"{PAGE}1/score/")
    assert ScoreRun.objects.get().reward_model == model


def test_a_running_fine_tuning_shows_its_loss(model: RewardModel) -> None:
    losses = [{"step": n, "loss": 0.7 - n / 100, "epoch": 1.0} for n in (1, 2, 3)]
    run = TrainingRun.objects.create(
        project=model.project, dataset_version=model.training_run.dataset_version,
        state=JobState.RUNNING, losses=losses, message="Step 3 of 9, loss 0.670",
        parameters={"method": "lora", "base": "tiny", "encoder": "tiny", "labels": "human"},
    )  # fmt: skip
    response = signed_in("ada").get(f"{PAGE}runs/{run.public_id}/")
    assert "Step 3 of 9, loss 0.670" in text_of(response)
    assert response.context["live_losses"]["series"][0]["points"][0] == [1, 0.69]


def test_without_a_base_model_the_page_says_where_to_put_one(project: Project) -> None:
    assert "MODELS_DIR" in text_of(signed_in("ada").get(PAGE))


def test_a_finding_is_sent_and_taken_back_by_press(finding: AuditFinding) -> None:
    client = signed_in("ada")
    page = text_of(client.get(f"{PAGE}audit/"))
    assert "0.83" in page
    chosen = {"finding": [finding.pk], "kind": "wrong"}
    done = client.post(f"{PAGE}audit/decide/", {**chosen, "decision": "sent"}, follow=True)
    assert "1 comparison sent to a second person." in text_of(done)
    assert Comparison.objects.get().wanted_labels == 2
    client.post(f"{PAGE}audit/decide/", {**chosen, "decision": "reopen"})
    assert Comparison.objects.get().wanted_labels == 1


def test_a_finding_of_another_project_is_out_of_reach(finding: AuditFinding) -> None:
    make_project(owner=User.objects.get(username="ada"), slug="other")
    chosen = {"finding": [finding.pk, "x"], "decision": "sent"}
    done = signed_in("ada").post("/projects/other/models/audit/decide/", chosen, follow=True)
    assert "Nothing was chosen" in text_of(done)


def test_an_audit_is_started_from_the_form(project: Project) -> None:
    form = {"encoder": "tfidf", "labels": "human", "seed": 4}
    assert signed_in("ada").post(f"{PAGE}audit/runs/", form).status_code == 302
    assert AuditRun.objects.get().seed == 4
    assert signed_in("ada").post(f"{PAGE}audit/runs/", form).status_code == 422


def test_filters_are_worked_out_and_switched_off(project: Project) -> None:
    client = signed_in("ada")
    assert client.post(f"{PAGE}audit/filters/", {}).status_code == 422
    client.post(f"{PAGE}audit/filters/", {"duplicates": "on"})
    run = FilterRun.objects.get()
    FilterRun.objects.update(state=JobState.DONE, is_active=True, reasons={"1": "duplicate"})
    assert "Duplicate of an earlier comparison: 1" in text_of(client.get(f"{PAGE}audit/"))
    client.post(f"{PAGE}audit/filters/{run.public_id}/switch/", {"on": "0"})
    run.refresh_from_db()
    assert not run.is_active


def test_the_home_page_gives_every_figure_its_interval(model: RewardModel) -> None:
    home = text_of(signed_in("ada").get("/projects/answers/"))
    assert "0.742 [0.692, 0.792], n = 40 on held-out human labels" in home
    assert "calibration error 0.060 [0.010, 0.110], n = 40" in home
