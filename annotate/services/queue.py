"""The statements that take the next slot for an annotator, at a cost that does not grow.

The queue is the partial index ``comparison_queue``: open comparisons by priority, then age. An
annotator's place (``QueuePlace``) is the first comparison in it that may still be theirs, so that
nobody walks past what they labelled last week. Comparisons that entered the queue before that place
since it was last moved are found by the transaction that put them there (``queued_xid``).
docs/decisions/003-queue.md says why nothing can be missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from annotate.errors import BudgetExhausted, ConflictError
from annotate.models import Protocol
from annotate.prepared import Statement, by_name, fetch_together, transaction_end
from annotate.services.desk import DESK_HOLDS, Desk, desk_lock

# So many newcomers are looked at one by one; more send the annotator back to the head.
NEWCOMERS = 200
MAX_WAIT_S = 3

# Asked row by row: joined, a planner without statistics reads all that the annotator ever labelled.
# So it does through the annotator's own indexes while it knows few labels of theirs; "+ 0" leaves
# it the way by the comparison, which never has many.
_ELIGIBLE = """
c.n_responses <= %(max_responses)s
AND (SELECT true FROM annotate_assignment s
     WHERE s.comparison_id = c.id AND s.annotator_id + 0 = %(annotator)s AND s.replicate = 0
       AND s.state IN ('live', 'submitted', 'skipped') LIMIT 1) IS NULL
AND (SELECT true FROM annotate_preference p
     WHERE p.comparison_id = c.id AND p.annotator_id + 0 = %(annotator)s AND p.replicate = 0
       AND p.supersedes_id IS NULL LIMIT 1) IS NULL
"""

# Routing prices single comparisons, by reading time or by whom it asks; others cost the usual.
_PRICE = "COALESCE(c.human_price_usd, %(price)s::numeric) AS price"

_QUEUED = """
c.project_id = %(project)s AND c.open_slots > 0 AND NOT c.is_reserved AND NOT c.is_gold
"""

# The walk is made per skill, so that comparisons for others cost nothing.
_WALK = f"""
SELECT h.id, h.rank, h.n_responses, h.price
FROM unnest(%(skills)s::text[]) AS mine(skill)
CROSS JOIN LATERAL (
    SELECT c.id, - c.priority AS rank, c.n_responses, {_PRICE} FROM annotate_comparison c
    WHERE {_QUEUED} AND c.skill = mine.skill
      AND (- c.priority, c.id) >= ((SELECT rank FROM {{since}}), (SELECT id FROM {{since}}))
      AND {_ELIGIBLE}
    ORDER BY - c.priority, c.id LIMIT 1 {{lock}}
) AS h
ORDER BY h.rank, h.id LIMIT 1
"""

# `head` is the first comparison for this annotator whether somebody has it locked or not: the place
# moves there and not beyond, so that a row skipped under a lock is met again.
_QUEUE = f"""
newcomer AS MATERIALIZED (
    SELECT c.id, - c.priority AS rank, c.skill, c.n_responses FROM annotate_comparison c
    WHERE {_QUEUED} AND c.queued_xid >= %(seen_xid)s
      AND (- c.priority, c.id) < (%(rank)s::float8, %(last)s::bigint)
    LIMIT {NEWCOMERS + 1}
), start AS MATERIALIZED (
    SELECT rank, id FROM (
        SELECT %(rank)s::float8 AS rank, %(last)s::bigint AS id
        UNION ALL
        SELECT '-infinity', 0 WHERE (SELECT count(*) FROM newcomer) > {NEWCOMERS}
        UNION ALL
        SELECT c.rank, c.id FROM newcomer c
        WHERE (SELECT count(*) FROM newcomer) <= {NEWCOMERS}
          AND c.skill = ANY(%(skills)s::text[]) AND {_ELIGIBLE}
    ) AS place WHERE {DESK_HOLDS} ORDER BY rank, id LIMIT 1
), head AS MATERIALIZED (
    {_WALK.format(since="start", lock="")}
), candidate AS MATERIALIZED (
    {_WALK.format(since="head", lock="FOR UPDATE OF c {wait}")}
), moved AS (
    UPDATE annotate_queueplace q
    SET rank = COALESCE((SELECT rank FROM head), 'infinity'),
        comparison_id = COALESCE((SELECT id FROM head), 0),
        seen_xid = pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
        protocol_id = %(protocol)s, skills = %(skills)s::text[],
        walked_at = CASE WHEN (SELECT rank FROM start) = '-infinity' THEN %(now)s
                    ELSE q.walked_at END
    WHERE q.annotator_id = %(annotator)s AND {DESK_HOLDS}
)
"""

# What the owner gave by hand is theirs whatever skill it asks for.
_RESERVED = f"""
candidate AS MATERIALIZED (
    SELECT c.id, c.n_responses, {_PRICE} FROM annotate_reservation r
    JOIN annotate_comparison c ON c.id = r.comparison_id
    WHERE r.annotator_id = %(annotator)s AND c.open_slots > 0 AND c.is_reserved
      AND NOT c.is_gold AND {_ELIGIBLE}
    ORDER BY - c.priority, c.id LIMIT 1 FOR UPDATE OF c {{wait}}
), head AS (SELECT id FROM candidate)
"""

# What somebody skipped and may have again, the longest ago first; the skip becomes a return.
_SKIPPED = f"""
candidate AS MATERIALIZED (
    SELECT c.id, c.n_responses, {_PRICE}, s.id AS skipped_id FROM annotate_assignment s
    JOIN annotate_comparison c ON c.id = s.comparison_id
    WHERE s.annotator_id = %(annotator)s AND s.state = 'skipped' AND s.kind = 'work'
      AND c.open_slots > 0 AND NOT c.is_gold
      AND (NOT c.is_reserved OR EXISTS (
          SELECT 1 FROM annotate_reservation r
          WHERE r.comparison_id = c.id AND r.annotator_id = s.annotator_id))
    ORDER BY s.closed_at, s.id LIMIT 1 FOR UPDATE OF c {{wait}}
), head AS (SELECT id FROM candidate)
, again AS (
    UPDATE annotate_assignment s SET state = 'returned' FROM candidate
    WHERE s.id = candidate.skipped_id RETURNING s.id
)
"""

# The shown order is drawn in the database so that no client can choose it. The new row goes by the
# name of its table, which does not have it yet: what shows a task reads it as it reads any other.
_TAKE = """
WITH {found}, paid AS (
    UPDATE annotate_project o SET committed_usd = o.committed_usd + candidate.price
    FROM candidate
    WHERE o.id = %(project)s
      AND (o.budget_usd IS NULL OR o.budget_usd >= o.committed_usd + candidate.price)
    RETURNING o.id
), taken AS (
    UPDATE annotate_comparison c SET open_slots = c.open_slots - 1
    FROM candidate, paid
    WHERE c.id = candidate.id AND c.open_slots > 0
    RETURNING c.id, c.n_responses, candidate.price
), annotate_assignment AS (
    INSERT INTO annotate_assignment
        (public_id, comparison_id, annotator_id, state, kind, replicate, shown_order, leased_at,
         expires_at, price_usd, skip_reason)
    SELECT gen_random_uuid(), taken.id, %(annotator)s, 'live', 'work', 0,
           (SELECT array_agg(place ORDER BY random())
            FROM generate_series(0, taken.n_responses - 1) AS place),
           %(now)s, %(expires)s, taken.price, ''
    FROM taken {after}
    RETURNING *
)
SELECT (SELECT id FROM head), (SELECT id FROM candidate),
    (SELECT id FROM annotate_assignment), shown.*
FROM (VALUES (1)) AS always(one) LEFT JOIN ({{shown}}) AS shown ON true
"""
NOTHING_SHOWN: Statement = ("SELECT NULL", ())

_QUEUE_SQL = _TAKE.format(found=_QUEUE, after="")
_RESERVED_SQL = _TAKE.format(found=_RESERVED, after="")
_SKIPPED_SQL = _TAKE.format(found=_SKIPPED, after=", again")
_PASS_BY, _WAIT = "SKIP LOCKED", ""


@dataclass(frozen=True)
class Taken:
    """The new lease, or none, what shows it, and what the statements along with it found."""

    pk: int | None
    shown: tuple[Any, ...]
    found: list[list[tuple[Any, ...]]]


def slot_take(
    *, desk: Desk, shown: Statement = NOTHING_SHOWN, along: Sequence[Statement] = ()
) -> Taken:
    """Take the annotator's next slot and lease it.

    What the owner gave them by hand comes first, then the queue, then, where the owner says so,
    what they skipped themselves. Rows locked by others are passed over; only when every row left is
    locked does the call wait.

    Parameters
    ----------
    desk
        What ``desk_open`` read under the lock.
    shown
        A query of one row whose ``annotate_assignment`` is the new lease alone; it becomes part of
        the statement that takes the slot, and sees all else as it was before.
    along
        Statements that travel with the one that takes the slot and run after it.

    Raises
    ------
    BudgetExhausted
        If the project cannot pay for another label.
    ConflictError
        If the rows that are left stay locked for seconds.
    """
    if desk.has_reservations:
        _, taken = _take(_RESERVED_SQL, desk, _PASS_BY, shown, along)
        if taken.pk is not None:
            return taken
    is_contended, taken = _take(_QUEUE_SQL, desk, _PASS_BY, shown, along)
    if taken.pk is None and is_contended:
        taken = _take_waiting(desk, shown, along)
    if taken.pk is None and desk.skip_policy == Protocol.SkipPolicy.ME:
        _, taken = _take(_SKIPPED_SQL, desk, _PASS_BY, shown, along)
    return taken


def slot_take_at_once(
    *, desk: Desk, shown: Statement = NOTHING_SHOWN, along: Sequence[Statement] = ()
) -> Taken:
    """Take the next slot of the queue as ``slot_take`` does and end the transaction with it.

    It saves the journey of a commit, and that of the lock where the desk was read without one: then
    nothing is taken if the annotator asked for a comparison elsewhere since. It does only what
    nearly every request needs. Where it takes nothing, nothing is said about what ``slot_take``
    would find under a new lock.
    """
    # Without a lock before it there is no block to end: the journey is a transaction of its own.
    end = transaction_end() if desk.place_xmin is None else []
    _, taken = _take(_QUEUE_SQL, desk, _PASS_BY, shown, [*along, *end])
    return taken


def _take_waiting(desk: Desk, shown: Statement, along: Sequence[Statement]) -> Taken:
    """Wait for locked rows, which may have slots left when their writers are done."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{MAX_WAIT_S}s'")
            _, taken = _take(_QUEUE_SQL, desk, _WAIT, shown, along)
            cursor.execute("SET LOCAL lock_timeout = 0")
            return taken
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise ConflictError("The queue is being changed. Ask again in a moment.") from error


def _take(
    sql: str, desk: Desk, wait: str, shown: Statement, along: Sequence[Statement]
) -> tuple[bool, Taken]:
    """Run one taking statement; say whether anything was there, and what was leased."""
    showing, values = by_name(shown, "shown_")
    take = (_taking(sql, wait, showing), _parameters(desk) | values)
    lock = desk_lock(desk=desk)
    ((head, candidate, leased, *task),), *found = fetch_together(*lock, take, *along)[len(lock) :]
    if candidate is not None and leased is None:
        raise BudgetExhausted(
            "The budget of this project is used up. Its owner can raise it in the settings."
        )
    return head is not None, Taken(leased, tuple(task), found)


@cache
def _taking(sql: str, wait: str, shown: str) -> str:
    return sql.replace("{wait}", wait).replace("{shown}", shown)


def _parameters(desk: Desk) -> dict[str, Any]:
    skills: Sequence[str] = list(desk.skills)
    return {
        "annotator": desk.annotator_id,
        "project": desk.project_id,
        "protocol": desk.protocol_id,
        "max_responses": desk.max_responses,
        "skills": skills,
        "rank": desk.rank,
        "last": desk.comparison_id,
        "seen_xid": desk.seen_xid,
        "price": desk.price_usd,
        "now": desk.now,
        "expires": desk.expires_at,
    }
