"""The only way from a URL to a row of routing; the caller owns the project already."""

from uuid import UUID

from django.shortcuts import get_object_or_404

from annotate.access import Access
from routing.models import (
    AcquisitionReplay,
    AcquisitionRound,
    ReplayRun,
    RoutingArm,
    RoutingBatch,
    RoutingStudy,
    TaggingRun,
)


def get_study_for(access: Access, number: int) -> RoutingStudy:
    """Return a study of the project."""
    studies = RoutingStudy.objects.select_related("judge")
    return get_object_or_404(studies, project=access.project, number=number)


def get_batch_for(access: Access, public_id: UUID | str) -> RoutingBatch:
    """Return a batch or dry run of the project."""
    batches = RoutingBatch.objects.select_related("project", "judge", "study")
    return get_object_or_404(batches, project=access.project, public_id=public_id)


def get_round_for(access: Access, number: int) -> AcquisitionRound:
    """Return an acquisition round of the project."""
    return get_object_or_404(AcquisitionRound, project=access.project, number=number)


def get_acquisition_replay_for(access: Access, number: int) -> AcquisitionReplay:
    """Return an acquisition replay of the project."""
    return get_object_or_404(AcquisitionReplay, project=access.project, number=number)


def get_replay_for(access: Access, number: int) -> ReplayRun:
    """Return a replay of the project."""
    return get_object_or_404(ReplayRun, project=access.project, number=number)


def get_arm_for(access: Access, pk: int) -> RoutingArm:
    """Return a group of people of the project."""
    return get_object_or_404(RoutingArm, project=access.project, pk=pk)


def get_tagging_for(access: Access, pk: int) -> TaggingRun:
    """Return a tagging run of the project."""
    runs = TaggingRun.objects.select_related("judge__annotator")
    return get_object_or_404(runs, project=access.project, pk=pk)
