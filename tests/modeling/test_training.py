"""Training runs from the button to the numbered model."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from annotate.errors import ApplicationError, NotReady
from annotate.models import AuditEvent, JobState, Project
from annotate.services.imports import comparisons_import
from modeling.artifacts import artifact_load
from modeling.models import RewardModel, TrainingRun
from modeling.selectors import Figure, latest_reward_model, modeling_summary
from modeling.services.jobs import job_cancel
from modeling.services.training import training_run_start
from modeling.services.training_work import training_run_execute
from tests.factories import make_annotator, make_comparison, make_preference, make_project

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]

N_PROMPTS = 60


@pytest.fixture
def project() -> Project:
    """Two comparisons on each of 60 prompts; polite responses win, but for one slip in ten."""
    project = make_project(slug="kind")
    human, judge = make_annotator(project), make_annotator(project, kind="judge")
    rng = np.random.default_rng(5)
    for number in range(N_PROMPTS):
        for variant in range(2):
            texts = [f"Certainly, gladly: {number} {variant}.", f"No idea, ask away: {number}."]
            first_is_kind, slip = bool(rng.integers(2)), rng.random() < 0.1
            comparison = make_comparison(
                project,
                prompt=f"Question {number}",
                texts=texts if first_is_kind else texts[::-1],
            )
            make_preference(comparison, human, (0, 1) if first_is_kind != slip else (1, 0))
            make_preference(comparison, judge, (1, 0) if first_is_kind else (0, 1))
    return project


def trained(project: Project, **options: Any) -> TrainingRun:
    """A run that has been executed in this process."""
    run = training_run_start(project=project, user=None, **options)
    training_run_execute(run_id=run.pk)
    run.refresh_from_db()
    return run


def test_a_planted_preference_is_learned(project: Project) -> None:
    run = trained(project)
    assert (run.state, run.progress) == (JobState.DONE, 1.0)
    assert run.reward_model.metrics["accuracy"]["estimate"] > 0.75
    assert run.reward_model.number == 1


def test_train_and_test_share_no_prompt(project: Project) -> None:
    metrics = trained(project).reward_model.metrics
    assert metrics["n_train_prompts"] + metrics["n_prompts"] == N_PROMPTS
    assert metrics["n_train"] + metrics["n"] == 2 * N_PROMPTS


def test_judge_labels_are_tested_on_humans_all_the_same(project: Project) -> None:
    metrics = trained(project, labels="judge").reward_model.metrics
    # The judge always prefers what people reject.
    assert metrics["accuracy"]["estimate"] < 0.25
    assert metrics["held_out"] == "held-out human labels"


def test_both_takes_people_where_they_labelled(project: Project) -> None:
    human_only = trained(project).reward_model.metrics["accuracy"]
    both = trained(project, labels="both").reward_model.metrics["accuracy"]
    assert both == human_only


def test_the_learning_curve_has_at_least_five_growing_points(project: Project) -> None:
    curve = trained(project).curve
    sizes = [point["n_labels"] for point in curve]
    assert len(curve) >= 5
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == RewardModel.objects.get().metrics["n_train"]


def test_the_same_seed_gives_the_same_numbers(project: Project) -> None:
    first, second = trained(project, seed=3), trained(project, seed=3)
    timing = {"seconds": 0}
    assert first.curve == second.curve
    assert {**first.reward_model.metrics, **timing} == {**second.reward_model.metrics, **timing}


def test_another_seed_gives_other_numbers(project: Project) -> None:
    first, second = trained(project, seed=3), trained(project, seed=4)
    assert first.reward_model.metrics["log_loss"] != second.reward_model.metrics["log_loss"]


def test_the_artifact_scores_what_the_metrics_claim(project: Project) -> None:
    model = trained(project).reward_model
    loaded = artifact_load(model)
    kind, rude = loaded.member_rewards(
        prompts=["Question 1"] * 2,
        responses=["Certainly, gladly: 1 0.", "No idea, ask away: 1."],
    ).T
    assert (kind > rude).all()


def test_models_are_numbered_in_their_project(project: Project) -> None:
    trained(project)
    trained(project, seed=1)
    latest = latest_reward_model(project)
    assert latest is not None
    assert str(latest) == "rm-2"


def test_the_same_labels_share_one_dataset_version(project: Project) -> None:
    assert trained(project).dataset_version == trained(project, seed=1).dataset_version


def test_labels_that_come_after_the_start_are_not_learned(project: Project) -> None:
    run = training_run_start(project=project, user=None)
    make_preference(make_comparison(project), make_annotator(project))
    training_run_execute(run_id=run.pk)
    metrics = RewardModel.objects.get().metrics
    assert metrics["n_train"] + metrics["n"] == 2 * N_PROMPTS


def test_the_summary_names_the_model_and_its_accuracy(project: Project) -> None:
    run = trained(project)
    summary = modeling_summary(project=project)
    assert summary.model_number == 1
    assert summary.model_accuracy == Figure.read(run.reward_model.metrics["accuracy"])
    assert summary.latest_run == run


def test_the_start_is_on_the_audit_trail(project: Project) -> None:
    run = training_run_start(project=project, user=None, seed=9)
    event = AuditEvent.objects.get(action="training_run.start")
    assert event.target == str(run.public_id)
    assert event.data["seed"] == 9


def test_the_task_is_queued_after_the_commit(
    project: Project, django_capture_on_commit_callbacks: Any
) -> None:
    with patch("modeling.tasks.training_run_execute.delay") as delay:
        with django_capture_on_commit_callbacks(execute=True):
            run = training_run_start(project=project, user=None)
        delay.assert_called_once_with(run.pk)


def test_a_cancelled_run_stops_and_leaves_no_model(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training_run_start(project=project, user=None)

    def cancel_on_fit(*_arguments: Any, **_options: Any) -> None:
        job_cancel(TrainingRun.objects.get(pk=run.pk))

    monkeypatch.setattr("modeling.training.is_training_prompt", cancelling(cancel_on_fit))
    training_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.state == JobState.CANCELLED
    assert not RewardModel.objects.exists()


def cancelling(cancel: Any) -> Any:
    """The real split, with something happening before it."""
    from modeling.training import is_training_prompt

    def split(*arguments: Any) -> Any:
        cancel()
        return is_training_prompt(*arguments)

    return split


def test_a_second_attempt_starts_over_and_makes_one_model(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training_run_start(project=project, user=None)
    run.curve = [{"n_labels": 1, "accuracy": 0.1}]
    run.save(update_fields=["curve"])
    training_run_execute(run_id=run.pk)
    assert not training_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.curve[0]["n_labels"] > 1
    assert RewardModel.objects.count() == 1


def test_a_run_that_is_gone_is_no_error() -> None:
    assert not training_run_execute(run_id=12345)


def test_too_few_labels_are_refused_with_how_many_are_missing() -> None:
    project = make_project()
    make_preference(make_comparison(project), make_annotator(project))
    with pytest.raises(NotReady, match=r"at least 20 labelled .* Label (19|20) more"):
        training_run_start(project=project, user=None)
    assert not TrainingRun.objects.exists()


def test_labels_without_people_have_nothing_to_be_tested_on() -> None:
    project = make_project()
    judge = make_annotator(project, kind="judge")
    for _ in range(60):
        make_preference(make_comparison(project), judge)
    with pytest.raises(NotReady, match="at least 8 human labels"):
        training_run_start(project=project, user=None, labels="judge")


@pytest.mark.parametrize(("option", "value"), [("labels", "robots"), ("encoder", "word2vec")])
def test_an_unknown_option_is_named(project: Project, option: str, value: str) -> None:
    with pytest.raises(ApplicationError, match=f"'{value}'"):
        trained(project, **{option: value})


@pytest.mark.slow
def test_the_three_human_set_trains_a_model_above_chance(real_data: Path) -> None:
    project = make_project()
    comparisons_import(project=project, path=real_data / "pandalm.jsonl")
    metrics = trained(project).reward_model.metrics
    assert metrics["accuracy"]["low"] > 0.5
    assert metrics["n_train_prompts"] + metrics["n_prompts"] == 170
