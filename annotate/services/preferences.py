"""Verdicts on their way into the append-only store."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Assignment, Preference, Protocol
from annotate.services.assignments import (
    comparisons_lock,
    comparisons_recount,
    project_commit_money,
)

Verdict = Preference.Verdict


@dataclass(frozen=True)
class VerdictInput:
    """A verdict as the annotator gave it, in the order in which the responses were shown.

    ``strength`` and the strengths in ``aspects`` are negative when the left response is better.
    ``ranking`` has one rank per shown
    response, 0 best; pairwise verdicts leave it out.
    """

    verdict: str
    strength: int = 0
    ranking: tuple[int, ...] | None = None
    aspects: dict[str, Any] = field(default_factory=dict)
    rationale: str = ""
    active_ms: int | None = None


def project_writers_lock(*, project_id: int, exclusive: bool = False) -> None:
    """Hold the project's writer lock until the transaction ends.

    Writers share it; freezing a dataset version takes it alone, so that no preference with a lower
    id can appear after the version was cut.
    """
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(7401, %s)", [project_id])


@transaction.atomic
def preference_submit(
    *,
    assignment: Assignment,
    given: VerdictInput,
    idempotency_key: UUID,
    revise: bool = False,
) -> tuple[Preference, bool]:
    """Store a verdict once; return it and whether it is new.

    The same key again returns the first row. A lease that expired is honoured while its slot is
    still free. A revision is a new row that supersedes the annotator's last one.

    Raises
    ------
    ApplicationError
        If the verdict does not fit the protocol; the message names the field.
    ConflictError
        If the comparison went to somebody else, or was labelled before and ``revise`` is false.
    """
    project_writers_lock(project_id=assignment.annotator.project_id)
    comparisons_lock(comparison_ids=[assignment.comparison_id])
    existing = Preference.objects.filter(
        annotator_id=assignment.annotator_id, idempotency_key=idempotency_key
    ).first()
    if existing is not None:
        return existing, False
    current = Assignment.objects.select_related("comparison", "annotator__project").get(
        pk=assignment.pk
    )
    protocol = current.annotator.project.protocol
    values = _canonical_values(given, protocol, current)
    previous = _previous(current, revise=revise)
    if previous is None:
        _close_with_label(current)
    preference = Preference.objects.create(
        comparison=current.comparison,
        annotator=current.annotator,
        protocol=protocol,
        assignment=current,
        shown_order=current.shown_order,
        active_ms=given.active_ms,
        cost_usd=current.price_usd if previous is None else 0,
        source=Preference.Source.APP,
        idempotency_key=idempotency_key,
        supersedes=previous,
        **values,
    )
    return preference, True


def _previous(assignment: Assignment, *, revise: bool) -> Preference | None:
    """The row that a revision replaces; ``None`` for a first verdict."""
    last = (
        Preference.objects.current()
        .filter(comparison=assignment.comparison, annotator=assignment.annotator)
        .first()
    )
    if last is not None and not revise:
        raise ConflictError("You have labelled this comparison already. Undo it to revise.")
    return last


def _close_with_label(assignment: Assignment) -> None:
    """Turn the lease into a label, taking the slot again if the lease had run out."""
    State = Assignment.State
    rows = Assignment.objects.filter(pk=assignment.pk, state=State.LIVE).update(
        state=State.SUBMITTED, closed_at=timezone.now()
    )
    if rows:
        return
    comparisons_recount(comparison_ids=[assignment.comparison_id])
    assignment.comparison.refresh_from_db(fields=["open_slots"])
    if assignment.comparison.open_slots < 1 or assignment.state == State.SKIPPED:
        raise ConflictError(
            "This comparison was given to somebody else after your lease ran out, so the label "
            "could not be stored."
        )
    project_commit_money(
        project_id=assignment.annotator.project_id, amount_usd=assignment.price_usd
    )
    type(assignment.comparison).objects.filter(pk=assignment.comparison_id).update(
        open_slots=assignment.comparison.open_slots - 1
    )
    Assignment.objects.filter(pk=assignment.pk).update(
        state=State.SUBMITTED, closed_at=timezone.now()
    )


def _canonical_values(
    given: VerdictInput, protocol: Protocol, assignment: Assignment
) -> dict[str, Any]:
    """Check a verdict against the protocol and turn it from shown into canonical order."""
    _check_verdict(given, protocol)
    values: dict[str, Any] = {
        "verdict": given.verdict,
        "aspects": given.aspects,
        "rationale": given.rationale,
    }
    if given.verdict in (Verdict.BOTH_BAD, Verdict.CANNOT_JUDGE):
        return values
    shown = assignment.shown_order
    ranking = given.ranking or _pairwise_ranking(given, n_responses=len(shown))
    _check_ranking(ranking, given.verdict, n_responses=len(shown))
    canonical = [0] * len(shown)
    for place, response in enumerate(shown):
        canonical[response] = ranking[place]
    values["ranking"] = canonical
    if len(shown) == 2:
        sign = 1 if shown[0] == 0 else -1
        values["strength"] = sign * given.strength
        values["aspects"] = {key: sign * value for key, value in given.aspects.items()}
    return values


def _pairwise_ranking(given: VerdictInput, *, n_responses: int) -> tuple[int, ...]:
    if n_responses != 2:
        raise ApplicationError(
            "A comparison of more than two responses needs a ranking.", field="ranking"
        )
    if given.strength == 0:
        return (0, 0)
    return (0, 1) if given.strength < 0 else (1, 0)


def _check_ranking(ranking: tuple[int, ...], verdict: str, *, n_responses: int) -> None:
    if len(ranking) != n_responses or not all(0 <= rank < n_responses for rank in ranking):
        raise ApplicationError(
            f"The ranking {list(ranking)} needs one rank from 0 to {n_responses - 1} for each of "
            f"the {n_responses} responses.",
            field="ranking",
        )
    is_tie = len(set(ranking)) == 1
    if is_tie != (verdict == Verdict.TIE):
        raise ApplicationError(
            "A ranking with all ranks equal is the verdict 'tie', and a tie has all ranks equal.",
            field="ranking",
        )


def _check_verdict(given: VerdictInput, protocol: Protocol) -> None:
    allowed = {
        Verdict.RANKED: True,
        Verdict.TIE: protocol.allow_tie,
        Verdict.BOTH_BAD: protocol.allow_both_bad,
        Verdict.CANNOT_JUDGE: protocol.allow_cannot_judge,
    }
    if given.verdict not in allowed:
        raise ApplicationError(
            f"Unknown verdict {given.verdict!r}; use one of {', '.join(allowed)}.", field="verdict"
        )
    if not allowed[Verdict(given.verdict)]:
        raise ApplicationError(
            f"This project does not allow the verdict {given.verdict!r}.", field="verdict"
        )
    _check_strength(given, protocol)
    _check_aspects(given, protocol)
    if protocol.rationale == Protocol.Rationale.REQUIRED and len(given.rationale.strip()) < max(
        1, protocol.rationale_min_chars
    ):
        raise ApplicationError(
            f"This project asks why: write at least {max(1, protocol.rationale_min_chars)} "
            "characters.",
            field="rationale",
        )


def _check_strength(given: VerdictInput, protocol: Protocol) -> None:
    pairwise_ranked = given.verdict == Verdict.RANKED and given.ranking is None
    if abs(given.strength) > protocol.max_strength:
        raise ApplicationError(
            f"Strength {given.strength} is outside the scale of {protocol.scale_points} points.",
            field="strength",
        )
    if pairwise_ranked and given.strength == 0:
        raise ApplicationError(
            "A ranked verdict needs a strength other than 0; use the verdict 'tie' for a tie.",
            field="strength",
        )
    if given.verdict != Verdict.RANKED and given.strength != 0:
        raise ApplicationError(
            f"The verdict {given.verdict!r} has no strength; send 0.", field="strength"
        )


def _check_aspects(given: VerdictInput, protocol: Protocol) -> None:
    known = {aspect["key"] for aspect in protocol.aspects}
    for key, value in given.aspects.items():
        if key not in known:
            raise ApplicationError(
                f"Unknown aspect {key!r}; this protocol has {', '.join(sorted(known)) or 'none'}.",
                field="aspects",
            )
        if type(value) is not int or abs(value) > protocol.max_strength:
            raise ApplicationError(
                f"Aspect {key!r} needs a whole number from {-protocol.max_strength} to "
                f"{protocol.max_strength}; got {value!r}.",
                field="aspects",
            )
