"""A labelled project whose preference is planted, and what is trained on it."""

from typing import Any
from unittest.mock import patch

import numpy as np

from annotate.models import DatasetVersion, JobState, LabelRule, Preference, Project, Response
from modeling.models import RewardModel, TrainingRun
from modeling.services.training import training_run_start
from modeling.services.training_work import training_run_execute
from tests.factories import make_annotator, make_comparison, make_preference, make_project

N_PROMPTS = 60
_LEARNED: dict[str, Any] = {}


def kind_project(*, variants: int = 2, **fields: Any) -> Project:
    """Comparisons on each of 60 prompts; polite responses win, but for one slip in ten."""
    project = make_project(**{"slug": "kind", **fields})
    human = make_annotator(project)
    rng = np.random.default_rng(5)
    for number in range(N_PROMPTS):
        for variant in range(variants):
            texts = [f"Certainly, gladly: {number} {variant}.", f"No idea, ask away: {number}."]
            first_is_kind, slip = bool(rng.integers(2)), rng.random() < 0.1
            comparison = make_comparison(
                project,
                prompt=f"Question {number}",
                texts=texts if first_is_kind else texts[::-1],
            )
            make_preference(comparison, human, (0, 1) if first_is_kind != slip else (1, 0))
    return project


def listed_model(project: Project, number: int = 1, **fields: Any) -> RewardModel:
    """A reward model as a row, with nothing behind it."""
    version, _ = DatasetVersion.objects.get_or_create(
        project=project,
        number=1,
        defaults={
            "label_rule": LabelRule.HUMAN_MAJORITY,
            "last_preference_id": 1,
            "last_comparison_id": 1,
            "n_rows": 1,
            "content_hash": "0" * 64,
        },
    )
    run = TrainingRun.objects.create(
        project=project,
        dataset_version=version,
        state=JobState.DONE,
        parameters={"labels": "human"},
    )
    values = {"encoder": "tfidf", "artifact": "none", "artifact_sha256": "0" * 64, **fields}
    return RewardModel.objects.create(project=project, number=number, training_run=run, **values)


def trained_model(project: Project, **options: Any) -> RewardModel:
    """A reward model trained in this process; equal labels and options are learned from once."""
    from modeling import training

    run = training_run_start(project=project, user=None, **options)
    with patch("modeling.training.train", remembering(training.train)):
        training_run_execute(run_id=run.pk)
    return RewardModel.objects.get(training_run=run)


def remembering(train: Any) -> Any:
    """A training that repeats what an equal one found, curve and model."""

    def remembered(run: TrainingRun, *, progress: Any, on_point: Any) -> Any:
        key = repr((labels_of(run.project), run.parameters, run.seed))
        if key not in _LEARNED:
            points: list[Any] = []
            trained = train(run, progress=progress, on_point=points.append)
            _LEARNED[key] = (points, trained)
        points, trained = _LEARNED[key]
        for point in points:
            on_point(point)
        return trained

    return remembered


def labels_of(project: Project) -> list[tuple[Any, ...]]:
    """Everything that a training reads of a project, without its keys."""
    rows = Preference.objects.filter(comparison__project=project).order_by("pk")
    texts = Response.objects.filter(prompt__project=project).order_by("pk")
    return [
        *rows.values_list("comparison__prompt__content_hash", "annotator__kind", "ranking"),
        *texts.values_list("prompt__content_hash", "text"),
    ]
