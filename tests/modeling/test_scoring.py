"""Rewards of sent texts and of whole projects, and the columns that exports get from them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from scipy.special import expit

from annotate.errors import ApplicationError, NotReady
from annotate.models import JobState, Project, Response
from annotate.services.exports import export_open
from modeling.artifacts import artifact_load
from modeling.models import GateRun, Promotion, ResponseReward, RewardModel
from modeling.scoring import scorer_for
from modeling.services import scoring
from tests.factories import make_member, make_user
from tests.modeling.worlds import kind_project, trained_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]

KIND = {"prompt": "Question 1", "response": "Certainly, gladly: 1 0."}
RUDE = {"prompt": "Question 1", "response": "No idea, ask away: 1."}


@pytest.fixture
def project() -> Project:
    """A project with a planted preference."""
    return kind_project()


@pytest.fixture
def model(project: Project) -> RewardModel:
    """A model that has learned it."""
    return trained_model(project)


@pytest.fixture
def current(model: RewardModel) -> RewardModel:
    """The same model, promoted."""
    run = GateRun.objects.create(reward_model=model, state=JobState.DONE, has_passed=True)
    Promotion.objects.create(
        project=model.project, kind=Promotion.Kind.PROMOTE, reward_model=model, gate_run=run
    )
    return model


def score_project(model: RewardModel) -> None:
    """Score every response in this process."""
    run = scoring.project_score_start(model=model, user=None)
    scoring.score_run_execute(run_id=run.pk)


def exported(project: Project, *columns: str) -> list[dict[str, object]]:
    """The rows of a TRL export."""
    export = export_open(project=project, format="trl-preference", columns=columns)
    lines = b"".join(export.stream()).splitlines()
    return [json.loads(line) for line in lines]


def test_polite_texts_get_higher_rewards_with_a_spread(model: RewardModel) -> None:
    run = scoring.score_run_start(model=model, items=[KIND, RUDE], user=None)
    scoring.score_run_execute(run_id=run.pk)
    run.refresh_from_db()
    kind, rude = run.rewards
    assert kind["reward"] > rude["reward"]
    assert kind["spread"] > 0


def test_rewards_are_on_the_scale_of_the_probability(model: RewardModel) -> None:
    chance = scorer_for(model).compare([KIND["prompt"]], [KIND["response"]], [RUDE["response"]])
    ensemble = artifact_load(model).ensemble
    first, second = (
        artifact_load(model).member_rewards(prompts=[i["prompt"]], responses=[i["response"]])
        for i in (KIND, RUDE)
    )
    expected = expit((first - second) / ensemble.temperature_).mean()
    np.testing.assert_allclose(chance, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([], "Send 1 to 1,000 items"),
        ([KIND] * 1_001, "these are 1,001"),
        ([{"prompt": " ", "response": "x"}], r"items\[0\]: give a prompt"),
        ([KIND, {"turns": [{"role": "cat", "content": "x"}], "response": "x"}], r"items\[1\]"),
        ([{"prompt": "a", "response": "x" * 2_000_001}], "2,000,002"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_place(
    model: RewardModel, items: list[dict[str, object]], says: str
) -> None:
    with pytest.raises(ApplicationError, match=says):
        scoring.score_run_start(model=model, items=items, user=None)


def test_a_project_is_scored_once_and_later_responses_alone(model: RewardModel) -> None:
    ResponseReward.objects.create(
        reward_model=model, response=Response.objects.earliest("pk"), reward=42.0
    )
    score_project(model)
    assert ResponseReward.objects.count() == Response.objects.count()
    assert ResponseReward.objects.filter(reward=42.0).exists()
    assert scoring.n_unscored(model) == 0


def test_exports_get_the_rewards_of_both_sides(current: RewardModel) -> None:
    score_project(current)
    rows = exported(current.project, "reward_chosen", "reward_rejected", "reward_model")
    assert {row["reward_model"] for row in rows} == {"rm-1"}
    expected = {
        response.text: round(reward, 6)
        for reward, response in (
            (row.reward, row.response) for row in ResponseReward.objects.select_related("response")
        )
    }
    assert all(row["reward_chosen"] == expected[str(row["chosen"])] for row in rows)
    assert all(row["reward_rejected"] == expected[str(row["rejected"])] for row in rows)


def test_windows_of_comparisons_give_the_same_rewards(
    current: RewardModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_project(current)
    whole = exported(current.project, "id", "reward_chosen")
    monkeypatch.setattr("modeling.export_rewards.WINDOW", 7)
    assert exported(current.project, "id", "reward_chosen") == whole


def test_without_the_columns_an_export_is_as_before(current: RewardModel) -> None:
    assert set(exported(current.project)[0]) == {"prompt", "chosen", "rejected"}


def test_reward_columns_need_a_current_model(model: RewardModel) -> None:
    with pytest.raises(NotReady, match="Promote one first"):
        exported(model.project, "reward_chosen")


def test_reward_columns_need_scores(current: RewardModel) -> None:
    with pytest.raises(NotReady, match="has not scored"):
        exported(current.project, "reward_chosen")


def test_a_changed_artifact_is_not_scored_with(model: RewardModel, media: Path) -> None:
    path = media / model.artifact / "model.safetensors"
    path.write_bytes(path.read_bytes() + b" ")
    run = scoring.score_run_start(model=model, items=[KIND], user=None)
    scoring.score_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.state == JobState.FAILED
    assert "has changed since it was written" in run.message


ASKED = {
    "format": "trl-preference", "version": "", "label_rule": "", "style": "auto", "container": "",
    "pairing": "all", "prompt": "explicit", "columns": ["reward_chosen", "reward_model"],
    "now": "1",
}  # fmt: skip


def exported_on_the_page(project: Project) -> Any:
    """What the export form answers when the reward columns are ticked."""
    owner = make_user("ada")
    make_member(project, owner, role="owner")
    client = Client()
    client.force_login(owner)
    page = f"/projects/{project.slug}/data/"
    assert 'value="reward_rejected"' in client.get(page).content.decode()
    answer = client.post(f"{page}exports/", ASKED)
    return client.get(answer["Location"]) if answer.status_code == 302 else answer


def test_the_export_page_offers_reward_columns_and_writes_them(current: RewardModel) -> None:
    score_project(current)
    answer = exported_on_the_page(current.project)
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert {row["reward_model"] for row in rows} == {"rm-1"}
    assert all(isinstance(row["reward_chosen"], float) for row in rows)


def test_the_export_page_says_which_model_is_missing(project: Project) -> None:
    answer = exported_on_the_page(project)
    assert answer.status_code == 422
    assert "none is. Promote one first." in answer.content.decode()
