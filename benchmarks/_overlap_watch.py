"""Looks at every comparison again and again while a crowd labels, and once more at the end."""

import time
from dataclasses import asdict, dataclass

import psycopg

Connection = psycopg.Connection[tuple[object, ...]]

# Labels by people plus live leases on ordinary work, per comparison, in one snapshot.
_TAKEN_SQL = """
SELECT coalesce(max(taken), 0), count(*) FILTER (WHERE n_labels = %(overlap)s AND n_live = 0),
       count(*) FILTER (WHERE open_slots <> %(overlap)s - taken), count(*)
FROM (
    SELECT c.open_slots, l.n AS n_labels, s.n AS n_live, l.n + s.n AS taken
    FROM annotate_comparison c,
        LATERAL (SELECT count(*) AS n FROM annotate_preference p WHERE p.comparison_id = c.id
                 AND p.supersedes_id IS NULL AND p.replicate = 0) AS l,
        LATERAL (SELECT count(*) AS n FROM annotate_assignment s WHERE s.comparison_id = c.id
                 AND s.state = 'live' AND s.kind = 'work') AS s
    WHERE c.project_id = %(project)s
) AS counted
"""
_END_SQL = """
SELECT (SELECT count(*) FROM annotate_assignment),
    (SELECT count(*) FROM annotate_assignment WHERE state = 'expired'),
    (SELECT count(*) FROM annotate_assignment WHERE state = 'returned'),
    (SELECT count(*) FROM annotate_assignment WHERE state = 'skipped'),
    (SELECT count(*) FROM annotate_preference),
    (SELECT avg((shown_order[1] = 0)::int) FROM annotate_assignment),
    (SELECT committed_usd FROM annotate_project WHERE id = %(project)s)
        - (SELECT coalesce(sum(cost_usd), 0) FROM annotate_preference)
        - (SELECT coalesce(sum(price_usd), 0) FROM annotate_assignment WHERE state = 'live')
"""
# Leases run out at random, also under people who are at work.
_AGE_SQL = """
UPDATE annotate_assignment SET expires_at = now() - interval '1 second'
WHERE id IN (SELECT id FROM annotate_assignment WHERE state = 'live' AND random() < %(share)s
             FOR UPDATE SKIP LOCKED)
"""


@dataclass
class Watch:
    """What was seen: the most labels plus leases, and snapshots whose count of slots was wrong."""

    n_looks: int = 0
    max_taken: int = 0
    n_wrong_counts: int = 0
    n_done: int = 0
    n_comparisons: int = 0

    def look(self, connection: Connection, *, project: int, overlap: int) -> bool:
        """Look once; whether every comparison has exactly its labels and no lease."""
        values = {"project": project, "overlap": overlap}
        row = connection.execute(_TAKEN_SQL, values).fetchone()
        assert row is not None
        taken, self.n_done, n_wrong, self.n_comparisons = (int(str(value)) for value in row)
        self.max_taken = max(self.max_taken, taken)
        self.n_wrong_counts += n_wrong
        self.n_looks += 1
        return self.n_done == self.n_comparisons


def age_leases(connection: Connection, *, share: float) -> None:
    """Let a share of the live leases run out now."""
    connection.execute(_AGE_SQL, {"share": share})


def final_counts(connection: Connection, *, project: int) -> dict[str, float]:
    """Count what the crowd did, and the dollars that were not accounted for."""
    names = (
        "n_leases", "n_expired", "n_returned", "n_skipped", "n_labels", "left_is_first_share",
        "unaccounted_usd",
    )  # fmt: skip
    row = connection.execute(_END_SQL, {"project": project}).fetchone()
    assert row is not None
    return {name: float(str(value or 0)) for name, value in zip(names, row, strict=True)}


def watch_result(watch: Watch, begun: float) -> dict[str, float]:
    """Return what was seen as numbers for a report."""
    return {**asdict(watch), "seconds": round(time.monotonic() - begun, 1)}
