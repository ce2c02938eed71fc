"""Writing many rows at once through PostgreSQL's COPY, several times as fast as INSERT."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model

from annotate.formats.json_lines import dump_json


def ids_reserve(model: type[Model], *, count: int) -> list[int]:
    """Take the next ids of a table, ascending; rows copied with them keep the sequence right."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [model._meta.db_table, count],
        )
        return [row[0] for row in cursor.fetchall()]


def rows_copy(model: type[Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Copy rows into a table; JSON columns come as text (`json_text`).

    Python defaults of a model do not apply: a column without a database default must be named.
    """
    names = ", ".join(f'"{column}"' for column in columns)
    with (
        connection.cursor() as cursor,
        cursor.copy(f'COPY "{model._meta.db_table}" ({names}) FROM STDIN') as copy,
    ):
        for row in rows:
            copy.write_row(row)


def references_check_at_once() -> None:
    """Check foreign keys with every statement until the transaction ends, not all at its end.

    The parser works on while PostgreSQL checks a batch; at the end it would wait for all of them,
    and PostgreSQL would have kept a list of a dozen checks per comparison.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def json_text(value: Any) -> str:
    """A JSON column's value as COPY takes it."""
    return dump_json(value).decode()
