"""Which formats there are, and which one a file is in."""

from collections.abc import Iterator
from pathlib import Path

from annotate.formats.base import (
    ComparisonRecord,
    FormatError,
    ImportFormat,
    RowError,
    records_of,
)
from annotate.formats.csv_pairs import CSV_PAIRS
from annotate.formats.csv_pairs import sniff as is_csv
from annotate.formats.native import NATIVE
from annotate.formats.native import sniff as is_native

AUTO = "auto"
SNIFFED_BYTES = 65_536
IMPORT_FORMATS: dict[str, ImportFormat] = {
    import_format.name: import_format for import_format in (NATIVE, CSV_PAIRS)
}


def import_format_of(path: Path, name: str = AUTO) -> ImportFormat:
    """Return the named format, or the one that the file's first bytes look like.

    Raises
    ------
    FormatError
        If there is no such format, or the file looks like none.
    """
    if name != AUTO:
        if name not in IMPORT_FORMATS:
            remedy = f"Use {AUTO} or one of {', '.join(IMPORT_FORMATS)}."
            raise FormatError([RowError(0, "format", f"Unknown format {name!r}.", remedy)])
        return IMPORT_FORMATS[name]
    with path.open("rb") as stream:
        head = stream.read(SNIFFED_BYTES)
    if is_native(head) or not head.strip():
        return NATIVE
    if is_csv(head):
        return CSV_PAIRS
    raise FormatError(
        [
            RowError(
                1, "", "The file is neither JSON lines nor CSV with the columns prompt, "
                "response_a and response_b.", "Convert it, or name its format.",
            )
        ]
    )  # fmt: skip


def read_comparisons(path: Path, format: str = AUTO) -> Iterator[ComparisonRecord]:
    """Stream the comparisons of a file without a database; the first bad row ends it.

    Rows of a format with one label per row come as they are, one record per label.

    Raises
    ------
    FormatError
        If the format is unknown or a row cannot be read.
    """
    for row in records_of(path, import_format_of(path, format)):
        if isinstance(row, RowError):
            raise FormatError([row])
        yield row
