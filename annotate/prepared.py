"""Statements of the labelling day, written once per process and planned once per connection.

Finding the next slot is planned longer than it is carried out, and what the ORM spends on writing a
query is several times what PostgreSQL spends on answering it. Django's own cursors put values into
the text of a statement, so that no plan can be kept; this one sends them apart from it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Generic, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db import connection as _connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators

# The type stubs know neither what keeps a connection healthy nor the compiler's own parts.
connection: Any = _connection
related_populators: Any = get_related_populators
# How often a statement is sent before its plan is kept.
PREPARE_AFTER = 1
M = TypeVar("M", bound=Model)


class _PreparedCursor(psycopg.Cursor[Any]):
    def execute(self, query: Any, params: Any = None, **options: Any) -> "_PreparedCursor":
        super().execute(query, params, **{"prepare": True, **options})
        return self


def fetch_prepared(statement: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Run a statement that gives exactly one row, through Django's wrappers, and return the row."""
    (row,) = fetch_all_prepared(statement, values)
    return row


def fetch_all_prepared(
    statement: str, values: Mapping[str, Any] | Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Run a statement through Django's wrappers and return its rows."""
    # Each look through Django's proxy costs as much as a small query.
    own: Any = connections[DEFAULT_DB_ALIAS]
    is_untried = not (own.in_atomic_block or own.health_check_done)
    try:
        return _fetch(own, statement, values)
    except OperationalError:
        if not is_untried or own.is_usable():
            raise
    # The server went away between two requests. Asking it before each would cost one more journey.
    own.close()
    return _fetch(own, statement, values)


def _fetch(
    own: Any, statement: str, values: Mapping[str, Any] | Sequence[Any]
) -> list[tuple[Any, ...]]:
    own.ensure_connection()
    raw = own.connection
    # Django switches preparing off for the whole connection.
    raw.prepare_threshold = PREPARE_AFTER
    try:
        with CursorWrapper(_PreparedCursor(raw), own) as cursor:
            cursor.execute(statement, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
    finally:
        raw.prepare_threshold = None
    own.health_check_done = True
    return rows


def insert_prepared(row: M) -> M:
    """Insert a new object by all its fields and give it its key."""
    statement, fields = _insertion(type(row))
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    ((row.pk,),) = fetch_all_prepared(statement, values)
    row._state.adding, row._state.db = False, connection.alias
    return row


@cache
def _insertion(model: type[Model]) -> tuple[str, list[Any]]:
    options: Any = model._meta
    fields = [field for field in options.local_concrete_fields if not field.primary_key]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    table, places = connection.ops.quote_name(options.db_table), ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING id", fields


class PreparedQuery(Generic[M]):
    """A query of the ORM that is turned into SQL once; after that only its values change.

    Parameters
    ----------
    build
        Makes the query from its values. It is called once, with the ``example``.
    example
        Values of the right types, none equal to another and none a constant of the query.
    """

    def __init__(self, build: Callable[..., QuerySet[M]], **example: Any) -> None:
        self._build = build
        self._example = example

    def rows(self, **values: Any) -> list[M]:
        """Run the query with these values and return its objects."""
        places = self._places
        bound = [values[name] if name else constant for name, constant in places]
        return [self._object(row) for row in self._converted(fetch_all_prepared(self._sql, bound))]

    def first(self, **values: Any) -> M | None:
        """Return the first object, or nothing."""
        return next(iter(self.rows(**values)), None)

    @cached_property
    def _compiler(self) -> Any:
        return self._build(**self._example).query.get_compiler(connection=connection)

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...]]:
        sql, bound = self._compiler.as_sql()
        return sql, tuple(bound)

    @property
    def _sql(self) -> str:
        return self._compiled[0]

    @cached_property
    def _places(self) -> list[tuple[str, Any]]:
        """The name of the value that belongs at each place, or the constant that stays there."""
        names = {value: name for name, value in self._example.items()}
        known = [(names.get(value, ""), value) for value in self._compiled[1]]
        missing = set(self._example) - {name for name, _ in known}
        if missing:
            raise LookupError(f"The query does not use {', '.join(sorted(missing))}.")
        return known

    @cached_property
    def _shape(self) -> tuple[type[M], int, int, list[str], Any, list[tuple[str, int]]]:
        compiler, info = self._compiler, self._compiler.klass_info
        assert self._sql
        start, end = info["select_fields"][0], info["select_fields"][-1] + 1
        names = [column[0].target.attname for column in compiler.select[start:end]]
        related = related_populators(info, compiler.select, connection.alias)
        return info["model"], start, end, names, related, list(compiler.annotation_col_map.items())

    @cached_property
    def _converters(self) -> Any:
        return self._compiler.get_converters([column[0] for column in self._compiler.select])

    def _converted(self, rows: list[tuple[Any, ...]]) -> Any:
        if not self._converters:
            return rows
        return self._compiler.apply_converters(rows, self._converters)

    def _object(self, row: Sequence[Any]) -> M:
        model, start, end, names, related, annotations = self._shape
        found = model.from_db(connection.alias, names, row[start:end])
        for populator in related:
            populator.populate(row, found)
        for name, place in annotations:
            setattr(found, name, row[place])
        return found
