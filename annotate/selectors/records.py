"""Streams comparisons with every verdict on them out of the database, in flat memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

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
from annotate.selectors.filters import Filters, filters_of

if TYPE_CHECKING:
    from psycopg import Connection as Session
    from psycopg import Cursor, Pipeline

CHUNK = 1_000
TAKE_EVERY = 32
NO_FILTERS = Filters()
ORIGIN_KEY = "origin"
SqlRow = tuple[int, str]
SqlRows = list[SqlRow]
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
    """Yield the comparisons of a cut by ascending id; at most two chunks are in memory."""
    return cut.filters.apply(map(_record, _all_rows(project, cut)))


def _all_rows(project: Project, cut: DatasetCut) -> Iterator[SqlRow]:
    asked = (project.pk, cut)
    # What a transaction has not committed yet is seen only over its own connection, which whoever
    # works on the rows may want in between.
    if connection.in_atomic_block:
        return _rows_in_turn(connection.connection, *asked)
    return _rows_over_own_connection(*asked)


def _rows_in_turn(session: "Session[Any]", project_id: int, cut: DatasetCut) -> Iterator[SqlRow]:
    last = 0
    with session.cursor() as cursor:
        while rows := cursor.execute(_NEXT_SQL, _wanted(project_id, cut, last)).fetchall():
            last = rows[-1][0]
            yield from rows


def _rows_over_own_connection(project_id: int, cut: DatasetCut) -> Iterator[SqlRow]:
    own = connection.copy()
    own.ensure_connection()
    try:
        yield from _rows_ahead(own.connection, project_id, cut)
    finally:
        own.close()


def _rows_ahead(session: "Session[Any]", project_id: int, cut: DatasetCut) -> Iterator[SqlRow]:
    """Let PostgreSQL work on the next chunk while this one is worked on.

    No thread reads ahead: it would wait for the interpreter's lock with every packet. What has
    come is taken from the socket in between, so that PostgreSQL never waits for room in it.
    """
    with session.pipeline() as pipeline, session.cursor() as cursor:
        cursor.execute(_NEXT_SQL, _wanted(project_id, cut, 0))
        while rows := _received(pipeline, cursor):
            cursor.execute(_NEXT_SQL, _wanted(project_id, cut, rows[-1][0]))
            for place in range(0, len(rows), TAKE_EVERY):
                yield from rows[place : place + TAKE_EVERY]
                session.pgconn.consume_input()


def _received(pipeline: "Pipeline", cursor: "Cursor[Any]") -> SqlRows:
    # Ends the transaction of this chunk: no snapshot outlives the rows that were read in it.
    pipeline.sync()
    return cursor.fetchall()


def _wanted(project_id: int, cut: DatasetCut, last: int) -> list[Any]:
    return [
        cut.last_preference_id, _KINDS, project_id, last, cut.last_comparison_id,
        cut.last_gold_id, CHUNK,
    ]  # fmt: skip


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
        yield from map(_record, _rows_of(list(wanted.values_list("pk", flat=True)), cut))


def comparison_records(*, comparison_ids: list[int]) -> Iterator[ComparisonRecord]:
    """Yield the given comparisons with all their verdicts, by ascending id."""
    everything = DatasetCut(_LAST_OF_ALL, _LAST_OF_ALL)
    return map(_record, _rows_of(comparison_ids, everything))


# One row per comparison, whose lists PostgreSQL writes as JSON: sorting the rows of three queries
# by comparison took longer here than all that follows. Ranks and times come as text, because
# nearly all of them are one of a few values or are never asked for. What most verdicts leave empty
# is one value, which is null then.
_VERDICT = """
json_build_array(
    p.id, p.supersedes_id, a.name, a.kind, p.verdict, p.ranking::text, p.strength, p.rationale,
    p.confidence, p.probability, p.shown_order::text, p.active_ms, p.replicate, a.is_simulated,
    p.is_override, p.created_at::text, p.source, protocol.version, nullif(p.cost_usd, 0),
    CASE WHEN (p.aspects, p.ratings, p.reasons, p.spans, p.extra) <> ('{}', '{}', '{}', '[]', '{}')
    THEN json_build_array(p.aspects, p.ratings, p.reasons, p.spans, p.extra) END
)
"""
_GIVEN = """
FROM annotate_preference p
JOIN annotate_annotator a ON a.id = p.annotator_id
JOIN annotate_protocol protocol ON protocol.id = p.protocol_id
LEFT JOIN annotate_assignment given ON given.id = p.assignment_id
WHERE p.id <= %s AND (given.kind IS NULL OR NOT given.kind = ANY(%s))
"""
_COMPARISONS = f"""
SELECT c.id, json_build_array(
    c.external_id, c.criterion, c.metadata,
    (SELECT prompt.turns FROM annotate_prompt prompt WHERE prompt.id = c.prompt_id),
    ARRAY(
        SELECT ARRAY[slot.external_id, response.text, response.source_model]
        FROM annotate_comparisonresponse slot JOIN annotate_response response
            ON response.id = slot.response_id
        WHERE slot.comparison_id = c.id ORDER BY slot.position
    ),
    ARRAY(SELECT {_VERDICT} {_GIVEN} AND p.comparison_id = c.id ORDER BY p.id)
)::text FROM annotate_comparison c
"""
_NEXT_SQL = f"""{_COMPARISONS}
WHERE c.project_id = %s AND c.id > %s AND c.id <= %s AND NOT EXISTS (
    SELECT FROM annotate_gold gold WHERE gold.comparison_id = c.id AND gold.id <= %s
) ORDER BY c.id LIMIT %s
"""
_THESE_SQL = f"{_COMPARISONS} WHERE c.id = ANY(%s) ORDER BY c.id"
_VERDICTS_SQL = f"""
SELECT p.comparison_id, json_agg({_VERDICT} ORDER BY p.id)::text {_GIVEN}
    AND p.comparison_id = ANY(%s) GROUP BY p.comparison_id
"""
_LAST_OF_ALL = 2**63 - 1
_KINDS = [kind.value for kind in MEASURING]


def _rows_of(comparison_ids: list[int], cut: DatasetCut) -> SqlRows:
    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        wanted = [cut.last_preference_id, _KINDS, comparison_ids]
        return list(cursor.execute(_THESE_SQL, wanted).fetchall())


def _record(row: SqlRow) -> ComparisonRecord:
    external_id, criterion, metadata, turns, responses, verdicts = orjson.loads(row[1])
    return ComparisonRecord(
        row[0],
        external_id,
        tuple(turns),
        tuple(map(_response, responses)),
        criterion,
        metadata,
        _preferences(verdicts),
    )


def preferences_of(*, comparison_ids: list[int]) -> dict[int, list[PreferenceRecord]]:
    """The verdicts on the given comparisons, oldest first, without those that measure people."""
    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        cursor.execute(_VERDICTS_SQL, [_LAST_OF_ALL, _KINDS, comparison_ids])
        return {pk: list(_preferences(orjson.loads(given))) for pk, given in cursor.fetchall()}


# The constructors of named tuples, which read keywords, take several times as long.
_response = partial(tuple.__new__, ResponseRecord)


def _preferences(given: list[list[Any]]) -> tuple[PreferenceRecord, ...]:
    if len(given) == 1:
        return (_preference(given[0], 0),)
    revisions: dict[int | None, int] = {None: -1}
    found = []
    for row in given:
        revisions[row[0]] = revision = revisions.get(row[1], -1) + 1
        found.append(_preference(row, revision))
    return tuple(found)


def _preference(row: list[Any], revision: int) -> PreferenceRecord:
    (
        _, _, annotator, kind, verdict, ranking, strength, rationale, confidence, probability,
        shown_order, active_ms, replicate, is_simulated, is_override, created_at, source,
        protocol_version, cost_usd, more,
    ) = row  # fmt: skip
    aspects, ratings, reasons, spans, extra = ({}, {}, {}, [], {}) if more is None else more
    origin: dict[str, Any] = {"source": source, "protocol_version": protocol_version}
    if cost_usd:
        origin["cost_usd"] = float(cost_usd)
    if extra:
        # What an import brought along about a verdict's origin outranks what this project knows.
        origin.update(extra.pop(ORIGIN_KEY, {}))
    return tuple.__new__(PreferenceRecord, (
        annotator, kind, verdict, dense(ranking), _float(strength), aspects, ratings, reasons,
        spans, rationale, _float(confidence), _float(probability), _order(shown_order), active_ms,
        replicate, revision, is_simulated, is_override, extra, origin,
        datetime.fromisoformat(created_at),
    ))  # fmt: skip


def _float(number: float | None) -> float | None:
    """JSON has one kind of number: a whole one has lost its point."""
    return None if number is None else float(number)


def _order(text: str | None) -> tuple[int, ...] | None:
    return PAIR_ORDERS[text] if text in PAIR_ORDERS else _numbers(text)


def _numbers(text: str | None) -> tuple[int, ...]:
    return tuple(map(int, text[1:-1].split(","))) if text else ()


PAIR_ORDERS: dict[str | None, tuple[int, ...] | None] = {
    None: None, "{0,1}": (0, 1), "{1,0}": (1, 0),
}  # fmt: skip
# Nearly every ranking is one of these; a set holds one tuple for all of them.
PAIR_RANKINGS = {**PAIR_ORDERS, "{0,0}": (0, 0)}


def dense(text: str | None) -> tuple[int, ...] | None:
    """Ranks without gaps: what a ranking says is only its order."""
    if text in PAIR_RANKINGS:
        return PAIR_RANKINGS[text]
    ranking = _numbers(text)
    places = {rank: place for place, rank in enumerate(sorted(set(ranking)))}
    return tuple(places[rank] for rank in ranking)
