"""What every format reads into and writes from.

A file becomes a stream of `ComparisonRecord` and `RowError`; nothing here knows a database.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

MAX_LINE_BYTES = 20_000_000
MAX_RESPONSES = 26
MAX_ID_CHARS = 200
MAX_CRITERION_CHARS = 300
MAX_ANNOTATOR_CHARS = 120
ANONYMOUS = "anonymous"
VERDICTS_WITHOUT_RANKING = ("both_bad", "cannot_judge")


class ResponseRecord(NamedTuple):
    """One response: its id in the file, its text and the model that wrote it ("" if unknown)."""

    external_id: str
    text: str
    source_model: str


class PreferenceRecord(NamedTuple):
    """One verdict as a file gives it, in canonical order.

    A tuple, because a million of them are made in a transfer: a frozen dataclass takes three times
    as long to build. Nobody writes into its dictionaries and lists.

    ``ranking`` has one rank per response, 0 best, equal ranks are ties. ``strength`` is signed:
    negative favours the first response. ``replicate`` tells repeated verdicts of one annotator
    apart, ``revision`` counts corrections of one verdict, ``is_override`` marks a reviewer's.
    ``origin`` keeps what only the project of origin can say (source, protocol version, cost); it is
    no part of the verdict.
    """

    annotator: str
    kind: str
    verdict: str
    ranking: tuple[int, ...] | None = None
    strength: float | None = None
    aspects: dict[str, Any] = {}
    ratings: dict[str, Any] = {}
    reasons: dict[str, Any] = {}
    spans: list[dict[str, Any]] = []
    rationale: str = ""
    confidence: float | None = None
    probability: float | None = None
    shown_order: tuple[int, ...] | None = None
    active_ms: int | None = None
    replicate: int = 0
    revision: int = 0
    is_simulated: bool = False
    is_override: bool = False
    extra: dict[str, Any] = {}
    origin: dict[str, Any] = {}
    created_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What a comparison can hold only once."""
        return (self.kind, self.annotator, self.replicate, self.revision)

    def content(self) -> tuple[Any, ...]:
        """The verdict without its provenance; equal content is the same label."""
        return (
            self.verdict, self.ranking, self.strength, self.aspects, self.ratings, self.spans,
            self.reasons, self.rationale, self.confidence, self.probability, self.shown_order,
            self.active_ms, self.extra,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """One comparison of a file with every verdict on it; ``row`` is its number in the file."""

    row: int
    external_id: str
    turns: tuple[dict[str, str], ...]
    responses: tuple[ResponseRecord, ...]
    criterion: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    preferences: tuple[PreferenceRecord, ...] = ()

    @property
    def prompt_text(self) -> str:
        """The turns as plain text; a single turn stands alone."""
        if len(self.turns) == 1:
            return self.turns[0]["content"]
        return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in self.turns)


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row cannot be imported, and what to do about it; row 0 is the file itself."""

    row: int
    field: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"row {self.row}" if self.row else "file"
        at = f", field {self.field}" if self.field else ""
        return f"{place}{at}: {self.message} {self.remedy}"


class RowProblem(ValueError):
    """Raised while a row is parsed; readers turn it into a `RowError`."""

    def __init__(self, field: str, message: str, remedy: str) -> None:
        super().__init__(f"{field}: {message} {remedy}")
        self.field, self.message, self.remedy = field, message, remedy

    def at(self, row: int) -> RowError:
        """Name the row."""
        return RowError(row, self.field, self.message, self.remedy)


class FormatError(ValueError):
    """A file that cannot be read; ``errors`` says where."""

    def __init__(self, errors: Iterable[RowError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors[:3]))


Row = ComparisonRecord | RowError


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """A format that can be read.

    ``one_label_per_row`` formats may repeat a comparison to give it another annotator's label; in
    the others a repeated id is an error. ``matches`` knows the format by its first object.
    """

    name: str
    title: str
    read: Callable[[BinaryIO], Iterator[Row]]
    one_label_per_row: bool = False
    matches: Callable[[dict[str, Any]], bool] | None = None


def lines_of(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield line numbers and lines without their ends; ``None`` stands for a line over the bound.

    Memory stays below the bound whatever the file holds. A UTF-8 byte order mark is dropped.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(1 << 20)
            yield number, None
        else:
            yield number, line.rstrip(b"\r\n")


def line_too_long(row: int) -> RowError:
    """The error of a line over the bound."""
    return RowError(
        row, "", f"The line is longer than {MAX_LINE_BYTES // 1_000_000} MB.",
        "Split it, or shorten its texts.",
    )  # fmt: skip


def empty_file() -> RowError:
    """The error of a file without rows."""
    return RowError(0, "", "The file holds no rows.", "Choose a file with at least one comparison.")


def decoded(line: bytes) -> str:
    """Decode a line strictly.

    Raises
    ------
    RowProblem
        If the line is not UTF-8 or holds a NUL character, which PostgreSQL cannot store.
    """
    if b"\0" in line:
        raise RowProblem("", "The line holds a NUL character.", "Remove it from the text.")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RowProblem(
            "", f"Byte {error.start + 1} of the line (0x{line[error.start]:02x}) is not UTF-8.",
            "Save the file as UTF-8.",
        ) from error  # fmt: skip


def refuse_unstorable(value: Any, at: str = "") -> None:
    """Refuse NUL characters and lone surrogates anywhere inside a parsed value.

    Raises
    ------
    RowProblem
        If a text cannot be stored; the field names the place.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise RowProblem(at, "The text holds a NUL character.", "Remove it from the text.")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise RowProblem(
                at, "The text holds half a surrogate pair.", "Write the character whole."
            ) from None
    elif isinstance(value, dict):
        for key, item in value.items():
            refuse_unstorable(key, at)
            refuse_unstorable(item, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_unstorable(item, f"{at}[{index}]")
