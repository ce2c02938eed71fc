"""The first rows of a file, for a person to look at before it is imported."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from annotate.formats.base import ComparisonRecord, FormatError, RowError, records_of
from annotate.formats.registry import AUTO, import_format_of

ROWS_SHOWN = 3


@dataclass(frozen=True)
class FilePreview:
    """What a file looks like: its format, its first rows and what is wrong with them."""

    title: str
    records: list[ComparisonRecord]
    errors: list[RowError]


def file_preview(path: Path, format: str = AUTO) -> FilePreview:
    """Read the first rows of a file; a file that cannot be read says so in ``errors``."""
    try:
        import_format = import_format_of(path, format)
    except FormatError as error:
        return FilePreview("Unknown", [], list(error.errors))
    except FileNotFoundError:
        missing = RowError(0, "", "The file is no longer kept.", "Upload it again.")
        return FilePreview("Unknown", [], [missing])
    rows = list(islice(records_of(path, import_format), ROWS_SHOWN))
    return FilePreview(
        title=import_format.title,
        records=[row for row in rows if isinstance(row, ComparisonRecord)],
        errors=[row for row in rows if isinstance(row, RowError)],
    )
