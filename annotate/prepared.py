"""Statements of the labelling day, written once per process and planned once per connection.

Finding the next slot is planned longer than it is carried out, and what the ORM spends on writing a
query is several times what PostgreSQL spends on answering it. Django's own cursors put values into
the text of a statement, so that no plan can be kept; this one sends them apart from it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from itertools import count
from typing import Any, Generic, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db import connection as _connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators
from psycopg.pq import TransactionStatus

# The type stubs know neither what keeps a connection healthy nor the compiler's own parts.
connection: Any = _connection
related_populators: Any = get_related_populators
# How often a statement is sent before its plan is kept.
PREPARE_AFTER = 1
M = TypeVar("M", bound=Model)
Statement = tuple[str, Mapping[str, Any] | Sequence[Any]]


class _PreparedCursor(psycopg.RawCursor[Any]):
    def execute(self, query: Any, params: Any = None, **options: Any) -> "_PreparedCursor":
        super().execute(query, params, **{"prepare": True, **options})
        return self


@cache
def _numbered(statement: str) -> tuple[str, list[str]]:
    """The statement with PostgreSQL's own places, and the names of its values by place."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None or name not in names:
            names.append(name or "")
            return f"${len(names)}"
        return f"${names.index(name) + 1}"

    return re.sub(r"%(?:\((?P<name>\w+)\))?s", place, statement), names


def _values(names: list[str], values: Mapping[str, Any] | Sequence[Any]) -> Sequence[Any]:
    return [values[name] for name in names] if isinstance(values, Mapping) else values


def by_position(statement: Statement) -> tuple[str, Sequence[Any]]:
    """The statement with its values by position, so that it can be part of another."""
    sql, values = statement
    if not isinstance(values, Mapping):
        return sql, values
    text, names = _positions(sql)
    return text, [values[name] for name in names]


def by_name(statement: Statement, prefix: str) -> tuple[str, dict[str, Any]]:
    """The statement with names of that beginning for its values, so that it can be part of another.

    Its own names stay as they are.
    """
    sql, values = statement
    if isinstance(values, Mapping):
        return sql, dict(values)
    return _named(sql, prefix), {f"{prefix}{place}": value for place, value in enumerate(values)}


@cache
def _named(statement: str, prefix: str) -> str:
    places = count()
    return re.sub("%s", lambda _: f"%({prefix}{next(places)})s", statement)


@cache
def _positions(statement: str) -> tuple[str, list[str]]:
    name = re.compile(r"%\((\w+)\)s")
    return name.sub("%s", statement), name.findall(statement)


def _kept_cursor(raw: Any, statement: str) -> _PreparedCursor:
    """One cursor per connection and statement: it remembers how the columns are read."""
    kept: dict[str, _PreparedCursor] = vars(raw).setdefault("_tandem_cursors", {})
    if statement not in kept:
        kept[statement] = _PreparedCursor(raw)
    return kept[statement]


def fetch_prepared(statement: str, values: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
    """Run a statement that gives exactly one row, through Django's wrappers, and return the row."""
    ((row,),) = fetch_together((statement, values))
    return row


def fetch_together(*statements: Statement) -> list[list[tuple[Any, ...]]]:
    """Send several statements in one journey and return the rows of each.

    They run in order, each seeing what those before it did, and the transaction that they may begin
    travels with them. Outside any block they are one transaction of their own, kept or undone as a
    whole. If one fails, none after it runs and its error is raised. No statement may come twice, as
    each has one cursor.
    """
    # Each look through Django's proxy costs as much as a small query.
    own: Any = connections[DEFAULT_DB_ALIAS]
    is_untried = not (own.in_atomic_block or own.health_check_done)
    try:
        return _fetch(own, statements)
    except OperationalError:
        if not is_untried or own.is_usable():
            raise
    # The server went away between two requests. Asking it before each would cost one more journey.
    own.close()
    return _fetch(own, statements)


def transaction_end() -> list[Statement]:
    """What ends the transaction when it is sent last, on the journey of what goes before it.

    Nothing inside another block, which is not ours to end. What is sent after it begins anew, so
    the block should be left at once.
    """
    own: Any = connections[DEFAULT_DB_ALIAS]
    is_outermost = len(own.atomic_blocks) == 1 and own.commit_on_exit
    return [("COMMIT", ())] if is_outermost else []


def _fetch(own: Any, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    own.ensure_connection()
    raw = own.connection
    # Django switches preparing off for the whole connection.
    raw.prepare_threshold = PREPARE_AFTER
    cursors = [_kept_cursor(raw, statement) for statement, _ in statements]
    try:
        with _one_journey(own, len(statements)):
            for cursor, (statement, values) in zip(cursors, statements, strict=True):
                text, names = _numbered(statement)
                CursorWrapper(cursor, own).execute(text, _values(names, values))
        rows: list[list[tuple[Any, ...]]]
        rows = [cursor.fetchall() if cursor.description else [] for cursor in cursors]
    finally:
        raw.prepare_threshold = None
    own.health_check_done = True
    return rows


@contextmanager
def _one_journey(own: Any, n_statements: int) -> Iterator[None]:
    """Let statements wait for each other's answers only at the end of the block."""
    raw = own.connection
    begins = not raw.autocommit and raw.info.transaction_status == TransactionStatus.IDLE
    if n_statements == 1 and not begins:
        yield
        return
    with own.wrap_database_errors, raw.pipeline():
        yield


def insert_prepared(
    row: Model,
    *,
    given: tuple[str, Sequence[Any]] = ("SELECT 1", ()),
    before: Sequence[Statement] = (),
    along: Sequence[Statement] = (),
) -> list[list[tuple[Any, ...]]]:
    """Insert a new object by all its fields and give it its key.

    Parameters
    ----------
    row
        What to insert. Its key stays ``None`` where ``given`` gives no row.
    given
        A statement with places for its values by position; the object is inserted for its one row.
    before, along
        Statements that travel with this one and run before and after it.

    Returns
    -------
    list
        The rows of each statement in ``along``.
    """
    statement, fields = _insertion(type(row), given[0])
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    insertion = (statement, [*given[1], *values])
    inserted, *found = fetch_together(*before, insertion, *along)[len(before) :]
    for (key,) in inserted:
        row.pk, row._state.adding, row._state.db = key, False, connection.alias
    return found


@cache
def _insertion(model: type[Model], given: str) -> tuple[str, list[Any]]:
    options: Any = model._meta
    fields = [field for field in options.local_concrete_fields if not field.primary_key]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    table, places = connection.ops.quote_name(options.db_table), ", ".join(["%s"] * len(fields))
    source = f"WITH given AS ({given}) INSERT INTO {table} ({columns}) SELECT {places} FROM given"
    return f"{source} RETURNING id", fields


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
        (rows,) = fetch_together(self.statement(**values))
        return self.objects(rows)

    def statement(self, **values: Any) -> Statement:
        """The SQL and what to send with it, for ``fetch_together``."""
        bound = [values[name] if name else constant for name, constant in self._places]
        return self._sql, bound

    def rows_beside(
        self, other: Statement | None, **values: Any
    ) -> tuple[list[M], list[tuple[Any, ...]]]:
        """Run the query and another statement as one; each gives one row at most.

        To send and plan a second statement costs more than what it does for one row. Nothing of
        the other's is found where the query finds nothing.
        """
        if other is None:
            return self.rows(**values), []
        sql, bound = self.statement(**values)
        more, also = by_position(other)
        joined = f"SELECT * FROM ({sql}) AS this LEFT JOIN LATERAL ({more}) AS beside ON true"
        (rows,) = fetch_together((joined, [*bound, *also]))
        width = len(self._compiler.select)
        beside = [row[width:] for row in rows if any(value is not None for value in row[width:])]
        return self.objects([row[:width] for row in rows]), beside

    def objects(self, rows: list[tuple[Any, ...]]) -> list[M]:
        """Make objects of the rows that the statement gave."""
        return [self._object(row) for row in self._converted(rows)]

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
