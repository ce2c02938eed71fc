"""Streams comparisons with every verdict on them out of the database, in flat memory."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Max

from annotate.formats.base import ComparisonRecord, PreferenceRecord, ResponseRecord
from annotate.models import (
    Assignment,
    Comparison,
    ComparisonResponse,
    DatasetVersion,
    Gold,
    Preference,
    Project,
)

CHUNK = 1_000
ORIGIN_KEY = "origin"
MEASURING = (
    Assignment.Kind.GOLD,
    Assignment.Kind.QUALIFICATION,
    Assignment.Kind.REPEAT,
)

_PREFERENCE_FIELDS = (
    "comparison_id", "pk", "supersedes_id", "annotator__name", "annotator__kind",
    "annotator__is_simulated", "verdict", "ranking", "strength", "aspects", "ratings", "reasons",
    "spans",
    "rationale", "confidence", "probability", "shown_order", "active_ms", "replicate", "extra",
    "source", "protocol__version", "cost_usd", "created_at", "is_override",
)  # fmt: skip


@dataclass(frozen=True)
class DatasetCut:
    """The last rows that belong to a selection; the tables only grow.

    Comparisons whose answer was known by ``last_gold_id`` are left out: they measure people.
    """

    last_comparison_id: int
    last_preference_id: int
    last_gold_id: int = 0


def dataset_cut(*, project: Project) -> DatasetCut:
    """The cut that takes in everything that is committed now."""
    comparisons = Comparison.objects.filter(project=project).aggregate(last=Max("pk"))
    preferences = Preference.objects.filter(comparison__project=project).aggregate(last=Max("pk"))
    golds = Gold.objects.filter(comparison__project=project).aggregate(last=Max("pk"))
    return DatasetCut(comparisons["last"] or 0, preferences["last"] or 0, golds["last"] or 0)


def cut_of(version: DatasetVersion) -> DatasetCut:
    """The cut at which a version was frozen."""
    last_gold_id = version.manifest.get("last_gold_id", 0)
    return DatasetCut(version.last_comparison_id, version.last_preference_id, last_gold_id)


def records_stream(*, project: Project, cut: DatasetCut) -> Iterator[ComparisonRecord]:
    """Yield the comparisons of a cut by ascending id, a thousand in memory at a time."""
    last = 0
    within = Comparison.objects.filter(project=project, pk__lte=cut.last_comparison_id).exclude(
        gold__pk__lte=cut.last_gold_id
    )
    while True:
        rows = within.filter(pk__gt=last).order_by("pk")
        fields = ("pk", "external_id", "criterion", "metadata", "prompt__turns")
        chunk = list(rows.values_list(*fields)[:CHUNK])
        if not chunk:
            return
        last = chunk[-1][0]
        yield from _records(chunk, cut)


def comparison_records(*, comparison_ids: list[int]) -> Iterator[ComparisonRecord]:
    """Yield the given comparisons with all their verdicts, by ascending id."""
    rows = Comparison.objects.filter(pk__in=comparison_ids).order_by("pk")
    fields = ("pk", "external_id", "criterion", "metadata", "prompt__turns")
    everything = DatasetCut(2**63 - 1, 2**63 - 1)
    yield from _records(list(rows.values_list(*fields)), everything)


def _records(chunk: list[tuple[Any, ...]], cut: DatasetCut) -> Iterator[ComparisonRecord]:
    pks = [row[0] for row in chunk]
    responses = _responses(pks)
    preferences = preferences_of(comparison_ids=pks, cut=cut)
    for pk, external_id, criterion, metadata, turns in chunk:
        yield ComparisonRecord(
            row=pk,
            external_id=external_id,
            turns=tuple(turns),
            responses=tuple(responses[pk]),
            criterion=criterion,
            metadata=metadata,
            preferences=tuple(preferences.get(pk, ())),
        )


def _responses(pks: list[int]) -> dict[int, list[ResponseRecord]]:
    slots = ComparisonResponse.objects.filter(comparison_id__in=pks)
    rows = slots.order_by("comparison_id", "position").values_list(
        "comparison_id", "external_id", "response__text", "response__source_model"
    )
    found: defaultdict[int, list[ResponseRecord]] = defaultdict(list)
    for pk, external_id, text, source_model in rows:
        found[pk].append(ResponseRecord(external_id, text, source_model))
    return found


def preferences_of(
    *, comparison_ids: list[int], cut: DatasetCut | None = None
) -> dict[int, list[PreferenceRecord]]:
    """The verdicts on the given comparisons, oldest first, without those that measure people."""
    rows = Preference.objects.filter(comparison_id__in=comparison_ids).order_by("pk")
    rows = rows.exclude(assignment__kind__in=MEASURING)
    if cut is not None:
        rows = rows.filter(pk__lte=cut.last_preference_id)
    found: defaultdict[int, list[PreferenceRecord]] = defaultdict(list)
    revisions: dict[int, int] = {}
    for row in rows.values_list(*_PREFERENCE_FIELDS):
        comparison_id, pk, supersedes_id = row[:3]
        revisions[pk] = revisions[supersedes_id] + 1 if supersedes_id else 0
        found[comparison_id].append(replace(_preference(row[3:]), revision=revisions[pk]))
    return found


def _preference(row: tuple[Any, ...]) -> PreferenceRecord:
    (
        annotator, kind, is_simulated, verdict, ranking, strength, aspects, ratings, reasons, spans,
        rationale, confidence, probability, shown_order, active_ms, replicate, extra, source,
        protocol_version, cost_usd, created_at, is_override,
    ) = row  # fmt: skip
    own = {"source": source, "protocol_version": protocol_version}
    if cost_usd:
        own["cost_usd"] = float(cost_usd)
    # What an import brought along about a verdict's origin outranks what this project knows.
    origin = {**own, **extra.get(ORIGIN_KEY, {})}
    return PreferenceRecord(
        annotator=annotator,
        kind=kind,
        verdict=verdict,
        ranking=dense(ranking),
        strength=strength,
        aspects=aspects,
        ratings=ratings,
        reasons=reasons,
        spans=spans,
        rationale=rationale,
        confidence=confidence,
        probability=probability,
        shown_order=tuple(shown_order) if shown_order is not None else None,
        active_ms=active_ms,
        replicate=replicate,
        is_simulated=is_simulated,
        is_override=is_override,
        extra={key: value for key, value in extra.items() if key != ORIGIN_KEY},
        origin=origin,
        created_at=created_at,
    )


def dense(ranking: list[int] | None) -> tuple[int, ...] | None:
    """Ranks without gaps: what a ranking says is only its order."""
    if ranking is None:
        return None
    places = {rank: place for place, rank in enumerate(sorted(set(ranking)))}
    return tuple(places[rank] for rank in ranking)
