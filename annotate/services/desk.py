"""An annotator's desk: what decides about their next lease, read with a lock or without one.

Read under the lock of the annotator's place nothing about it changes until the transaction ends. A
glance needs no lock and travels with what says who asks; what is taken by it is taken only if the
place has not been written since (``DESK_HOLDS``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Any
from uuid import UUID

from django.utils import timezone

from annotate.models import Annotator, Protocol
from annotate.prepared import Statement, fetch_together

MAX_RESPONSES = 26
# No mark has this xid: for those who start at the head, nobody is a newcomer.
NEVER_XID = 2**62
WALK_AGAIN = timedelta(hours=1)

_LOCK_PLACE_SQL = """
INSERT INTO annotate_queueplace AS q
    (annotator_id, rank, comparison_id, seen_xid, protocol_id, skills, walked_at, asked_at)
VALUES (%(annotator)s, '-infinity', 0, 0, 0, '{}', 'epoch', %(now)s)
ON CONFLICT (annotator_id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING rank, comparison_id, seen_xid, protocol_id, skills, walked_at > %(fresh_after)s
    AND seen_xid <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    set_config('synchronous_commit', 'off', true), set_config('tandem.desk', 'holds', true)
"""
# Every request for a comparison writes the place, so that an unwritten one means no lease since.
_LOCK_UNMOVED_SQL = """
WITH locked AS (
    UPDATE annotate_queueplace SET asked_at = %(now)s
    WHERE annotator_id = %(annotator)s AND xmin = %(place_xmin)s::text::xid
      AND EXISTS (SELECT 1 FROM annotate_annotator a
                  WHERE a.id = annotator_id AND a.is_active AND a.paused_at IS NULL)
    RETURNING 'holds')
SELECT set_config('synchronous_commit', 'off', true),
    set_config('tandem.desk', COALESCE((SELECT * FROM locked), 'moved'), true)
"""
# Nothing is taken and no place moved unless the place was locked as the desk was read.
DESK_HOLDS = "(SELECT current_setting('tandem.desk', true)) = 'holds'"

_DESK = """
SELECT a.skills, a.is_active AND a.paused_at IS NULL, owner.human_price_usd, p.id, p.kind,
    p.lease_seconds, p.skip_policy, p.version,
    ARRAY(SELECT s.public_id FROM annotate_assignment s
          WHERE s.annotator_id = a.id AND s.state = 'live' AND s.expires_at > %(now)s
          ORDER BY s.leased_at, s.id),
    EXISTS (SELECT 1 FROM annotate_reservation r WHERE r.annotator_id = a.id),
    EXISTS (SELECT 1 FROM annotate_assignment s JOIN annotate_annotator x ON x.id = s.annotator_id
            WHERE s.state = 'live' AND s.expires_at <= %(now)s AND x.project_id = a.project_id),
    p.quota IS NOT NULL AND p.quota <= (
        SELECT count(*) FROM (
            SELECT 1 FROM annotate_assignment s WHERE s.annotator_id = a.id
                AND s.kind = 'work' AND s.state IN ('live', 'submitted') LIMIT p.quota) AS given)
    {place}
FROM annotate_annotator a
JOIN annotate_project owner ON owner.id = a.project_id
JOIN LATERAL (SELECT * FROM annotate_protocol WHERE project_id = a.project_id
              ORDER BY version DESC LIMIT 1) AS p ON true
{whose}
"""
# Read after the lock, because an earlier snapshot would not show a lease made meanwhile.
_DESK_SQL = _DESK.format(place="", whose="WHERE a.id = %(annotator)s")
_GLANCE_SQL = _DESK.format(
    place=""", q.rank, q.comparison_id, q.seen_xid, q.protocol_id, q.skills,
    q.walked_at > %(fresh_after)s
    AND q.seen_xid <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    q.xmin::text::bigint, %(now)s::timestamptz""",
    whose="""JOIN annotate_queueplace q ON q.annotator_id = a.id
WHERE a.user_id = %(user)s AND owner.slug = %(slug)s""",
)


@dataclass(frozen=True)
class Desk:
    """What decides about an annotator's next lease, and as of which write of their place."""

    annotator_id: int
    project_id: int
    rank: float
    comparison_id: int
    seen_xid: int
    skills: tuple[str, ...]
    is_active: bool
    price_usd: Decimal
    protocol_id: int
    kind: str
    lease_seconds: int
    skip_policy: str
    protocol_version: int
    held: tuple[UUID, ...]
    has_reservations: bool
    has_expired: bool
    is_quota_reached: bool
    now: datetime
    # None where the place was locked before the rest was read.
    place_xmin: int | None = None

    @property
    def expires_at(self) -> datetime:
        """When a lease that is given or extended now ends."""
        return self.now + timedelta(seconds=self.lease_seconds)

    @property
    def max_responses(self) -> int:
        """The largest comparison that the protocol can ask about."""
        return 2 if self.kind == Protocol.Kind.PAIRWISE else MAX_RESPONSES


def desk_open(*, annotator: Annotator) -> Desk:
    """Lock the annotator's place in the queue and read what decides about their next lease.

    A place is forgotten when the protocol or the annotator's skills are others than when it was
    reached, when it is an hour old, and when it comes from another database cluster.

    The transaction's commit does not wait for the disk: a lease that a crash of the server forgets
    is given anew. A label is written after its lease and waits, so that it never outlives it.
    """
    now = timezone.now()
    key: dict[str, Any] = {
        "annotator": annotator.pk, "now": now, "fresh_after": now - WALK_AGAIN
    }  # fmt: skip
    (place,), (row,) = fetch_together((_LOCK_PLACE_SQL, key), (_DESK_SQL, key))
    return _desk(annotator, row, place[:6], now)


def glance_statement(*, user_id: int, slug: str) -> Statement:
    """What reads a desk without a lock, to be sent along with what says who asks."""
    now = timezone.now()
    key = {"user": user_id, "slug": slug, "now": now, "fresh_after": now - WALK_AGAIN}
    return _GLANCE_SQL, key


def glance_read(*, annotator: Annotator, rows: Sequence[tuple[Any, ...]]) -> Desk | None:
    """The desk that ``glance_statement`` found; ``None`` before somebody's first comparison."""
    if not rows:
        return None
    ((*row, place_xmin, now),) = rows
    desk = _desk(annotator, row[:-6], row[-6:], now)
    return replace(desk, place_xmin=place_xmin)


def _desk(annotator: Annotator, row: Sequence[Any], place: Sequence[Any], now: datetime) -> Desk:
    rank, comparison_id, seen_xid, protocol_id, known_skills, is_fresh = place
    skills = tuple(dict.fromkeys(["", *row[0]]))
    desk = Desk(
        annotator.pk, annotator.project_id, rank, comparison_id, seen_xid, skills,
        is_active=row[1], price_usd=row[2], protocol_id=row[3], kind=row[4], lease_seconds=row[5],
        skip_policy=row[6], protocol_version=row[7], held=tuple(row[8]), has_reservations=row[9],
        has_expired=row[10], is_quota_reached=row[11], now=now,
    )  # fmt: skip
    if is_fresh and protocol_id == desk.protocol_id and tuple(known_skills) == skills:
        return desk
    return replace(desk, rank=-inf, comparison_id=0, seen_xid=NEVER_XID)


def desk_lock(*, desk: Desk) -> list[Statement]:
    """What locks the place of a desk that was read without a lock, while it is as it was."""
    if desk.place_xmin is None:
        return []
    key = {"annotator": desk.annotator_id, "now": desk.now, "place_xmin": desk.place_xmin}
    return [(_LOCK_UNMOVED_SQL, key)]
