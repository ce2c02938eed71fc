"""Slots and money: what a lease takes, and what ends it.

``open_slots`` of a comparison is always ``wanted_labels`` less human labels less live leases on
ordinary work, never below zero. Every writer first locks the comparison row, so counting again
under that lock is exact. Locks are taken in one order everywhere, so that no two writers wait for
each other: an annotator's place in the queue, comparisons by id, the project's money.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from annotate.errors import BudgetExhausted
from annotate.models import Annotator, Assignment, Project

EXPIRED_AT_ONCE = 500

_RECOUNT_SQL = """
UPDATE annotate_comparison c
SET open_slots = GREATEST(0, c.wanted_labels
    - (SELECT count(*) FROM annotate_preference p
       JOIN annotate_annotator a ON a.id = p.annotator_id
       WHERE p.comparison_id = c.id AND a.kind = 'human'
         AND p.supersedes_id IS NULL AND p.replicate = 0 AND NOT p.is_override)
    - (SELECT count(*) FROM annotate_assignment s
       WHERE s.comparison_id = c.id AND s.state = 'live' AND s.kind = 'work'))
WHERE c.id = ANY(%(ids)s)
"""

# Where the owner says that nobody gets a skipped comparison again, its free slots go; people who
# hold it at this moment may still finish.
_DROP_SKIPPED_SQL = """
UPDATE annotate_comparison c
SET wanted_labels = c.wanted_labels - c.open_slots, open_slots = 0
WHERE c.id = ANY(%(ids)s) AND c.open_slots > 0
  AND 'nobody' = (SELECT p.skip_policy FROM annotate_protocol p
                  WHERE p.project_id = c.project_id ORDER BY p.version DESC LIMIT 1)
  AND EXISTS (SELECT 1 FROM annotate_assignment s
              WHERE s.comparison_id = c.id AND s.state = 'skipped' AND s.kind = 'work')
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
            gettext(
                "The budget of this project is used up. Its owner can raise it in the settings."
            )
        )


def project_release_money(*, project_id: int, amount_usd: Decimal) -> None:
    """Give back dollars that were reserved and not spent."""
    Project.objects.filter(pk=project_id).update(committed_usd=F("committed_usd") - amount_usd)


@transaction.atomic
def assignment_close(
    *, assignment: Assignment, state: Assignment.State, skip_reason: str = ""
) -> bool:
    """End a live lease without a label and free its slot; closing twice changes nothing.

    Who gets a skipped comparison then is the owner's to say (``Protocol.skip_policy``).
    """
    comparisons_lock(comparison_ids=[assignment.comparison_id])
    rows = Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.LIVE).update(
        state=state, closed_at=timezone.now(), skip_reason=skip_reason[:300]
    )
    if not rows:
        return False
    _slots_free([assignment.comparison_id])
    project_release_money(
        project_id=assignment.annotator.project_id, amount_usd=assignment.price_usd
    )
    return True


def annotator_leases_return(*, annotator: Annotator) -> int:
    """Return every lease that somebody holds, as when they are paused; say how many."""
    held = Assignment.objects.filter(annotator=annotator, state=Assignment.State.LIVE)
    return sum(
        assignment_close(assignment=assignment, state=Assignment.State.RETURNED)
        for assignment in held.select_related("annotator").order_by("comparison_id")
    )


def assignments_expire(*, project_id: int | None = None) -> int:
    """Expire leases that ran out and free their slots; return how many.

    Comparisons that another writer has locked are left for the next call: many callers then share
    the work instead of queueing for it.
    """
    now = timezone.now()
    due = Assignment.objects.filter(state=Assignment.State.LIVE, expires_at__lte=now)
    if project_id is not None:
        due = due.filter(annotator__project_id=project_id)
    found = due.order_by("expires_at").values_list("comparison_id", flat=True)
    comparison_ids = sorted(set(found[:EXPIRED_AT_ONCE]))
    return _leases_expire(comparison_ids, now) if comparison_ids else 0


@transaction.atomic
def _leases_expire(comparison_ids: list[int], now: datetime) -> int:
    locked = _comparisons_lock_free(comparison_ids)
    gone = Assignment.objects.filter(
        comparison_id__in=locked, state=Assignment.State.LIVE, expires_at__lte=now
    )
    released = list(gone.values_list("pk", "annotator__project_id", "price_usd"))
    count = Assignment.objects.filter(pk__in=[pk for pk, _, _ in released]).update(
        state=Assignment.State.EXPIRED, closed_at=now
    )
    _slots_free(locked)
    for owner_id in sorted({owner for _, owner, _ in released}):
        amount = sum((price for _, owner, price in released if owner == owner_id), Decimal(0))
        project_release_money(project_id=owner_id, amount_usd=amount)
    return count


def _comparisons_lock_free(comparison_ids: list[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM annotate_comparison WHERE id = ANY(%s) ORDER BY id"
            " FOR UPDATE SKIP LOCKED",
            [comparison_ids],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _slots_free(comparison_ids: list[int]) -> None:
    comparisons_recount(comparison_ids=comparison_ids)
    with connection.cursor() as cursor:
        cursor.execute(_DROP_SKIPPED_SQL, {"ids": comparison_ids})
