"""What one batch of an import would change.

Planning only reads, so the checking pass and the writing pass judge rows alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Any

from django.utils import timezone

from annotate.formats.base import ComparisonRecord, PreferenceRecord, RowError
from annotate.models import (
    Annotator,
    Comparison,
    Project,
    Protocol,
)
from annotate.selectors.records import comparison_records
from annotate.services.import_drafts import Destination
from annotate.services.references import (
    parents_hold,
    references_check_at_once,
    sets_are_allowed,
)

Labels = list[PreferenceRecord]


@dataclass
class ImportTarget:
    """The project that an import writes to, with the annotators it knows by kind and name."""

    project: Project
    destination: Destination
    annotators: dict[tuple[str, str], Annotator]
    has_comparisons: bool
    checks_in_sets: bool = False
    is_planned_for: bool = False

    @classmethod
    def of(cls, project: Project) -> "ImportTarget":
        """Read what every batch needs."""
        annotators = Annotator.objects.filter(project=project)
        protocol = project.protocol
        return cls(
            project=project,
            destination=Destination(project.pk, protocol.pk, protocol.overlap, str(timezone.now())),
            annotators={(a.kind, a.name): a for a in annotators},
            has_comparisons=Comparison.objects.filter(project=project).exists(),
        )

    def hold(self) -> None:
        """Prepare for writing: nobody removes what the new rows point to until they are there."""
        references_check_at_once()
        self.checks_in_sets = sets_are_allowed()
        protocol = Protocol(pk=self.destination.protocol_id)
        parents_hold([self.project, protocol, *self.annotators.values()])


@dataclass
class BatchPlan:
    """What a batch adds: whole comparisons, and labels for comparisons that exist."""

    new: list[ComparisonRecord] = field(default_factory=list)
    labels: dict[int, tuple[ComparisonRecord, Labels]] = field(default_factory=dict)
    n_unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)

    @property
    def n_preferences(self) -> int:
        """How many verdicts the batch adds."""
        whole = sum(len(record.preferences) for record in self.new)
        return whole + sum(len(labels) for _, labels in self.labels.values())


def batch_plan(
    *, target: ImportTarget, records: Sequence[ComparisonRecord], looks_back: bool = True
) -> BatchPlan:
    """Compare a batch with what the project holds, without writing.

    Where the caller knows that no row can be there yet, ``looks_back`` is false.
    """
    plan = BatchPlan()
    ids = [record.external_id for record in records]
    existing = _existing(target, ids) if looks_back else {}
    for record in _merged(records):
        found = existing.get(record.external_id)
        if found is None:
            _plan_new(plan, target, record)
        else:
            _plan_known(plan, target, record, found)
    return plan


def _existing(target: ImportTarget, external_ids: list[str]) -> dict[str, ComparisonRecord]:
    if not target.has_comparisons:
        return {}
    known = Comparison.objects.filter(project=target.project, external_id__in=external_ids)
    pks = list(known.values_list("pk", flat=True))
    return {record.external_id: record for record in comparison_records(comparison_ids=pks)}


def _merged(records: Sequence[ComparisonRecord]) -> Iterable[ComparisonRecord]:
    """Join rows of one comparison that came one label at a time."""
    joined: dict[str, ComparisonRecord] = {}
    for record in records:
        before = joined.get(record.external_id)
        joined[record.external_id] = (
            record
            if before is None
            else replace(before, preferences=before.preferences + record.preferences)
        )
    return joined.values()


def _plan_new(plan: BatchPlan, target: ImportTarget, record: ComparisonRecord) -> None:
    if len(record.preferences) == 1:
        (label,) = record.preferences
        error = _refusal(target, record, label, {})
        plan.errors += [error] if error else []
        plan.new.append(record)
        return
    errors, labels = _added_labels(target, record, [])
    plan.errors += errors
    if not all(map(is_, labels, record.preferences)) or len(labels) < len(record.preferences):
        record = replace(record, preferences=tuple(labels))
    plan.new.append(record)


def _plan_known(
    plan: BatchPlan, target: ImportTarget, record: ComparisonRecord, found: ComparisonRecord
) -> None:
    differing = difference(record, found)
    if differing:
        message = f"The project has {record.external_id!r} already with another {differing}."
        remedy = "Give the row another id, or restore the first content."
        plan.errors.append(RowError(record.row, differing, message, remedy))
        return
    errors, labels = _added_labels(target, record, list(found.preferences))
    plan.errors += errors
    if labels:
        plan.labels[found.row] = (record, labels)
    else:
        plan.n_unchanged += 1


def difference(record: ComparisonRecord, found: ComparisonRecord) -> str:
    """Name the first field in which two comparisons differ, or "" where they are the same."""
    fields = {
        "prompt": (record.turns, found.turns),
        "responses": (record.responses, found.responses),
        "criterion": (record.criterion, found.criterion),
        "meta": (record.metadata, found.metadata),
    }
    return next((name for name, (new, old) in fields.items() if new != old), "")


def _added_labels(
    target: ImportTarget, record: ComparisonRecord, present: Labels
) -> tuple[list[RowError], Labels]:
    """Return the verdicts that the comparison lacks, or why they cannot be added."""
    held = {label.key: label.content() for label in present}
    added: Labels = []
    for label in sorted(record.preferences, key=lambda label: label.revision):
        key = label.key
        if key in held:
            if held[key] != label.content():
                return [_conflict(record, label)], []
            continue
        error = _refusal(target, record, label, held)
        if error is not None:
            return [error], []
        held[key] = label.content()
        added.append(label)
    return [], _in_file_order(record.preferences, added)


def _in_file_order(given: Sequence[PreferenceRecord], added: Labels) -> Labels:
    """Order verdicts as the file has them, but a correction never before what it corrects."""
    if not any(label.revision for label in added):
        return added
    last: dict[tuple[str, str, int], int] = {}
    places: dict[tuple[str, str, int, int], tuple[int, int]] = {}
    order = {label.key: place for place, label in enumerate(given)}
    for label in sorted(given, key=lambda label: label.revision):
        chain = label.key[:3]
        last[chain] = max(order[label.key], last.get(chain, 0))
        places[label.key] = (last[chain], label.revision)
    return sorted(added, key=lambda label: places[label.key])


def _field_of(label: PreferenceRecord) -> str:
    return "human" if label.kind == "human" else "llm"


def _conflict(record: ComparisonRecord, label: PreferenceRecord) -> RowError:
    return RowError(
        record.row,
        _field_of(label),
        f"{label.annotator!r} has another verdict on {record.external_id!r} already.",
        "Verdicts are never overwritten: give a repeated one a 'replicate' number, a correction a "
        "'revision' number.",
    )


def _refusal(
    target: ImportTarget, record: ComparisonRecord, label: PreferenceRecord, held: dict[Any, Any]
) -> RowError | None:
    if label.revision and (*label.key[:3], label.revision - 1) not in held:
        message = f"Revision {label.revision} of {label.annotator!r} corrects no verdict."
        remedy = f"Add revision {label.revision - 1} before it."
        return RowError(record.row, _field_of(label), message, remedy)
    annotator = target.annotators.get((label.kind, label.annotator))
    if annotator is not None and annotator.user_id is not None:
        message = f"{label.annotator!r} is somebody who labels in this project."
        remedy = "Use another pseudonym for the people of this file."
        return RowError(record.row, _field_of(label), message, remedy)
    return None
