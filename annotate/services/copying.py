"""Writing many rows at once through PostgreSQL's COPY, several times as fast as INSERT."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection
from django.db.models import JSONField, Model


def ids_reserve(model: type[Model], *, count: int) -> list[int]:
    """Take the next ids of a table, ascending; rows copied with them keep the sequence right."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [model._meta.db_table, count],
        )
        return [row[0] for row in cursor.fetchall()]


def rows_copy(model: type[Model], rows: Sequence[dict[str, Any]]) -> None:
    """Copy rows, given by column, into a table.

    Every row names the same columns in the same order. Python defaults of a model do not apply:
    a column without a database default must be named.
    """
    if not rows:
        return
    meta = model._meta
    columns = list(rows[0])
    jsons = {field.column for field in meta.concrete_fields if isinstance(field, JSONField)}
    as_text: list[Callable[[Any], Any] | None] = [
        json.dumps if column in jsons else None for column in columns
    ]
    names = ", ".join(f'"{column}"' for column in columns)
    with (
        connection.cursor() as cursor,
        cursor.copy(f'COPY "{meta.db_table}" ({names}) FROM STDIN') as copy,
    ):
        for row in rows:
            values = zip(as_text, row.values(), strict=True)
            copy.write_row([convert(value) if convert else value for convert, value in values])
