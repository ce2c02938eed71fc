"""What an import's rows say together: ids used twice, equal contents, models that name themselves.

Rows are remembered in a temporary table of the import's own transaction, so that a million of them
take no memory here.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from annotate.formats.base import RowError
from annotate.services.import_batches import ImportBatch, Notice

EXAMPLES_KEPT = 20
_CREATE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS import_keys"
    " (row_number bigint, id_hash uuid, bare_hash uuid, content_hash uuid, is_new boolean)"
)
_TWICE = """
SELECT row_number, first_row, bare_hash <> first_hash FROM (
    SELECT row_number, bare_hash,
        first_value(row_number) OVER earlier AS first_row,
        first_value(bare_hash) OVER earlier AS first_hash
    FROM import_keys WINDOW earlier AS (PARTITION BY id_hash ORDER BY row_number)
) AS numbered WHERE row_number > first_row{only} ORDER BY row_number LIMIT %s
"""
_SAME_CONTENT = """
SELECT coalesce(sum(n - 1), 0), count(*) FROM (
    SELECT count(DISTINCT id_hash) AS n FROM import_keys GROUP BY content_hash
) AS groups WHERE n > 1
"""


@dataclass
class Screens:
    """What was noticed; nothing of it refuses a row by itself."""

    n_leaks: int = 0
    leaks_by_model: Counter[str] = field(default_factory=Counter)
    leak_examples: list[dict[str, Any]] = field(default_factory=list)
    n_same_responses: int = 0
    n_same_content: int = 0
    n_content_groups: int = 0

    def add(self, notice: Notice) -> None:
        """Count what was noticed in one row."""
        self.n_same_responses += notice.is_same
        for model, words in notice.leaks:
            self.n_leaks += 1
            self.leaks_by_model[model] += 1
            if len(self.leak_examples) < EXAMPLES_KEPT:
                example = {"row": notice.row, "id": notice.external_id, "model": model}
                self.leak_examples.append({**example, "words": words})

    def as_json(self) -> dict[str, Any]:
        """The report that a job keeps."""
        return {
            "n_leaks": self.n_leaks,
            "leaks_by_model": dict(self.leaks_by_model.most_common(EXAMPLES_KEPT)),
            "leak_examples": self.leak_examples,
            "n_same_responses": self.n_same_responses,
            "n_same_content": self.n_same_content,
            "n_content_groups": self.n_content_groups,
        }


class SeenRows:
    """The rows of one import, by id and by content, in the database."""

    def __init__(self, *, one_label_per_row: bool) -> None:
        self._one_label_per_row = one_label_per_row
        with connection.cursor() as cursor:
            cursor.execute(_CREATE)
            cursor.execute("TRUNCATE import_keys")

    def add(self, batch: ImportBatch, new_ids: set[str]) -> None:
        """Remember a batch; ``new_ids`` are those that the project does not hold."""
        lines = (
            f"{keys}\t{record.external_id in new_ids}\n"
            for keys, record in zip(batch.keys, batch.records, strict=True)
        )
        with connection.cursor() as cursor, cursor.copy("COPY import_keys FROM STDIN") as copy:
            copy.write("".join(lines).encode())

    def twice(self, limit: int) -> Iterator[RowError]:
        """Yield the rows whose id came before and may not come again."""
        only = " AND bare_hash <> first_hash" if self._one_label_per_row else ""
        with connection.cursor() as cursor:
            cursor.execute(_TWICE.format(only=only), [limit])
            found = cursor.fetchall()
        for row, first, _ in found:
            if self._one_label_per_row:
                message = f"The id of row {first} comes again with another content."
                remedy = "Rows with one id must agree on its texts."
            else:
                message = f"The id was used in row {first} already."
                remedy = "Give every comparison its own id."
            yield RowError(row, "id", message, remedy)

    def n_new(self) -> int:
        """How many comparisons the project does not hold yet."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT id_hash) FROM import_keys WHERE is_new")
            return int(cursor.fetchone()[0])

    def summarize(self, screens: Screens) -> None:
        """Count comparisons with other ids but the same prompt and responses."""
        with connection.cursor() as cursor:
            cursor.execute(_SAME_CONTENT)
            screens.n_same_content, screens.n_content_groups = map(int, cursor.fetchone())
