"""What PostgreSQL's planner is told about the tables that an import writes."""

from django.db import connection

TABLES = (
    "annotate_prompt",
    "annotate_response",
    "annotate_comparison",
    "annotate_comparisonresponse",
    "annotate_preference",
)
_BELIEVED_EMPTY = """
SELECT EXISTS (
    SELECT FROM pg_class WHERE oid = ANY(%s::regclass[]) AND reltuples <= 0
)
"""


def tables_analyze(*, wait: bool = True) -> None:
    """Let the planner know tables that have just grown, before autovacuum comes round.

    Without ``wait`` a table that another transaction analyzes is left out.
    """
    skip = "" if wait else " (SKIP_LOCKED)"
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE{skip} {', '.join(TABLES)}")


def empty_tables_analyze() -> None:
    """Analyze the tables where one of them is believed to be empty; call it once rows are there.

    Autovacuum counts no row of a transaction that goes on, and after an import that was killed it
    leaves tables of many pages and no rows. To the planner any index of such a table is as good as
    any other, and it would read whole indexes for every batch until the import's end.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BELIEVED_EMPTY, [list(TABLES)])
        is_believed_empty = cursor.fetchone()[0]
    if is_believed_empty:
        tables_analyze(wait=False)
