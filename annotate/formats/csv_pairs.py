"""CSV and TSV with one pair per row and, where there is one, one person's verdict on it.

Header: ``prompt,response_a,response_b`` and optionally ``id, model_a, model_b, criterion,
preference, annotator, strength, rationale`` and any ``meta_*`` column. The same comparison may come
again with another annotator. Without ``id`` the id is made from the contents, so that a second
import of the file changes nothing.
"""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from annotate.formats.base import (
    MAX_ID_CHARS,
    MAX_LINE_BYTES,
    ComparisonRecord,
    ImportFormat,
    PreferenceRecord,
    ResponseRecord,
    Row,
    RowError,
    RowProblem,
    decoded,
    empty_file,
    lines_of,
)
from annotate.formats.checks import optional_text, the_text
from annotate.formats.native_verdicts import parse_verdict

REQUIRED = ("prompt", "response_a", "response_b")
OPTIONAL = (
    "id", "model_a", "model_b", "criterion", "preference", "annotator", "strength", "rationale",
)  # fmt: skip
META_PREFIX = "meta_"
PREFERENCES: dict[str, int | str] = {
    "a": 0, "b": 1, "tie": "tie", "both_bad": "both_bad", "cannot_judge": "cannot_judge",
}  # fmt: skip
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# The csv module keeps this bound for the whole process; its default (128 KiB) is shorter than
# responses that people do compare.
csv.field_size_limit(MAX_LINE_BYTES)


def read(stream: BinaryIO) -> Iterator[Row]:
    """Stream the rows of a CSV or TSV file; row 1 is the header, as in a spreadsheet."""
    lines = _Lines(stream)
    try:
        first = next(lines, None)
        if first is None:
            yield empty_file()
            return
        delimiter = delimiter_of(first)
        header = _header(next(csv.reader([first], delimiter=delimiter, strict=True)))
    except (RowProblem, csv.Error) as problem:
        yield _error(1, problem)
        return
    yield from _rows(csv.reader(lines, delimiter=delimiter, strict=True), header)


def _rows(reader: Any, header: list[str]) -> Iterator[Row]:
    row = 1
    while True:
        row += 1
        try:
            cells = next(reader)
            if cells:
                yield parse_cells(row, header, cells)
        except StopIteration:
            break
        except RowProblem as problem:
            yield problem.at(row)
            if isinstance(problem, _LineProblem):
                return
        except csv.Error as problem:
            # A broken quote swallows what follows it; nothing after it can be trusted.
            yield _error(row, problem)
            return
    if row == 2:
        yield empty_file()


class _LineProblem(RowProblem):
    """A line that cannot be decoded, after which the reader's state is unknown."""


class _Lines:
    """The text lines of a file in UTF-8, or UTF-16 with a byte order mark."""

    def __init__(self, stream: BinaryIO) -> None:
        mark = stream.read(2)
        stream.seek(0)
        is_utf16 = mark in UTF16_MARKS
        self._lines: Iterator[str] = (
            iter(codecs.getreader("utf-16")(stream)) if is_utf16 else _utf8_lines(stream)
        )

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._lines)
        except UnicodeDecodeError as error:
            raise _LineProblem("", "The text is not UTF-16.", "Save the file as UTF-8.") from error


def _utf8_lines(stream: BinaryIO) -> Iterator[str]:
    for _, line in lines_of(stream):
        if line is None:
            raise _LineProblem(
                "", f"A line is longer than {MAX_LINE_BYTES // 1_000_000} MB.", "Shorten its texts."
            )
        try:
            yield decoded(line) + "\n"
        except RowProblem as problem:
            raise _LineProblem(problem.field, problem.message, problem.remedy) from problem


def delimiter_of(header: str) -> str:
    """Return tab for TSV, semicolon where a spreadsheet of that locale wrote one, else comma."""
    counts = {mark: header.count(mark) for mark in ",;\t"}
    return max(counts, key=lambda mark: counts[mark])


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for name in REQUIRED:
        if name not in names:
            raise RowProblem(
                name,
                f"The header has no column {name!r}.",
                f"Name the columns {', '.join(REQUIRED)}.",
            )
    for index, name in enumerate(names):
        if name in names[:index]:
            raise RowProblem(name, f"The column {name!r} comes twice.", "Rename one.")
        if name not in (*REQUIRED, *OPTIONAL) and not name.startswith(META_PREFIX):
            raise RowProblem(
                name, f"Unknown column {name!r}.", f"Rename it {META_PREFIX}{name} to keep it."
            )
    return names


def parse_cells(row: int, header: list[str], cells: list[str]) -> ComparisonRecord:
    """Turn the cells of a row into a comparison.

    Raises
    ------
    RowProblem
        If a cell is missing or wrong.
    """
    if len(cells) != len(header):
        raise RowProblem(
            "", f"The row has {len(cells)} cells, the header {len(header)}.",
            "Put texts with separators or line breaks in double quotes.",
        )  # fmt: skip
    values = dict(zip(header, cells, strict=True))
    prompt = the_text(values["prompt"], "prompt")
    responses = tuple(_response(values, letter) for letter in "ab")
    return ComparisonRecord(
        row=row,
        external_id=_external_id(values, prompt, responses),
        turns=({"role": "user", "content": prompt},),
        responses=responses,
        criterion=optional_text(values.get("criterion"), "criterion", limit=300),
        metadata={
            name.removeprefix(META_PREFIX): value
            for name, value in values.items()
            if name.startswith(META_PREFIX) and value
        },
        preferences=_preferences(values),
    )


def _response(values: dict[str, str], letter: str) -> ResponseRecord:
    field = f"response_{letter}"
    text = values[field]
    if not text.strip():
        raise RowProblem(
            field, "The response is missing.",
            "Fill it in; a response that is really empty needs the native format.",
        )  # fmt: skip
    model = optional_text(values.get(f"model_{letter}"), f"model_{letter}", limit=MAX_ID_CHARS)
    return ResponseRecord(letter, text, model)


def _external_id(values: dict[str, str], prompt: str, responses: tuple[ResponseRecord, ...]) -> str:
    given = values.get("id", "").strip()
    if given:
        return the_text(given, "id", limit=MAX_ID_CHARS)
    parts = [prompt, values.get("criterion", "")]
    parts += [part for response in responses for part in (response.text, response.source_model)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"row-{digest[:20]}"


def _preferences(values: dict[str, str]) -> tuple[PreferenceRecord, ...]:
    given = values.get("preference", "").strip().lower()
    if not given:
        return ()
    if given not in PREFERENCES:
        raise RowProblem(
            "preference", f"{values['preference']!r} is no verdict.",
            f"Use one of {', '.join(PREFERENCES)}.",
        )  # fmt: skip
    entry: dict[str, Any] = {
        "annotator": values.get("annotator", "").strip() or None,
        "preference": PREFERENCES[given],
        "rationale": values.get("rationale", ""),
        "strength": _number(values.get("strength", "")),
    }
    return (parse_verdict(entry, "", "human", 2),)


def _number(cell: str) -> float | None:
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        raise RowProblem("strength", f"{cell!r} is no number.", "Write a number.") from None


def _error(row: int, problem: RowProblem | csv.Error) -> RowError:
    if isinstance(problem, RowProblem):
        return problem.at(row)
    return RowError(
        row, "", f"The row is not CSV: {problem}.", 'Close the quotes; write " inside as "".'
    )


def sniff(head: bytes) -> bool:
    """Whether the first line names the required columns."""
    encoding = "utf-16" if head[:2] in UTF16_MARKS else "utf-8-sig"
    line = head.decode(encoding, errors="ignore").lstrip().partition("\n")[0].lower()
    return all(name in line for name in REQUIRED)


CSV_PAIRS = ImportFormat(name="csv", title="CSV or TSV", read=read, one_label_per_row=True)

__all__ = ["CSV_PAIRS", "delimiter_of", "parse_cells", "read", "sniff"]
