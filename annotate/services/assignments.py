"""Leases: handing comparisons to annotators so that overlap holds exactly.

``open_slots`` of a comparison is always ``wanted_labels`` less human labels less live leases, never
below zero. Every writer first locks the comparison row, so counting again under that lock is exact.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from annotate.errors import BudgetExhausted, ConflictError
from annotate.models import Annotator, Assignment, Project, Protocol

MAX_LIVE_LEASES = 4

# One statement picks the head of the queue, takes a slot and writes the lease; the shown order is
# drawn in the database so that no client can choose it.
_LEASE_SQL = """
WITH candidate AS (
    SELECT c.id, c.n_responses
    FROM annotate_comparison c
    WHERE c.project_id = %(project)s AND c.open_slots > 0
      AND c.n_responses <= %(max_responses)s
      AND NOT EXISTS (
          SELECT 1 FROM annotate_assignment a
          WHERE a.comparison_id = c.id AND a.annotator_id = %(annotator)s
            AND a.state IN ('live', 'submitted', 'skipped'))
      AND NOT EXISTS (
          SELECT 1 FROM annotate_preference p
          WHERE p.comparison_id = c.id AND p.annotator_id = %(annotator)s)
    ORDER BY c.priority DESC, c.id
    LIMIT 1
    FOR UPDATE OF c {wait}
), taken AS (
    UPDATE annotate_comparison c SET open_slots = c.open_slots - 1
    FROM candidate
    WHERE c.id = candidate.id AND c.open_slots > 0
    RETURNING c.id, c.n_responses
)
INSERT INTO annotate_assignment
    (public_id, comparison_id, annotator_id, state, shown_order, leased_at, expires_at,
     price_usd, skip_reason)
SELECT gen_random_uuid(), taken.id, %(annotator)s, 'live',
       (SELECT array_agg(place ORDER BY random())
        FROM generate_series(0, taken.n_responses - 1) AS place),
       %(now)s, %(expires)s, %(price)s, ''
FROM taken
RETURNING id
"""

_RECOUNT_SQL = """
UPDATE annotate_comparison c
SET open_slots = GREATEST(0, c.wanted_labels
    - (SELECT count(*) FROM annotate_preference p
       JOIN annotate_annotator a ON a.id = p.annotator_id
       WHERE p.comparison_id = c.id AND a.kind = 'human'
         AND p.supersedes_id IS NULL AND p.replicate = 0)
    - (SELECT count(*) FROM annotate_assignment s
       WHERE s.comparison_id = c.id AND s.state = 'live'))
WHERE c.id = ANY(%(ids)s)
"""


def comparisons_lock(*, comparison_ids: Sequence[int]) -> None:
    """Lock comparison rows in id order, so that two writers never wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM annotate_comparison WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
            [list(comparison_ids)],
        )


def comparisons_recount(*, comparison_ids: Sequence[int]) -> None:
    """Set ``open_slots`` from labels and live leases; the rows must be locked by the caller."""
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT_SQL, {"ids": list(comparison_ids)})


def project_commit_money(*, project_id: int, amount_usd: Decimal) -> None:
    """Reserve dollars of the budget, or refuse when they are not there.

    Raises
    ------
    BudgetExhausted
        If the reservation would pass the project's budget.
    """
    within = Q(budget_usd__isnull=True) | Q(budget_usd__gte=F("committed_usd") + amount_usd)
    rows = Project.objects.filter(within, pk=project_id).update(
        committed_usd=F("committed_usd") + amount_usd
    )
    if not rows:
        raise BudgetExhausted(
            "The budget of this project is used up. Its owner can raise it in the settings."
        )


def project_release_money(*, project_id: int, amount_usd: Decimal) -> None:
    """Give back dollars that were reserved and not spent."""
    Project.objects.filter(pk=project_id).update(committed_usd=F("committed_usd") - amount_usd)


@transaction.atomic
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
    """
    held = Assignment.objects.filter(
        annotator=annotator, state=Assignment.State.LIVE, expires_at__gt=timezone.now()
    ).order_by("leased_at")
    mine = held.exclude(public_id__in=exclude).first()
    if mine is not None:
        return _extended(mine)
    if held.count() >= MAX_LIVE_LEASES:
        raise ConflictError("You hold several open comparisons already. Finish one of them first.")
    assignments_expire(project_id=annotator.project_id)
    project = Project.objects.get(pk=annotator.project_id)
    pk = _take_slot(annotator, project, wait="SKIP LOCKED")
    # Rows locked by others were passed over; at the end of the queue wait for them instead.
    pk = pk or _take_slot(annotator, project, wait="")
    if pk is None:
        return None
    project_commit_money(project_id=project.pk, amount_usd=project.human_price_usd)
    return Assignment.objects.select_related("comparison", "annotator").get(pk=pk)


def _take_slot(annotator: Annotator, project: Project, *, wait: str) -> int | None:
    now = timezone.now()
    protocol = project.protocol
    parameters = {
        "project": project.pk,
        "max_responses": 2 if protocol.kind == Protocol.Kind.PAIRWISE else 26,
        "annotator": annotator.pk,
        "now": now,
        "expires": now + timedelta(seconds=protocol.lease_seconds),
        "price": project.human_price_usd,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LEASE_SQL.format(wait=wait), parameters)
        row = cursor.fetchone()
    return row[0] if row else None


def _extended(assignment: Assignment) -> Assignment:
    seconds = _lease_seconds(assignment)
    assignment.expires_at = timezone.now() + timedelta(seconds=seconds)
    assignment.save(update_fields=["expires_at"])
    return assignment


def _lease_seconds(assignment: Assignment) -> int:
    protocols = Protocol.objects.filter(project_id=assignment.annotator.project_id)
    return protocols.latest("version").lease_seconds


@transaction.atomic
def assignment_heartbeat(*, assignment: Assignment) -> Assignment:
    """Extend a live lease; a lease that has ended is a conflict."""
    locked = Assignment.objects.select_for_update(of=("self",)).select_related("annotator")
    row = locked.get(pk=assignment.pk)
    if row.state != Assignment.State.LIVE:
        raise ConflictError("This comparison is no longer yours. Load the next one.")
    return _extended(row)


@transaction.atomic
def assignment_close(
    *, assignment: Assignment, state: Assignment.State, skip_reason: str = ""
) -> bool:
    """End a live lease without a label and free its slot; closing twice changes nothing."""
    comparisons_lock(comparison_ids=[assignment.comparison_id])
    rows = Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.LIVE).update(
        state=state, closed_at=timezone.now(), skip_reason=skip_reason[:300]
    )
    if not rows:
        return False
    comparisons_recount(comparison_ids=[assignment.comparison_id])
    project_release_money(
        project_id=assignment.annotator.project_id, amount_usd=assignment.price_usd
    )
    return True


@transaction.atomic
def assignments_expire(*, project_id: int | None = None) -> int:
    """Expire leases that ran out and free their slots; return how many."""
    expired = Assignment.objects.filter(state=Assignment.State.LIVE, expires_at__lte=timezone.now())
    if project_id is not None:
        expired = expired.filter(comparison__project_id=project_id)
    found = list(expired.values_list("pk", "comparison_id")[:500])
    if not found:
        return 0
    comparison_ids = sorted({comparison_id for _, comparison_id in found})
    comparisons_lock(comparison_ids=comparison_ids)
    gone = Assignment.objects.filter(
        pk__in=[pk for pk, _ in found], state=Assignment.State.LIVE, expires_at__lte=timezone.now()
    )
    released = list(gone.values_list("annotator__project_id", "price_usd"))
    count = gone.update(state=Assignment.State.EXPIRED, closed_at=timezone.now())
    comparisons_recount(comparison_ids=comparison_ids)
    for owner_id in {owner for owner, _ in released}:
        amount = sum((price for owner, price in released if owner == owner_id), Decimal(0))
        project_release_money(project_id=owner_id, amount_usd=amount)
    return count
