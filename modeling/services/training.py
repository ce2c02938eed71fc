"""Training runs: started by a person, executed by a worker, ending in a numbered reward model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from annotate.errors import ApplicationError, NotReady
from annotate.models import Annotator, DatasetVersion, LabelRule, Preference, Project
from annotate.services.audit import audit_write
from annotate.services.versions import dataset_version_create
from modeling.encoder_names import encoder_require
from modeling.models import RewardModel, TrainingRun
from modeling.services.jobs import job_enqueue, job_execute, job_reporter
from modeling.splits import is_held_out

LABEL_RULES = {
    "human": LabelRule.HUMAN_MAJORITY,
    "judge": LabelRule.JUDGE_MAJORITY,
    "both": LabelRule.HUMAN_THEN_JUDGE,
}
LABELS = {
    "human": "Humans only",
    "both": "Humans, and judges where no human labelled",
    "judge": "Judges only (tested on humans all the same)",
}
MIN_TRAIN = 20
MIN_TEST = 8
MIN_TEST_PROMPTS = 3


@dataclass(frozen=True)
class TrainingReadiness:
    """How many labelled comparisons fall on either side of the split by prompt."""

    n_train: int
    n_test: int
    n_test_prompts: int

    @property
    def refusal(self) -> str:
        """Why training cannot start yet, with what is missing; empty when it can."""
        if self.n_train < MIN_TRAIN:
            return (
                f"Training needs at least {MIN_TRAIN} labelled comparisons outside the held-out "
                f"prompts; there are {self.n_train}. Label {MIN_TRAIN - self.n_train} more."
            )
        if self.n_test < MIN_TEST or self.n_test_prompts < MIN_TEST_PROMPTS:
            return (
                f"The test needs at least {MIN_TEST} human labels on {MIN_TEST_PROMPTS} held-out "
                f"prompts (a quarter of all prompts is held out); there are {self.n_test} on "
                f"{self.n_test_prompts}. Let people label more prompts."
            )
        return ""


def training_readiness(*, project: Project, labels: str) -> TrainingReadiness:
    """Count what training and test would stand on."""
    by_humans = _labelled(project, [Annotator.Kind.HUMAN])
    kinds = {
        "human": [Annotator.Kind.HUMAN],
        "judge": [Annotator.Kind.JUDGE],
        "both": [Annotator.Kind.HUMAN, Annotator.Kind.JUDGE],
    }[labels]
    trained = by_humans if labels == "human" else _labelled(project, kinds)
    test_prompts = [prompt for _, prompt in by_humans if is_held_out(prompt)]
    return TrainingReadiness(
        n_train=sum(not is_held_out(prompt) for _, prompt in trained),
        n_test=len(test_prompts),
        n_test_prompts=len(set(test_prompts)),
    )


def training_run_start(
    *,
    project: Project,
    user: User | None,
    encoder: str = "tfidf",
    labels: str = "human",
    seed: int = 0,
) -> TrainingRun:
    """Freeze the labels as a dataset version and queue a training run on it.

    Raises
    ------
    NotReady
        If there are too few labels, with how many are missing.
    ApplicationError
        If the encoder or the choice of labels is unknown.
    """
    encoder_require(encoder)
    if labels not in LABEL_RULES:
        raise ApplicationError(
            f"Unknown labels {labels!r}; use one of {', '.join(LABEL_RULES)}.", field="labels"
        )
    readiness = training_readiness(project=project, labels=labels)
    if readiness.refusal:
        raise NotReady(readiness.refusal, field="labels")
    # Outside a transaction: the writers' lock that freezing takes must not wait for its long read.
    version = dataset_version_create(project=project, label_rule=LABEL_RULES[labels], user=user)
    return _run_create(version, {"encoder": encoder, "labels": labels}, seed, user)


@transaction.atomic
def _run_create(
    version: DatasetVersion, parameters: dict[str, str], seed: int, user: User | None
) -> TrainingRun:
    run = TrainingRun.objects.create(
        project=version.project,
        dataset_version=version,
        parameters=parameters,
        seed=seed,
        created_by=user,
    )
    audit_write(
        project=version.project,
        actor=user,
        action="training_run.start",
        target=str(run.public_id),
        data={**parameters, "seed": seed, "dataset_version": version.number},
    )
    job_enqueue(run)
    return run


def training_run_execute(*, run_id: int) -> bool:
    """Train in this process, unless the run is gone, over or in other hands."""
    run = TrainingRun.objects.select_related("project", "dataset_version").filter(pk=run_id).first()
    return run is not None and job_execute(run, _train)


def _train(run: TrainingRun) -> str:
    # Loaded here, in the worker: the web process starts runs but never needs these libraries.
    from modeling.artifacts import artifact_write
    from modeling.training import Point, train

    started = time.monotonic()
    run.curve = []
    run.save(update_fields=["curve"])

    def on_point(point: Point) -> None:
        run.curve.append(point)
        run.save(update_fields=["curve"])

    progress = job_reporter(run)
    trained = train(run, progress=progress, on_point=on_point)
    progress(1.0, "Writing the model")
    seconds = round(time.monotonic() - started, 1)
    metrics = {**trained.metrics, "seed": run.seed, "seconds": seconds}
    stored = artifact_write(
        run=run, pipeline=trained.pipeline, ensemble=trained.ensemble, meta=metrics
    )
    model = _reward_model_create(run, metrics, artifact=stored.name, sha256=stored.sha256)
    return f"Trained {model} in {seconds:g} s."


@transaction.atomic
def _reward_model_create(
    run: TrainingRun, metrics: dict[str, object], *, artifact: str, sha256: str
) -> RewardModel:
    # The project's row orders concurrent runs, so that numbers have no gaps and no twins.
    Project.objects.select_for_update(of=("self",), no_key=True).get(pk=run.project_id)
    last = RewardModel.objects.filter(project_id=run.project_id).aggregate(last=Max("number"))
    values = {
        "encoder": run.parameters["encoder"],
        "artifact": artifact,
        "artifact_sha256": sha256,
        "metrics": metrics,
    }
    model, _ = RewardModel.objects.update_or_create(
        training_run=run,
        defaults=values,
        create_defaults={**values, "project_id": run.project_id, "number": (last["last"] or 0) + 1},
    )
    return model


def _labelled(project: Project, kinds: Sequence[str]) -> list[tuple[int, str]]:
    """Comparisons that somebody of these kinds ranked, each with its prompt's hash."""
    rows = (
        Preference.objects.current()
        .votes()
        .filter(comparison__project=project, annotator__kind__in=kinds, ranking__isnull=False)
    )
    pairs = rows.order_by().values_list("comparison_id", "comparison__prompt__content_hash")
    return list(pairs.distinct())
