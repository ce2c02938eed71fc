"""Streams comparisons with every verdict on them out of the database, in flat memory."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from django.db import connection
from django.db.models import Max

from annotate.formats.base import ComparisonRecord, PreferenceRecord, ResponseRecord
from annotate.models import (
    Assignment,
    Comparison,
    DatasetVersion,
    Gold,
    Preference,
    Project,
)
from annotate.reading_ahead import read_ahead
from annotate.selectors.filters import Filters, filters_of

if TYPE_CHECKING:
    from psycopg import Connection as Session
    from psycopg import Cursor

CHUNK = 500
NO_FILTERS = Filters()
ORIGIN_KEY = "origin"
MEASURING = (
    Assignment.Kind.GOLD,
    Assignment.Kind.QUALIFICATION,
    Assignment.Kind.REPEAT,
)


@dataclass(frozen=True)
class DatasetCut:
    """The last rows that belong to a selection; the tables only grow.

    Comparisons whose answer was known by ``last_gold_id`` are left out: they measure people.
    """

    last_comparison_id: int
    last_preference_id: int
    last_gold_id: int = 0
    filters: Filters = NO_FILTERS


def dataset_cut(*, project: Project) -> DatasetCut:
    """The cut that takes in everything that is committed now."""
    comparisons = Comparison.objects.filter(project=project).aggregate(last=Max("pk"))
    preferences = Preference.objects.filter(comparison__project=project).aggregate(last=Max("pk"))
    golds = Gold.objects.filter(comparison__project=project).aggregate(last=Max("pk"))
    return DatasetCut(comparisons["last"] or 0, preferences["last"] or 0, golds["last"] or 0)


def cut_of(version: DatasetVersion) -> DatasetCut:
    """The cut at which a version was frozen."""
    last_gold_id = version.manifest.get("last_gold_id", 0)
    filters = filters_of(version.manifest.get("filters", {}))
    return DatasetCut(version.last_comparison_id, version.last_preference_id, last_gold_id, filters)


def records_stream(*, project: Project, cut: DatasetCut) -> Iterator[ComparisonRecord]:
    """Yield the comparisons of a cut by ascending id; at most three chunks are in memory."""
    return cut.filters.apply(_all_records(project, cut))


def _all_records(project: Project, cut: DatasetCut) -> Iterator[ComparisonRecord]:
    # PostgreSQL finds the next chunk while this one is worked on, and over the same connection,
    # so that what a transaction has not committed yet is seen too.
    connection.ensure_connection()
    for rows in read_ahead(_chunks(connection.connection, project.pk, cut), depth=1):
        yield from _records(rows)


def comparison_cut(
    *, project: Project, cut: DatasetCut, comparison_ids: list[int]
) -> Iterator[ComparisonRecord]:
    """Yield those of the given comparisons that belong to a cut, by ascending id."""
    return cut.filters.apply(_some_records(project, cut, comparison_ids))


def _some_records(
    project: Project, cut: DatasetCut, comparison_ids: list[int]
) -> Iterator[ComparisonRecord]:
    within = Comparison.objects.filter(project=project, pk__lte=cut.last_comparison_id)
    within = within.exclude(gold__pk__lte=cut.last_gold_id)
    for start in range(0, len(comparison_ids), CHUNK):
        wanted = within.filter(pk__in=comparison_ids[start : start + CHUNK])
        yield from _records(_rows_of(sorted(wanted.values_list("pk", flat=True)), cut))


def comparison_records(*, comparison_ids: list[int]) -> Iterator[ComparisonRecord]:
    """Yield the given comparisons with all their verdicts, by ascending id."""
    everything = DatasetCut(_LAST_OF_ALL, _LAST_OF_ALL)
    yield from _records(_rows_of(comparison_ids, everything))


# Plain SQL: a million rows of 24 columns through model fields cost three times as much. JSON and
# times come as text, because the fields' own parsers are several times slower.
_COMPARISONS = """
SELECT c.id, c.external_id, c.criterion, c.metadata::text, prompt.turns::text
FROM annotate_comparison c JOIN annotate_prompt prompt ON prompt.id = c.prompt_id
"""
_NEXT_SQL = f"""{_COMPARISONS}
WHERE c.project_id = %s AND c.id > %s AND c.id <= %s AND NOT EXISTS (
    SELECT FROM annotate_gold gold WHERE gold.comparison_id = c.id AND gold.id <= %s
) ORDER BY c.id LIMIT %s
"""
_GIVEN_SQL = f"{_COMPARISONS} WHERE c.id = ANY(%s) ORDER BY c.id"
_RESPONSES_SQL = """
SELECT slot.comparison_id, slot.external_id, response.text, response.source_model
FROM annotate_comparisonresponse slot JOIN annotate_response response
    ON response.id = slot.response_id
WHERE slot.comparison_id = ANY(%s) ORDER BY slot.comparison_id, slot.position
"""
# What most verdicts leave empty comes as one value, which is null then.
_PREFERENCES_SQL = """
SELECT p.comparison_id, p.id, p.supersedes_id, a.name, a.kind, p.verdict, p.ranking::text,
    p.strength, p.rationale, p.confidence, p.probability, p.shown_order::text, p.active_ms,
    p.replicate, a.is_simulated, p.is_override, p.created_at::text, p.source, protocol.version,
    nullif(p.cost_usd, 0)::float8,
    CASE WHEN p.aspects <> '{}' OR p.ratings <> '{}' OR p.reasons <> '{}' OR p.spans <> '[]'
        OR p.extra <> '{}'
    THEN jsonb_build_array(p.aspects, p.ratings, p.reasons, p.spans, p.extra)::text END
FROM annotate_preference p
JOIN annotate_annotator a ON a.id = p.annotator_id
JOIN annotate_protocol protocol ON protocol.id = p.protocol_id
LEFT JOIN annotate_assignment given ON given.id = p.assignment_id
WHERE p.comparison_id = ANY(%s) AND p.id <= %s
    AND (given.kind IS NULL OR NOT given.kind = ANY(%s))
ORDER BY p.id
"""
_LAST_OF_ALL = 2**63 - 1
_KINDS = [kind.value for kind in MEASURING]
SqlRows = list[tuple[Any, ...]]


class _Rows(NamedTuple):
    """A chunk as it comes out of the database: comparisons, their responses, their verdicts."""

    comparisons: SqlRows
    responses: SqlRows
    preferences: SqlRows


def _chunks(session: "Session[Any]", project_id: int, cut: DatasetCut) -> Iterator[_Rows]:
    last = 0
    with session.cursor() as cursor:
        while True:
            wanted = [project_id, last, cut.last_comparison_id, cut.last_gold_id, CHUNK]
            comparisons = cursor.execute(_NEXT_SQL, wanted).fetchall()
            if not comparisons:
                return
            last = comparisons[-1][0]
            yield _with_verdicts(cursor, comparisons, cut)


def _rows_of(comparison_ids: list[int], cut: DatasetCut) -> _Rows:
    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        comparisons = cursor.execute(_GIVEN_SQL, [comparison_ids]).fetchall()
        return _with_verdicts(cursor, comparisons, cut)


def _with_verdicts(cursor: "Cursor[Any]", comparisons: SqlRows, cut: DatasetCut) -> _Rows:
    pks = [row[0] for row in comparisons]
    responses = cursor.execute(_RESPONSES_SQL, [pks]).fetchall()
    asked = [pks, cut.last_preference_id, _KINDS]
    return _Rows(comparisons, responses, cursor.execute(_PREFERENCES_SQL, asked).fetchall())


def _records(rows: _Rows) -> Iterator[ComparisonRecord]:
    responses: defaultdict[int, list[ResponseRecord]] = defaultdict(list)
    for pk, external_id, text, source_model in rows.responses:
        responses[pk].append(ResponseRecord(external_id, text, source_model))
    preferences = _preferences(rows.preferences)
    for pk, external_id, criterion, metadata, turns in rows.comparisons:
        yield ComparisonRecord(
            pk,
            external_id,
            tuple(orjson.loads(turns)),
            tuple(responses[pk]),
            criterion,
            {} if metadata == "{}" else orjson.loads(metadata),
            tuple(preferences.get(pk, ())),
        )


def preferences_of(*, comparison_ids: list[int]) -> dict[int, list[PreferenceRecord]]:
    """The verdicts on the given comparisons, oldest first, without those that measure people."""
    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        cursor.execute(_PREFERENCES_SQL, [comparison_ids, _LAST_OF_ALL, _KINDS])
        return _preferences(cursor.fetchall())


def _preferences(rows: SqlRows) -> dict[int, list[PreferenceRecord]]:
    found: defaultdict[int, list[PreferenceRecord]] = defaultdict(list)
    revisions: dict[int, int] = {}
    for row in rows:
        supersedes_id = row[2]
        revision = revisions[supersedes_id] + 1 if supersedes_id else 0
        revisions[row[1]] = revision
        found[row[0]].append(_preference(row, revision))
    return found


def _preference(row: tuple[Any, ...], revision: int) -> PreferenceRecord:
    (
        _, _, _, annotator, kind, verdict, ranking, strength, rationale, confidence, probability,
        shown_order, active_ms, replicate, is_simulated, is_override, created_at, source,
        protocol_version, cost_usd, more,
    ) = row  # fmt: skip
    aspects, ratings, reasons, spans, extra = (
        ({}, {}, {}, [], {}) if more is None else orjson.loads(more)
    )
    origin: dict[str, Any] = {"source": source, "protocol_version": protocol_version}
    if cost_usd:
        origin["cost_usd"] = cost_usd
    if extra:
        # What an import brought along about a verdict's origin outranks what this project knows.
        origin.update(extra.pop(ORIGIN_KEY, {}))
    return PreferenceRecord(
        annotator, kind, verdict, dense(ranking), strength, aspects, ratings, reasons, spans,
        rationale, confidence, probability, _numbers(shown_order), active_ms, replicate, revision,
        is_simulated, is_override, extra, origin, datetime.fromisoformat(created_at),
    )  # fmt: skip


def _numbers(text: str | None) -> tuple[int, ...] | None:
    return None if text is None else tuple(map(int, text[1:-1].split(",")))


# Nearly every ranking is one of these; a set holds one tuple for all of them.
PAIR_RANKINGS: dict[str | None, tuple[int, ...] | None] = {
    None: None, "{0,1}": (0, 1), "{1,0}": (1, 0), "{0,0}": (0, 0),
}  # fmt: skip


def dense(text: str | None) -> tuple[int, ...] | None:
    """Ranks without gaps: what a ranking says is only its order."""
    if text in PAIR_RANKINGS:
        return PAIR_RANKINGS[text]
    ranking = _numbers(text) or ()
    places = {rank: place for place, rank in enumerate(sorted(set(ranking)))}
    return tuple(places[rank] for rank in ranking)
