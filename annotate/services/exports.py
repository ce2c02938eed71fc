"""Labelled data on its way out: one stream of bytes for the page, the API, the command, the job."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import F, Func, IntegerField, Q

from annotate.errors import ApplicationError
from annotate.formats import trl
from annotate.formats.base import ComparisonRecord
from annotate.formats.containers import CONTAINERS, Container, Contents, in_blocks, packed
from annotate.formats.extra import extra_names, extra_reader, extra_tag
from annotate.formats.native import write_line
from annotate.formats.row_formats import RowFormat, RowOptions
from annotate.formats.writing import ROW_FORMATS
from annotate.labels import FITTED_RULES, SOFT, PairLabel
from annotate.models import Comparison, DatasetVersion, LabelRule, Project
from annotate.pairings import ALL, PAIRINGS, paired
from annotate.selectors.filters import Filters, filters_of
from annotate.selectors.records import DatasetCut, cut_of, dataset_cut, records_stream
from annotate.services.dataset_cards import CardFigures, dataset_card
from annotate.services.label_fits import labeller_of

AUTO_STYLE = "auto"
STYLES = (AUTO_STYLE, trl.STANDARD, trl.CONVERSATIONAL)
PROMPTS = (trl.EXPLICIT, trl.IMPLICIT)
NATIVE = "native"
LINE_CONTAINERS = ("jsonl", "jsonl.gz")


@dataclass(frozen=True)
class ExportFormat:
    """A format as forms and the API offer it; ``columns`` may be added on request."""

    name: str
    title: str
    columns: tuple[str, ...] = ()
    containers: tuple[str, ...] = LINE_CONTAINERS


def _offered(row_format: RowFormat) -> ExportFormat:
    names = tuple(
        name for name, kind in CONTAINERS.items() if row_format.fields or not kind.is_typed
    )
    # What is usual stands first and is the default.
    first = "json" if row_format.is_array else "jsonl"
    ordered = (first, *(name for name in names if name != first))
    return ExportFormat(row_format.name, row_format.title, row_format.columns, ordered)


EXPORT_FORMATS: dict[str, ExportFormat] = {
    **{name: _offered(row_format) for name, row_format in ROW_FORMATS.items()},
    NATIVE: ExportFormat(NATIVE, "Native JSONL, every verdict"),
}


@dataclass(frozen=True)
class Selection:
    """Which labels to write, under which rule and how."""

    project: Project
    cut: DatasetCut
    label_rule: str
    columns: tuple[str, ...] = ()
    style: str = AUTO_STYLE
    prompt: str = trl.EXPLICIT
    pairing: str = ALL

    def records(self) -> Iterator[ComparisonRecord]:
        """Every comparison of the selection, in order."""
        return records_stream(project=self.project, cut=self.cut)


@dataclass(frozen=True)
class Export:
    """A checked request for an export; ``stream`` yields its bytes."""

    format: ExportFormat
    selection: Selection
    version: DatasetVersion | None
    container: Container

    def stream(self) -> Iterator[bytes]:
        """Yield the file in blocks, ordered by comparison; memory stays flat."""
        if self.format.name == NATIVE:
            blocks = in_blocks(write_line(record) for record in self.selection.records())
            return packed(blocks) if self.container.name == "jsonl.gz" else blocks
        return self.container.write(self._contents())

    def _contents(self) -> Contents:
        row_format = ROW_FORMATS[self.format.name]
        selection = self.selection
        style = _style_of(selection) if selection.style == AUTO_STYLE else selection.style
        extra = extra_reader(selection.project.pk, selection.columns)
        options = RowOptions(style, selection.prompt, selection.columns, extra)
        figures, records = CardFigures(), selection.records()
        if self.container.has_card:
            records = _noticed(records, figures)
        counted = _Counted(_rows(row_format, selection, options, records))
        return Contents(
            rows=counted,
            fields=row_format.fields(options) if row_format.fields else {},
            card=lambda: dataset_card(
                manifest=self.manifest(),
                title=selection.project.name,
                figures=figures,
                n_rows=counted.n_rows,
            ),
            manifest=self.manifest,
        )

    def manifest(self) -> dict[str, Any]:
        """What the file is: the version's own manifest, or what was asked for."""
        asked = {
            "project": self.selection.project.slug,
            "format": self.format.name,
            "label_rule": self.selection.label_rule,
            "pairing": self.selection.pairing,
            "columns": list(self.selection.columns),
            "filters": self.selection.cut.filters.as_json(),
        }
        if self.version is None:
            return {**asked, "version": None}
        frozen = {"number": self.version.number, "content_hash": self.version.content_hash}
        return {**asked, "version": frozen, "manifest": self.version.manifest}

    @property
    def content_type(self) -> str:
        """The media type of the file."""
        return self.container.content_type

    @property
    def etag(self) -> str:
        """A tag that changes whenever the bytes of a version's export could; "" without one."""
        if self.version is None:
            return ""
        asked = self.selection
        parts = [
            asked.project.slug, str(self.version.number), self.version.content_hash,
            self.format.name, self.container.name, asked.label_rule, asked.style, asked.prompt,
            asked.pairing, *asked.columns, extra_tag(asked.project.pk, asked.columns),
        ]  # fmt: skip
        return f'"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"'

    @property
    def file_name(self) -> str:
        """A name for the downloaded file."""
        version = f"-v{self.version.number}" if self.version else ""
        return (
            f"{self.selection.project.slug}{version}-{self.format.name}.{self.container.extension}"
        )


class _Counted:
    """Rows that know how many of them there were."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows
        self.n_rows = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        row = next(self._rows)
        self.n_rows += 1
        return row


def _noticed(
    records: Iterator[ComparisonRecord], figures: CardFigures
) -> Iterator[ComparisonRecord]:
    for record in records:
        figures.add(record)
        yield record


def _rows(
    row_format: RowFormat,
    selection: Selection,
    options: RowOptions,
    records: Iterator[ComparisonRecord],
) -> Iterator[dict[str, Any]]:
    if not row_format.is_paired:
        for record in records:
            yield from row_format.rows(record, (), options)
        return
    labeller = labeller_of(selection.label_rule, selection.records)
    for record in records:
        labels: Sequence[PairLabel] = labeller(record)
        chosen = paired(labels, selection.pairing, record.external_id)
        yield from row_format.rows(record, chosen, options)


def _style_of(selection: Selection) -> str:
    """Standard where every prompt is one user turn; a file is all of one style."""
    n_turns = Func(F("prompt__turns"), function="jsonb_array_length", output_field=IntegerField())
    others = Comparison.objects.alias(n_turns=n_turns).filter(
        Q(n_turns__gt=1) | ~Q(prompt__turns__0__role="user"),
        project=selection.project,
        pk__lte=selection.cut.last_comparison_id,
    )
    return trl.CONVERSATIONAL if others.exists() else trl.STANDARD


@dataclass(frozen=True)
class ExportRequest:
    """What somebody asks for, unchecked; a background job keeps it as JSON."""

    format: str
    container: str = ""
    label_rule: str = ""
    columns: tuple[str, ...] = ()
    style: str = AUTO_STYLE
    prompt: str = trl.EXPLICIT
    pairing: str = ALL
    filters: Filters | None = None


def export_open(
    *,
    project: Project,
    format: str,
    version: DatasetVersion | None = None,
    label_rule: str = "",
    columns: tuple[str, ...] = (),
    style: str = AUTO_STYLE,
    container: str = "",
    prompt: str = trl.EXPLICIT,
    pairing: str = ALL,
    filters: Filters | None = None,
    in_background: bool = False,
) -> Export:
    """Check what is asked for and fix what belongs to it.

    Without a version the export takes in what is committed now; with one, the same bytes come out
    every time. A version's own label rule and filters hold unless others are named.

    Raises
    ------
    ApplicationError
        If an option is unknown, or the rule needs a fit and this is no background job.
    """
    asked = ExportRequest(format, container, label_rule, columns, style, prompt, pairing, filters)
    _check(asked)
    export_format = EXPORT_FORMATS[format]
    rule = label_rule or (version.label_rule if version else LabelRule.HUMAN_MAJORITY.value)
    if rule in FITTED_RULES and not in_background and format != NATIVE:
        raise ApplicationError(
            f"{LabelRule(rule).label} needs a fit over all votes: start it as a background export.",
            field="label_rule",
        )
    if rule == SOFT and "soft_label" in export_format.columns and "soft_label" not in columns:
        columns = (*columns, "soft_label")
    cut = cut_of(version) if version else dataset_cut(project=project)
    if filters is not None:
        cut = replace(cut, filters=filters)
    # Asked once before the first byte, so that missing values are an answer and no torn file.
    extra_reader(project.pk, columns)
    selection = Selection(project, cut, rule, columns, style, prompt, pairing)
    return Export(
        export_format, selection, version, CONTAINERS[container or export_format.containers[0]]
    )


def columns_of(export_format: ExportFormat) -> tuple[str, ...]:
    """The columns that a format may add on request, those of other apps included."""
    is_preference = export_format.name == trl.TRL_PREFERENCE.name
    return export_format.columns + (extra_names() if is_preference else ())


def _check(asked: ExportRequest) -> None:
    if asked.format not in EXPORT_FORMATS:
        raise _unknown("format", asked.format, tuple(EXPORT_FORMATS))
    export_format = EXPORT_FORMATS[asked.format]
    choices: dict[str, Sequence[str]] = {
        "container": ("", *export_format.containers),
        "label_rule": ("", *LabelRule.values),
        "style": STYLES,
        "prompt": PROMPTS,
        "pairing": PAIRINGS,
    }
    for field, known in choices.items():
        value = getattr(asked, field)
        if value not in known:
            raise _unknown(field, value, tuple(name for name in known if name))
    known_columns = columns_of(export_format)
    for column in asked.columns:
        if column not in known_columns:
            raise _unknown("columns", column, known_columns or ("none",))
    if asked.prompt == trl.IMPLICIT and asked.format != trl.TRL_PREFERENCE.name:
        raise ApplicationError("Only trl-preference has an implicit prompt.", field="prompt")


def _unknown(field: str, value: str, known: tuple[str, ...]) -> ApplicationError:
    return ApplicationError(
        f"Unknown {field} {value!r}; use one of {', '.join(known)}.", field=field
    )


def export_stream(*, project: Project, format: str, **options: Any) -> Iterator[bytes]:
    """Yield the bytes of an export; `export_open` says what the arguments mean."""
    return export_open(project=project, format=format, **options).stream()


__all__ = [
    "AUTO_STYLE",
    "EXPORT_FORMATS",
    "PROMPTS",
    "STYLES",
    "Export",
    "Selection",
    "export_open",
    "export_stream",
    "filters_of",
]
