"""Leases: handing comparisons to annotators so that overlap holds exactly."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from annotate.errors import ConflictError, NoWork
from annotate.models import Annotator, Assignment, ComparisonResponse, Project
from annotate.prepared import PreparedQuery
from annotate.services.quality_hooks import special_lease
from annotate.services.queue import Desk, desk_open, slot_take
from annotate.services.slots import (
    annotator_leases_return,
    assignment_close,
    assignments_expire,
    comparisons_lock,
    comparisons_recount,
    project_commit_money,
    project_release_money,
)

__all__ = [
    "MAX_LIVE_LEASES",
    "annotator_leases_return",
    "assignment_close",
    "assignment_heartbeat",
    "assignment_lease_next",
    "assignments_expire",
    "comparisons_lock",
    "comparisons_recount",
    "project_commit_money",
    "project_release_money",
]

MAX_LIVE_LEASES = 4


def assignment_lease_next(
    *, annotator: Annotator, exclude: Sequence[UUID] = ()
) -> Assignment | None:
    """Give the annotator the next comparison, or one that they already hold.

    Parameters
    ----------
    annotator
        Who asks.
    exclude
        Public ids of leases the caller already has on screen or prefetched.

    Returns
    -------
    Assignment or None
        ``None`` when nothing in the queue is left for this annotator.

    Raises
    ------
    ConflictError
        If they hold several open comparisons beside the excluded ones.
    NoWork
        If they are paused, have to qualify first, or have given as many labels as the owner wants
        from one person; the message says which.
    BudgetExhausted
        If the project cannot pay for another label.
    """
    with transaction.atomic():
        desk = desk_open(annotator=annotator)
        if not desk.has_expired:
            return _lease(annotator, desk, exclude)
    # In a transaction of its own, because it locks other comparisons and the project's money.
    assignments_expire(project_id=annotator.project_id)
    with transaction.atomic():
        return _lease(annotator, desk_open(annotator=annotator), exclude)


def _lease(annotator: Annotator, desk: Desk, exclude: Sequence[UUID]) -> Assignment | None:
    mine = next((public_id for public_id in desk.held if public_id not in exclude), None)
    if mine is not None:
        Assignment.objects.filter(public_id=mine).update(expires_at=desk.expires_at)
        return _assignment(annotator, Assignment.objects.get(public_id=mine).pk)
    if len(desk.held) >= MAX_LIVE_LEASES:
        raise ConflictError(
            gettext("You hold several open comparisons already. Finish one of them first.")
        )
    if not desk.is_active:
        raise NoWork(
            gettext("Your labelling is paused here. The owner of the project has been told.")
        )
    special = special_lease(annotator=annotator, exclude=exclude)
    if special is not None:
        return special
    if desk.is_quota_reached:
        raise NoWork(
            gettext("You have given as many labels as this project wants from one person. Thanks!")
        )
    pk = slot_take(desk=desk)
    return None if pk is None else _assignment(annotator, pk)


def _with_texts(pk: int) -> QuerySet[Assignment]:
    parts = ComparisonResponse.objects.filter(comparison=OuterRef("comparison"))
    texts = ArraySubquery(parts.order_by("position").values("response__text"))
    rows = Assignment.objects.select_related("comparison__prompt").filter(pk=pk)
    return rows.defer("comparison__metadata").annotate(canonical_texts=texts)


_TASK = PreparedQuery(_with_texts, pk=-7_001)


def _assignment(annotator: Annotator, pk: int) -> Assignment:
    (assignment,) = _TASK.rows(pk=pk)
    assignment.annotator = annotator
    return assignment


@transaction.atomic
def assignment_heartbeat(*, assignment: Assignment) -> Assignment:
    """Extend a live lease; a lease that has ended is a conflict."""
    locked = Assignment.objects.select_for_update(of=("self",)).select_related("annotator")
    row = locked.get(pk=assignment.pk)
    if row.state != Assignment.State.LIVE:
        raise ConflictError(gettext("This comparison is no longer yours. Load the next one."))
    protocol = Project.objects.get(pk=row.annotator.project_id).protocol
    row.expires_at = timezone.now() + timedelta(seconds=protocol.lease_seconds)
    row.save(update_fields=["expires_at"])
    return row
