"""Numbers of studies, batches and rounds within their project."""

from typing import Any

from django.db import connection
from django.db.models import Max, QuerySet


def project_routing_lock(*, project_id: int) -> None:
    """Hold the project's routing lock until the transaction ends: one writer at a time.

    An advisory lock and not the project's row, which annotators update while they hold a
    comparison: locking the two in the other order would deadlock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7402, %s)", [project_id])


def next_number(rows: QuerySet[Any]) -> int:
    """The next number; call it under the project's routing lock."""
    return (rows.aggregate(last=Max("number"))["last"] or 0) + 1
