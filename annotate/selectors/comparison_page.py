"""Everything that has happened to one comparison, newest first."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from annotate.models import Annotator, Assignment, BulkChangeRow, Comparison, Flag, Review
from annotate.selectors.protocols import flag_title, skip_title
from annotate.selectors.quality import display_name


@dataclass(frozen=True)
class HistoryEvent:
    """Something that happened to a comparison."""

    at: datetime
    kind: str
    who: str
    text: str


def comparison_history(*, comparison: Comparison) -> list[HistoryEvent]:
    """Import, leases, flags, reviews and changes of many, newest first."""
    events = [HistoryEvent(comparison.created_at, "import", "", "Came into the project")]
    events += _leases(comparison) + _flags(comparison) + _reviews(comparison)
    events += _changes(comparison)
    return sorted(events, key=lambda event: event.at, reverse=True)


def _leases(comparison: Comparison) -> list[HistoryEvent]:
    rows = Assignment.objects.filter(comparison=comparison)
    events = []
    for row in rows.select_related("annotator__user"):
        who = display_name(row.annotator)
        kind = row.get_kind_display().lower()
        events.append(HistoryEvent(row.leased_at, "lease", who, f"Got it as {kind}"))
        if row.closed_at is not None:
            reason = f": {skip_title(row.skip_reason)}" if row.skip_reason else ""
            ended = f"{row.get_state_display()}{reason}"
            events.append(HistoryEvent(row.closed_at, "lease", who, ended))
    return events


def _flags(comparison: Comparison) -> list[HistoryEvent]:
    events = []
    rows = Flag.objects.filter(comparison=comparison)
    for row in rows.select_related("annotator__user", "resolved_by"):
        note = f": {row.note}" if row.note else ""
        who, reason = display_name(row.annotator), flag_title(row.reason)
        events.append(HistoryEvent(row.created_at, "flag", who, f"Flagged “{reason}”{note}"))
        if row.resolved_at is not None:
            closed = f"Closed the flag “{reason}”"
            events.append(HistoryEvent(row.resolved_at, "flag", _name(row.resolved_by), closed))
    return events


def _reviews(comparison: Comparison) -> list[HistoryEvent]:
    events = []
    for row in Review.objects.filter(comparison=comparison).select_related("reviewer__user"):
        events.append(HistoryEvent(row.opened_at, "review", "", f"To review: {row.reason}"))
        if row.decided_at is not None:
            who = _annotator(row.reviewer)
            events.append(HistoryEvent(row.decided_at, "review", who, "Decided the review"))
    return events


def _changes(comparison: Comparison) -> list[HistoryEvent]:
    events = []
    rows = BulkChangeRow.objects.filter(comparison=comparison)
    for row in rows.select_related("change__created_by"):
        change = row.change
        text = f"{change.get_action_display()}: {row.before!r} → {row.after!r}"
        events.append(HistoryEvent(change.created_at, "change", _name(change.created_by), text))
        if change.undone_at is not None:
            undone = f"Taken back: {change.get_action_display().lower()}"
            events.append(HistoryEvent(change.undone_at, "change", "", undone))
    return events


def _name(user: User | None) -> str:
    return user.get_username() if user else ""


def _annotator(annotator: Annotator | None) -> str:
    return display_name(annotator) if annotator else ""
