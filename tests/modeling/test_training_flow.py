"""What surrounds a training: features first, repetitions, resumption, provenance."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from annotate.errors import ApplicationError, ConflictError
from annotate.models import JobState, Project
from modeling.finetuning.options import FineTuneOptions
from modeling.models import FeatureRun, RewardModel, TrainingRun
from modeling.provenance import code_sha256, provenance_of
from modeling.services import encoding, training
from modeling.services.jobs import job_cancel, job_fail
from modeling.services.training_work import training_run_execute
from tests.factories import make_annotator, make_comparison, make_preference, make_project
from tests.modeling.worlds import kind_project
from tests.tiny_models import tiny_encoder_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]

TINY = "transformers:tiny-bert"


@pytest.fixture
def project() -> Project:
    """Enough labels to start a training."""
    project = make_project()
    human = make_annotator(project)
    for number in range(60):
        # The prompt decides what is held out, so the texts are the same whichever test comes first.
        make_preference(make_comparison(project, prompt=f"Matter {number}?"), human)
    return project


@pytest.fixture(autouse=True)
def models_dir(settings: Settings, tmp_path: Path) -> None:
    """One installed model."""
    settings.MODELS_DIR = tmp_path / "models"
    tiny_encoder_model(tmp_path / "models" / "tiny-bert")


def state(run: Any) -> tuple[str, str]:
    """State and message of a job."""
    run.refresh_from_db()
    return run.state, run.message


def test_a_slow_encoder_is_computed_first_on_its_own_queue(
    project: Project, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[int] = []
    monkeypatch.setattr("modeling.tasks.training_run_execute.delay", queued.append)
    run = training.training_run_start(project=project, user=None, encoder=TINY)
    features = FeatureRun.objects.get()
    assert (run.feature_run, features.encoder) == (features, f"{TINY}:mean:-1")
    with django_capture_on_commit_callbacks(execute=True):
        encoding.feature_run_execute(run_id=features.pk)
    assert state(features)[0] == JobState.DONE
    assert queued == [run.pk]


def test_a_training_whose_features_failed_fails_with_the_reason(project: Project) -> None:
    run = training.training_run_start(project=project, user=None, encoder=TINY)
    features = FeatureRun.objects.get()
    FeatureRun.objects.filter(pk=features.pk).update(state=JobState.RUNNING)
    features.refresh_from_db()
    job_fail(features, "The disk is full.")
    assert encoding.training_runs_release() == 1
    assert state(run) == (
        JobState.FAILED,
        "The features it waited for are not there: The disk is full.",
    )


def test_two_trainings_share_one_encoding(project: Project) -> None:
    first = training.training_run_start(project=project, user=None, encoder=TINY)
    second = training.training_run_start(project=project, user=None, encoder=TINY, seed=1)
    assert first.feature_run == second.feature_run


def test_cancelling_stops_features_that_nobody_else_waits_for(project: Project) -> None:
    first = training.training_run_start(project=project, user=None, encoder=TINY)
    second = training.training_run_start(project=project, user=None, encoder=TINY, seed=1)
    training.training_run_cancel(run=first)
    assert state(FeatureRun.objects.get())[0] == JobState.QUEUED
    training.training_run_cancel(run=second)
    assert state(FeatureRun.objects.get())[0] == JobState.CANCELLED


def test_a_repetition_after_a_later_import_ends_in_the_same_artifact() -> None:
    project = kind_project()
    first = training.training_run_start(project=project, user=None)
    training_run_execute(run_id=first.pk)
    model = RewardModel.objects.get(training_run=first)
    make_preference(
        make_comparison(project, texts=["Quite new words.", "Unheard of."]),
        make_annotator(project),
    )
    again = training.training_run_repeat(run=model.training_run, user=None)
    training_run_execute(run_id=again.pk)
    repeated = RewardModel.objects.get(training_run=again)
    assert repeated.artifact_sha256 == model.artifact_sha256
    timing = {"seconds": 0}
    assert {**repeated.metrics, **timing} == {**model.metrics, **timing}


def test_a_model_says_what_it_was_made_with(project: Project) -> None:
    run = training.training_run_start(project=project, user=None)
    made = provenance_of(run)
    assert made["data_sha256"] == run.dataset_version.content_hash
    assert made["code_sha256"] == code_sha256()
    assert made["packages"]["torch"].startswith("2.13.0")


def test_a_stopped_fine_tuning_is_resumed_and_nothing_else(project: Project) -> None:
    options = FineTuneOptions(base="tiny-bert")
    run = training.fine_tuning_start(project=project, user=None, options=options)
    with pytest.raises(ConflictError, match="failed or was cancelled"):
        training.training_run_resume(run=run, user=None)
    job_cancel(run)
    training.training_run_resume(run=run, user=None)
    assert state(run) == (JobState.QUEUED, "")
    heads = training.training_run_start(project=project, user=None)
    TrainingRun.objects.filter(pk=heads.pk).update(state=JobState.FAILED)
    with pytest.raises(ConflictError):
        training.training_run_resume(run=heads, user=None)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"rank": 0}, "rank"), ({"epochs": 99.0}, "epochs"), ({"base": "gpt-9"}, "base")],
)
def test_options_outside_their_limits_are_named(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        FineTuneOptions(**{"base": "tiny-bert", **changed})
    assert caught.value.field == field


def test_missing_packages_are_named_with_the_remedy(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeling.finetuning.options.PACKAGES", ("no_such_package",))
    with pytest.raises(ApplicationError, match=r"pip install 'tandem\[finetuning\]'"):
        training.fine_tuning_start(
            project=project, user=None, options=FineTuneOptions(base="tiny-bert")
        )
