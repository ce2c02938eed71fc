"""Foreign keys of rows that are copied in: checked in sets where the server lets us.

PostgreSQL checks a foreign key row by row, which takes longer than writing the row with all its
indexes. Where this login may turn the row checks off (`session_replication_role`: a superuser, or
whoever was granted it), copied rows are checked batch by batch with a query for each key, and what
they point to is locked as the row checks would lock it. Elsewhere PostgreSQL's own checks stay.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from django.db import IntegrityError, connection
from django.db.models import ForeignKey, Model

from annotate.models import Comparison, ComparisonResponse, Preference, Prompt, Response

COPIED = (Prompt, Response, Comparison, ComparisonResponse, Preference)
# An owner's own triggers on the tables would be left out too, so they keep the row checks.
_ALLOWED = """
SELECT has_parameter_privilege('session_replication_role', 'SET')
    AND current_setting('session_replication_role') = 'origin'
    AND NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = ANY(%s::regclass[]) AND NOT tgisinternal AND tgtype & 4 = 4
    )
"""


def references_check_at_once() -> None:
    """Check foreign keys with every statement until the transaction ends, not all at its end.

    The parser works on while PostgreSQL checks a batch; at the end it would wait for all of them,
    and PostgreSQL would have kept a list of a dozen checks per comparison.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def sets_are_allowed() -> bool:
    """Whether this login may check copied rows in sets."""
    with connection.cursor() as cursor:
        cursor.execute(_ALLOWED, [[model._meta.db_table for model in COPIED]])
        return bool(cursor.fetchone()[0])


def parents_hold(parents: Sequence[Model]) -> None:
    """Keep rows from being deleted until the transaction ends, as a foreign key's check does."""
    by_table: dict[str, list[int]] = defaultdict(list)
    for parent in parents:
        by_table[parent._meta.db_table].append(parent.pk)
    with connection.cursor() as cursor:
        for table, pks in by_table.items():
            cursor.execute(
                f'SELECT FROM "{table}" WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE', [pks]
            )


class Copied:
    """Which rows were copied: by table, the first and last value of a column."""

    def __init__(self) -> None:
        self.ranges: list[tuple[type[Model], str, int, int]] = []

    def add(self, model: type[Model], column: str, values: Sequence[int]) -> None:
        """Remember rows by an ascending column."""
        if values:
            self.ranges.append((model, column, values[0], values[-1]))

    def check(self) -> None:
        """Look for rows that point to nothing.

        Raises
        ------
        IntegrityError
            If there is one.
        """
        if not self.ranges:
            return
        queries = [orphans_query(model, column) for model, column, _, _ in self.ranges]
        bounds = [bound for _, _, *ends in self.ranges for bound in ends]
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(queries), bounds)
            orphaned = cursor.fetchall()
        if orphaned:
            raise IntegrityError(f"Rows without what they point to: {orphaned[0][0]}.")


@contextmanager
def references_in_sets(*, allowed: bool) -> Iterator[Copied]:
    """Check the rows that are copied inside the block together at its end, where ``allowed``."""
    copied = Copied()
    if not allowed:
        yield copied
        return
    # An error takes the transaction back, and the setting with it.
    _role_set("replica")
    yield copied
    _role_set("origin")
    copied.check()


def _role_set(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL session_replication_role = {role}")


@cache
def orphans_query(model: type[Model], column: str) -> str:
    """A query for the foreign keys by which rows of a range point nowhere.

    The range is read once. Every value is a probe of the parent's index, whatever the planner
    believes about tables that have just grown.
    """
    table = model._meta.db_table
    keys = [field for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    names = ", ".join(f'"{field.column}"' for field in keys)
    orphans = " UNION ALL ".join(
        f"SELECT '{table}.{field.column}' AS key"
        f' FROM (SELECT DISTINCT "{field.column}" AS value FROM copied) AS child'
        " WHERE value IS NOT NULL AND (SELECT parent.id FROM"
        f' "{field.related_model._meta.db_table}" AS parent WHERE parent.id = value) IS NULL'
        for field in keys
    )
    return (
        f"(WITH copied AS MATERIALIZED"
        f' (SELECT {names} FROM "{table}" WHERE "{column}" BETWEEN %s AND %s) {orphans})'
    )
