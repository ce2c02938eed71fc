"""Verdicts on their way into the append-only store."""

from copy import copy
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db import connection, transaction
from django.db.models.base import ModelState
from django.utils import timezone
from django.utils.translation import gettext

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Assignment, Preference, Protocol
from annotate.prepared import PreparedQuery, Statement, fetch_together, insert_prepared
from annotate.selectors.labelling import (
    AnnotatorProgress,
    progress_read,
    shown_texts,
    standing_statement,
)
from annotate.services.quality_hooks import Feedback, needs_recording, preference_recorded
from annotate.services.settling import comparison_settle
from annotate.services.slots import (
    assignment_close,
    comparisons_recount,
    project_commit_money,
)
from annotate.services.verdicts import ShownResponses, VerdictInput, canonical_values

__all__ = ["Submission", "VerdictInput", "preference_submit", "verdict_submit"]

# The project's writer lock first, then the comparison: rows are locked after they are joined.
_LOCK_SQL = """
WITH writer AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(7401, %(project)s::int))
SELECT c.id FROM writer CROSS JOIN annotate_comparison c
WHERE c.id = %(comparison)s FOR UPDATE OF c
"""
# Read after the locks: an earlier snapshot would not show what another request stored meanwhile.
_KNOWN_SQL = """
SELECT s.state,
    (SELECT p.id FROM annotate_preference p
     WHERE p.annotator_id = s.annotator_id AND p.idempotency_key = %(key)s),
    (SELECT p.id FROM annotate_preference p
     WHERE p.comparison_id = s.comparison_id AND p.annotator_id = s.annotator_id
       AND p.replicate = s.replicate
       AND NOT EXISTS (SELECT 1 FROM annotate_preference n WHERE n.supersedes_id = p.id) LIMIT 1)
FROM annotate_assignment s WHERE s.id = %(assignment)s
"""
# The lease becomes the label in one statement; without a live lease nothing is stored.
_CLOSE_SQL = """
UPDATE annotate_assignment SET state = 'submitted', closed_at = %s
WHERE id = %s AND state = 'live' RETURNING id
"""
# The same where nothing was read under the locks: only while all is as it was read without them.
_CLOSE_UNCHANGED_SQL = """
UPDATE annotate_assignment s SET state = 'submitted', closed_at = %s
WHERE s.id = %s AND s.state = 'live'
  AND %s = (SELECT r.id FROM annotate_protocol r WHERE r.project_id = %s
            ORDER BY r.version DESC LIMIT 1)
  AND NOT EXISTS (SELECT 1 FROM annotate_preference p
                  WHERE p.annotator_id = s.annotator_id AND p.idempotency_key = %s)
  AND NOT EXISTS (SELECT 1 FROM annotate_preference p
                  WHERE p.comparison_id = s.comparison_id AND p.annotator_id = s.annotator_id
                    AND p.replicate = s.replicate)
RETURNING s.id
"""
_NEWEST_PROTOCOL = PreparedQuery(
    lambda project: Protocol.objects.filter(project_id=project).order_by("-version")[:1],
    project=-7_001,
)
_PROTOCOL_BY_SLUG = PreparedQuery(
    lambda slug: Protocol.objects.filter(project__slug=slug).order_by("-version")[:1],
    slug="the slug",
)


@dataclass(frozen=True)
class Submission:
    """A stored verdict, whether this call stored it, and what the annotator is told about it."""

    preference: Preference
    is_new: bool
    feedback: Feedback | None
    progress: AnnotatorProgress | None = None


def project_writers_lock(*, project_id: int, exclusive: bool = False) -> None:
    """Hold the project's writer lock until the transaction ends.

    Writers share it; freezing a dataset version takes it alone, so that no preference with a lower
    id can appear after the version was cut.
    """
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(7401, %s)", [project_id])


def preference_submit(
    *,
    assignment: Assignment,
    given: VerdictInput,
    idempotency_key: UUID,
    revise: bool = False,
) -> tuple[Preference, bool]:
    """Store a verdict as ``verdict_submit`` does; return it and whether it is new."""
    done = verdict_submit(
        assignment=assignment, given=given, idempotency_key=idempotency_key, revise=revise
    )
    return done.preference, done.is_new


def protocol_statement(*, slug: str) -> Statement:
    """What reads a project's newest protocol, to be sent along with what says who asks."""
    return _PROTOCOL_BY_SLUG.statement(slug=slug)


def protocol_read(*, rows: list[tuple[Any, ...]]) -> Protocol:
    """The protocol that ``protocol_statement`` found."""
    (protocol,) = _PROTOCOL_BY_SLUG.objects(rows)
    return protocol


def verdict_submit(
    *,
    assignment: Assignment,
    given: VerdictInput,
    idempotency_key: UUID,
    revise: bool = False,
    protocol_version: int | None = None,
    newest: Protocol | None = None,
) -> Submission:
    """Store a verdict once.

    The same key again returns the first row. A lease that expired is honoured while its slot is
    still free. A revision is a new row that supersedes the annotator's last one.

    Parameters
    ----------
    assignment
        What the annotator was shown.
    given
        The verdict in shown order.
    idempotency_key
        Drawn by the client, one per verdict.
    revise
        Whether this may replace an earlier verdict on the same comparison.
    protocol_version
        What the screen asked, when a newer protocol may have come into force since.
    newest
        The newest protocol as it was read together with the assignment. With it the plain case, a
        first label on a live lease after which nothing is to be done, takes one journey.

    Raises
    ------
    ApplicationError
        If the verdict does not fit the protocol; the message names the field.
    ConflictError
        If the comparison went to somebody else, or was labelled before and ``revise`` is false.
    """
    done = None
    if newest is not None and _is_plain(assignment, newest, protocol_version):
        done = _submit_at_once(assignment, given, idempotency_key, newest)
    return done or _submit_locked(assignment, given, idempotency_key, revise, protocol_version)


def _is_plain(assignment: Assignment, newest: Protocol, version: int | None) -> bool:
    is_asked = version is None or version == newest.version
    is_first = assignment.state == Assignment.State.LIVE
    is_last = not (newest.is_adaptive or needs_recording(assignment=assignment))
    return is_asked and is_first and is_last


def _submit_at_once(
    assignment: Assignment, given: VerdictInput, key: UUID, newest: Protocol
) -> Submission | None:
    """Lock, store and commit on one journey; ``None``, and nothing stored, if that will not do."""
    row = _row(assignment, key, newest, None, _checked(assignment, given, newest))
    project_id = assignment.annotator.project_id
    lock = (_LOCK_SQL, {"project": project_id, "comparison": assignment.comparison_id})
    values = [timezone.now(), assignment.pk, newest.pk, project_id, key]
    standing, *_ = insert_prepared(
        row,
        before=[lock],
        given=(_CLOSE_UNCHANGED_SQL, values),
        along=[standing_statement(annotator=assignment.annotator)],
    )
    if row.pk is None:
        return None
    return Submission(row, is_new=True, feedback=None, progress=progress_read(*standing))


@transaction.atomic
def _submit_locked(
    assignment: Assignment,
    given: VerdictInput,
    idempotency_key: UUID,
    revise: bool,
    protocol_version: int | None,
) -> Submission:
    project_id = assignment.annotator.project_id
    # All but the state of an assignment stays as it is.
    _, ((assignment.state, existing, standing),), protocols = fetch_together(
        (_LOCK_SQL, {"project": project_id, "comparison": assignment.comparison_id}),
        (_KNOWN_SQL, {"assignment": assignment.pk, "key": idempotency_key}),
        _NEWEST_PROTOCOL.statement(project=project_id),
    )
    if existing is not None:
        return Submission(Preference.objects.get(pk=existing), is_new=False, feedback=None)
    (newest,) = _NEWEST_PROTOCOL.objects(protocols)
    protocol = _protocol(assignment, newest, protocol_version)
    values = _checked(assignment, given, protocol)
    previous = _previous(standing, revise=revise)
    preference, progress = _stored(assignment, idempotency_key, protocol, previous, values)
    if previous is not None and assignment.kind == Assignment.Kind.REPEAT:
        _correct_first(preference)
    if previous is None and assignment.kind == Assignment.Kind.WORK:
        comparison_settle(comparison_id=assignment.comparison_id, protocol=newest)
    feedback = preference_recorded(preference=preference, assignment=assignment)
    return Submission(preference, is_new=True, feedback=feedback, progress=progress)


def _checked(assignment: Assignment, given: VerdictInput, protocol: Protocol) -> dict[str, Any]:
    # Only highlights are measured against the texts.
    texts = shown_texts(assignment=assignment) if given.spans else []
    shown = ShownResponses(assignment.shown_order, texts)
    return {"active_ms": given.active_ms, **canonical_values(given, protocol, shown)}


def _previous(standing: int | None, *, revise: bool) -> Preference | None:
    """The row that a revision replaces; ``None`` for a first verdict."""
    if standing is None:
        return None
    if not revise:
        raise ConflictError(
            gettext("You have labelled this comparison already. Undo it to revise.")
        )
    return Preference.objects.get(pk=standing)


def _stored(
    assignment: Assignment,
    key: UUID,
    protocol: Protocol,
    previous: Preference | None,
    values: dict[str, Any],
) -> tuple[Preference, AnnotatorProgress | None]:
    row = _row(assignment, key, protocol, previous, values)
    progress = _closed_with_label(row) if previous is None else None
    if progress is None:
        if previous is None:
            _take_again(assignment)
        insert_prepared(row)
    return row, progress


def _row(
    assignment: Assignment,
    key: UUID,
    protocol: Protocol,
    previous: Preference | None,
    values: dict[str, Any],
) -> Preference:
    return Preference(
        comparison=assignment.comparison,
        annotator=assignment.annotator,
        protocol=protocol,
        assignment=assignment,
        replicate=assignment.replicate,
        is_override=assignment.kind == Assignment.Kind.REVIEW,
        shown_order=assignment.shown_order,
        cost_usd=assignment.price_usd if previous is None else 0,
        source=Preference.Source.APP,
        idempotency_key=key,
        supersedes=previous,
        **values,
    )


def _closed_with_label(row: Preference) -> AnnotatorProgress | None:
    """Turn a live lease into the label; ``None`` if it had run out, and then nothing is stored."""
    close = (_CLOSE_SQL, [timezone.now(), row.assignment_id])
    (standing,) = insert_prepared(
        row, given=close, along=[standing_statement(annotator=row.annotator)]
    )
    return None if row.pk is None else progress_read(*standing)


def _correct_first(preference: Preference) -> None:
    """Let a corrected repeat correct the label that counts.

    People see one row per comparison and correct that one; which asking it was is not for them to
    know.
    """
    first = Preference.objects.current().filter(
        comparison=preference.comparison, annotator=preference.annotator, replicate=0
    )
    counted = first.first()
    if counted is None:
        return
    row = copy(preference)
    row._state = ModelState()
    row.pk, row.replicate, row.supersedes = None, 0, counted
    row.assignment_id = counted.assignment_id
    row.idempotency_key = uuid5(preference.idempotency_key, "first")
    insert_prepared(row)


def _protocol(assignment: Assignment, newest: Protocol, version: int | None) -> Protocol:
    """The protocol in force, or the one under which the comparison was shown."""
    if version is None or version == newest.version:
        return newest
    versions = Protocol.objects.filter(project_id=assignment.annotator.project_id)
    at_lease = versions.filter(created_at__lte=assignment.leased_at).order_by("version").last()
    asked = versions.filter(version=version).first()
    if asked is None or (at_lease is not None and asked.version < at_lease.version):
        raise ApplicationError(
            gettext(
                "Protocol version %(version)s was not in force when this was shown; "
                "reload the page."
            )
            % {"version": version},
            field="protocol_version",
        )
    return asked


def _take_again(assignment: Assignment) -> None:
    """Take slot and money again for a lease that had run out."""
    _end_later_leases(assignment)
    if assignment.kind == Assignment.Kind.WORK:
        _take_slot_again(assignment)
    project_commit_money(
        project_id=assignment.annotator.project_id, amount_usd=assignment.price_usd
    )
    Assignment.objects.filter(pk=assignment.pk).update(
        state=Assignment.State.SUBMITTED, closed_at=timezone.now()
    )


def _end_later_leases(assignment: Assignment) -> None:
    """End a lease on the same comparison that the annotator got after this one had ended."""
    State = Assignment.State
    later = Assignment.objects.select_related("annotator").filter(
        comparison_id=assignment.comparison_id,
        annotator_id=assignment.annotator_id,
        replicate=assignment.replicate,
        state__in=[State.LIVE, State.SKIPPED],
    )
    for lease in later.exclude(pk=assignment.pk):
        if lease.state == State.SKIPPED:
            raise ConflictError(
                gettext("You have skipped this comparison since, so nothing was stored.")
            )
        assignment_close(assignment=lease, state=State.RETURNED)


def _take_slot_again(assignment: Assignment) -> None:
    comparisons_recount(comparison_ids=[assignment.comparison_id])
    assignment.comparison.refresh_from_db(fields=["open_slots"])
    if assignment.comparison.open_slots < 1 or assignment.state == Assignment.State.SKIPPED:
        raise ConflictError(
            gettext(
                "This comparison was given to somebody else after your lease ran out, so the label "
                "could not be stored."
            )
        )
    type(assignment.comparison).objects.filter(pk=assignment.comparison_id).update(
        open_slots=assignment.comparison.open_slots - 1
    )
