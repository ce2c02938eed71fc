"""What an annotator sees of their own work."""

from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from annotate.models import Annotator, Assignment, Comparison, Preference

OPEN_COUNTED_TO = 1_000


@dataclass(frozen=True)
class AnnotatorProgress:
    """Labels given, comparisons still open, and the median active time of the last hundred.

    ``open`` stops at ``OPEN_COUNTED_TO``, so that the count costs the same in a large project.
    """

    done: int
    open: int
    median_ms: int | None


def annotator_progress(*, annotator: Annotator) -> AnnotatorProgress:
    """Count the annotator's own labels and what is left in the queue."""
    mine = Preference.objects.filter(annotator=annotator)
    waiting = (
        Comparison.objects.open()
        .filter(project_id=annotator.project_id)
        .exclude(preferences__annotator=annotator)
    )
    # What this annotator holds has no open slot any more, yet it is still theirs to do.
    held = Assignment.objects.filter(
        annotator=annotator, state=Assignment.State.LIVE, comparison__open_slots=0
    ).count()
    return AnnotatorProgress(
        done=mine.filter(supersedes__isnull=True).count(),
        open=waiting[:OPEN_COUNTED_TO].count() + held,
        median_ms=_median_active_ms(annotator),
    )


def _median_active_ms(annotator: Annotator) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY active_ms) FROM ("
            " SELECT active_ms FROM annotate_preference"
            " WHERE annotator_id = %s AND active_ms IS NOT NULL"
            " ORDER BY created_at DESC LIMIT 100) AS latest",
            [annotator.pk],
        )
        (median,) = cursor.fetchone()
    return None if median is None else round(median)


def given_verdict(*, assignment: Assignment) -> dict[str, Any] | None:
    """Return the annotator's standing verdict in the order in which responses were shown."""
    preference = (
        Preference.objects.current()
        .filter(comparison_id=assignment.comparison_id, annotator_id=assignment.annotator_id)
        .first()
    )
    if preference is None:
        return None
    shown = assignment.shown_order
    sign = 1 if shown[0] == 0 else -1
    return {
        "verdict": preference.verdict,
        "strength": sign * (preference.strength or 0),
        "ranking": [preference.ranking[index] for index in shown] if preference.ranking else None,
        "aspects": {key: sign * value for key, value in preference.aspects.items()},
        "rationale": preference.rationale,
    }


def verdict_as_shown(preference: Preference) -> str:
    """A pairwise verdict in the words of the screen on which it was given."""
    shown = preference.shown_order
    if preference.verdict != Preference.Verdict.RANKED or not preference.ranking or not shown:
        return str(Preference.Verdict(preference.verdict).label)
    ranks = [preference.ranking[index] for index in shown]
    if len(ranks) > 2:
        return " > ".join(
            ascii_uppercase[i] for i in sorted(range(len(ranks)), key=ranks.__getitem__)
        )
    side = "AB"[ranks.index(0)]
    strength, most = abs(preference.strength or 0), preference.protocol.max_strength
    return f"{side} better, {strength:g} of {most}" if strength else f"{side} better"


def own_labels(*, annotator: Annotator) -> QuerySet[Preference]:
    """The annotator's standing labels, newest first, with what the history page shows."""
    return (
        Preference.objects.current()
        .filter(annotator=annotator)
        .select_related("comparison__prompt", "assignment", "protocol")
        .order_by("-created_at", "-pk")
    )
