"""Leases: handing comparisons to annotators so that overlap holds exactly."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext

from annotate.errors import ConflictError, NoWork
from annotate.models import (
    Annotator,
    Assignment,
    ComparisonResponse,
    Project,
    RenderedComparison,
)
from annotate.prepared import PreparedQuery
from annotate.rendering import renderer_version
from annotate.selectors.labelling import Standing, progress_read, standing_statement
from annotate.services.desk import Desk, desk_open
from annotate.services.quality_hooks import has_own_way, special_lease
from annotate.services.queue import Taken, slot_take, slot_take_at_once
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
    *,
    annotator: Annotator,
    exclude: Sequence[UUID] = (),
    with_progress: bool = False,
    glance: Desk | None = None,
) -> Assignment | None:
    """Give the annotator the next comparison, or one that they already hold.

    Parameters
    ----------
    annotator
        Who asks.
    exclude
        Public ids of leases the caller already has on screen or prefetched.
    with_progress
        Whether to find the annotator's progress on the same journey.
    glance
        The annotator's desk as it was read together with who asks. Where it shows the plain case,
        the lease takes one journey.

    Returns
    -------
    Assignment or None
        ``None`` when nothing in the queue is left for this annotator. A new lease may carry a
        ``standing``, which whoever answers the annotator then need not ask.

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
    if glance is not None and _is_plain(annotator, glance, exclude):
        lease = _new_lease(annotator, glance, with_progress, slot_take_at_once)
        if lease is not None:
            return lease
    with transaction.atomic():
        desk = desk_open(annotator=annotator)
        if not desk.has_expired:
            lease = _beside_queue(annotator, desk, exclude)
            if lease is None and not desk.has_reservations:
                lease = _new_lease(annotator, desk, with_progress, slot_take_at_once)
            if lease is not None:
                return lease
    if desk.has_expired:
        # In a transaction of its own, because it locks other comparisons and the project's money.
        assignments_expire(project_id=annotator.project_id)
    with transaction.atomic():
        # Extras have been drawn for once.
        desk, mixes = desk_open(annotator=annotator), desk.has_expired
        lease = _beside_queue(annotator, desk, exclude, mixes=mixes)
        return lease or _new_lease(annotator, desk, with_progress, slot_take)


def _is_plain(annotator: Annotator, desk: Desk, exclude: Sequence[UUID]) -> bool:
    """Whether nothing but the head of the queue comes into question."""
    holds_more = len(desk.held) >= MAX_LIVE_LEASES or not set(desk.held) <= set(exclude)
    is_special = desk.has_reservations or desk.has_expired or desk.is_quota_reached
    return desk.is_active and not (holds_more or is_special or has_own_way(annotator=annotator))


def _beside_queue(
    annotator: Annotator, desk: Desk, exclude: Sequence[UUID], *, mixes: bool = True
) -> Assignment | None:
    """What comes before the queue, or a refusal."""
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
    special = special_lease(annotator=annotator, exclude=exclude) if mixes else None
    if special is not None:
        return special
    if desk.is_quota_reached:
        raise NoWork(
            gettext("You have given as many labels as this project wants from one person. Thanks!")
        )
    return None


def _new_lease(
    annotator: Annotator, desk: Desk, with_progress: bool, take: Callable[..., Taken]
) -> Assignment | None:
    along = [standing_statement(annotator=annotator)] if with_progress else []
    taken = take(desk=desk, shown=_LEASED.statement(), along=along)
    if taken.pk is None:
        return None
    progress = progress_read(taken.found[0][0]) if with_progress else None
    (assignment,) = _LEASED.objects([taken.shown])
    assignment.annotator = annotator
    standing = Standing(progress, desk.protocol_version, desk.lease_seconds)
    assignment.standing = standing  # type: ignore[attr-defined]
    return assignment


def _with_texts() -> QuerySet[Assignment]:
    parts = ComparisonResponse.objects.filter(comparison=OuterRef("comparison"))
    texts = ArraySubquery(parts.order_by("position").values("response__text"))
    ahead = RenderedComparison.objects.filter(
        comparison=OuterRef("comparison"), renderer=renderer_version()
    )
    rows = Assignment.objects.select_related("comparison__prompt").order_by()
    return rows.defer("comparison__metadata").annotate(
        canonical_texts=texts, rendered_ahead=Subquery(ahead.values("html"))
    )


_TASK = PreparedQuery(lambda pk: _with_texts().filter(pk=pk), pk=-7_001)
# Of the one row that a taking statement calls by the table's name.
_LEASED = PreparedQuery(_with_texts)


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
