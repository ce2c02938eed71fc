"""From a URL to a row of modeling; the project itself comes from ``annotate.access``."""

from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.http import Http404

from annotate.access import Access
from modeling.models import (
    AuditRun,
    FilterRun,
    GateRun,
    Judge,
    JudgeAlarm,
    JudgeBatch,
    JudgePrompt,
    JudgeRun,
    ModelFamily,
    OutsideTest,
    RewardModel,
    ScoreRun,
    TrainingRun,
)

M = TypeVar("M", bound=Model)


def _found(queryset: QuerySet[M], **lookup: Any) -> M:
    try:
        return queryset.get(**lookup)
    except (ObjectDoesNotExist, ValueError) as error:
        raise Http404(f"No such {queryset.model._meta.verbose_name}.") from error


def get_judge_for(access: Access, pk: int) -> Judge:
    """Return a judge of a project that the member owns."""
    judges = Judge.objects.select_related("annotator__project")
    return _found(judges, pk=pk, annotator__project=access.project)


def get_judge_run_for(access: Access, public_id: UUID | str) -> JudgeRun:
    """Return a judge run of a project that the member owns."""
    runs = JudgeRun.objects.select_related("judge__annotator")
    return _found(runs, public_id=public_id, judge__annotator__project=access.project)


def get_judge_prompt_for(access: Access, pk: int) -> JudgePrompt:
    """Return a version of a prompt of a project that the member owns."""
    return _found(JudgePrompt.objects.all(), pk=pk, project=access.project)


def get_judge_batch_for(access: Access, public_id: UUID | str) -> JudgeBatch:
    """Return a judge's batch of a project that the member owns."""
    batches = JudgeBatch.objects.select_related("judge__annotator__project", "run")
    return _found(batches, public_id=public_id, judge__annotator__project=access.project)


def get_model_family_for(access: Access, pk: int) -> ModelFamily:
    """Return an addition to the model families of a project that the member owns."""
    return _found(ModelFamily.objects.select_related("project"), pk=pk, project=access.project)


def get_judge_alarm_for(access: Access, pk: int) -> JudgeAlarm:
    """Return an open alarm about a judge of a project that the member owns."""
    alarms = JudgeAlarm.objects.select_related("judge__annotator__project")
    return _found(alarms, pk=pk, judge__annotator__project=access.project, resolved_at__isnull=True)


def get_training_run_for(access: Access, public_id: UUID | str) -> TrainingRun:
    """Return a training run of a project that the member owns."""
    runs = TrainingRun.objects.select_related("dataset_version", "reward_model", "feature_run")
    return _found(runs, public_id=public_id, project=access.project)


def get_reward_model_for(access: Access, number: int) -> RewardModel:
    """Return a reward model of a project that the member owns."""
    models = RewardModel.objects.select_related("training_run__dataset_version", "project")
    return _found(models, number=number, project=access.project)


def get_gate_run_for(access: Access, public_id: UUID | str) -> GateRun:
    """Return an examination of a model of a project that the member owns."""
    runs = GateRun.objects.select_related("reward_model__project", "against")
    return _found(runs, public_id=public_id, reward_model__project=access.project)


def get_outside_test_for(access: Access, public_id: UUID | str) -> OutsideTest:
    """Return a test elsewhere of a model of a project that the member owns."""
    runs = OutsideTest.objects.select_related("reward_model__project", "tested")
    return _found(runs, public_id=public_id, reward_model__project=access.project)


def get_score_run_for(access: Access, public_id: UUID | str) -> ScoreRun:
    """Return a scoring by a model of a project that the member owns."""
    runs = ScoreRun.objects.select_related("reward_model")
    return _found(runs, public_id=public_id, reward_model__project=access.project)


def get_audit_run_for(access: Access, public_id: UUID | str) -> AuditRun:
    """Return a label audit of a project that the member owns."""
    return _found(AuditRun.objects.all(), public_id=public_id, project=access.project)


def get_filter_run_for(access: Access, public_id: UUID | str) -> FilterRun:
    """Return a set of filters of a project that the member owns."""
    runs = FilterRun.objects.select_related("project")
    return _found(runs, public_id=public_id, project=access.project)
