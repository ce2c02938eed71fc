"""Columns mapped by hand, in whatever kind of file they come."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from annotate.formats.base import ComparisonRecord, FormatError, RowError
from annotate.formats.mapped import proposal
from annotate.formats.opening import records_of
from annotate.formats.preview import file_preview
from annotate.formats.registry import import_format_of, read_comparisons

ROW = {"q": "Why?", "one": "Because.", "two": "No.", "best": "B", "who": "p1", "topic": "sky"}
MAPPING = {
    "prompt": "q", "response_a": "one", "response_b": "two", "preference": "best",
    "annotator": "who", "meta": ["topic"],
}  # fmt: skip


def csv_bytes() -> bytes:
    return (",".join(ROW) + "\n" + ",".join(ROW.values()) + "\n").encode()


def json_bytes() -> bytes:
    return json.dumps([ROW]).encode()


def lines_bytes() -> bytes:
    return json.dumps(ROW).encode() + b"\n"


def parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([ROW]), sink)
    return bytes(sink.getvalue())


KINDS = [
    csv_bytes(),
    csv_bytes().replace(b",", b"\t"),
    json_bytes(),
    lines_bytes(),
    parquet_bytes(),
    gzip.compress(lines_bytes()),
    zstandard.compress(csv_bytes()),
    gzip.compress(json_bytes()),
]


KIND_NAMES = ["csv", "tsv", "json", "lines", "parquet", "lines-gzip", "csv-zstd", "json-gzip"]


@pytest.mark.parametrize("content", KINDS, ids=KIND_NAMES)
def test_every_kind_of_file_is_read_with_the_same_mapping(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    (record,) = read_comparisons(path, "mapped", MAPPING)
    (verdict,) = record.preferences
    assert record.prompt_text == "Why?"
    assert [response.text for response in record.responses] == ["Because.", "No."]
    assert (verdict.annotator, verdict.ranking) == ("p1", (1, 0))
    assert record.metadata == {"topic": "sky"}


def mapped(tmp_path: Path, row: dict[str, Any], **mapping: Any) -> ComparisonRecord | RowError:
    """Read one row under a mapping."""
    path = tmp_path / "upload"
    path.write_text(json.dumps(row))
    (found,) = records_of(path, import_format_of(path, "mapped", mapping))
    return found


@pytest.mark.parametrize(
    ("word", "one_means", "ranking"),
    [
        ("A", "b", (0, 1)),
        ("model_b", "b", (1, 0)),
        (1, "b", (1, 0)),
        (0, "b", (0, 1)),
        (1, "a", (0, 1)),
        (2, "a", (1, 0)),
        (1.0, "a", (0, 1)),
        ("Tie", "b", (0, 0)),
        ("both bad", "b", None),
    ],
)
def test_verdicts_are_understood_in_many_words(
    tmp_path: Path, word: Any, one_means: str, ranking: tuple[int, ...] | None
) -> None:
    row = {"p": "Why?", "a": "1", "b": "2", "v": word}
    columns = {"prompt": "p", "response_a": "a", "response_b": "b", "preference": "v"}
    record = mapped(tmp_path, row, **columns, one_means=one_means)
    assert isinstance(record, ComparisonRecord)
    assert record.preferences[0].ranking == ranking


@pytest.mark.parametrize(("scores", "ranking"), [((1, 3), (1, 0)), ((2, 2), (0, 0))])
def test_two_scores_say_the_verdict(
    tmp_path: Path, scores: tuple[int, int], ranking: tuple[int, ...]
) -> None:
    row = {"p": "Why?", "a": "1", "b": "2", "s": {"x": scores[0], "y": scores[1]}}
    columns = {"prompt": "p", "response_a": "a", "response_b": "b"}
    record = mapped(tmp_path, row, **columns, score_a="s.x", score_b="s.y", kind="judge")
    assert isinstance(record, ComparisonRecord)
    assert (record.preferences[0].kind, record.preferences[0].ranking) == ("judge", ranking)


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({}, "mapping.prompt"),
        ({"prompt": "p", "response_a": "a"}, "mapping.response_a"),
        ({"prompt": "p", "secret": "x"}, "mapping.secret"),
    ],
)
def test_an_incomplete_mapping_is_refused_by_field(
    tmp_path: Path, mapping: dict[str, Any], field: str
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(lines_bytes())
    with pytest.raises(FormatError) as caught:
        import_format_of(path, "mapped", mapping)
    assert caught.value.errors[0].field == field


def test_a_wrong_verdict_names_its_column(tmp_path: Path) -> None:
    row = {"p": "Why?", "a": "1", "b": "2", "v": "maybe"}
    columns = {"prompt": "p", "response_a": "a", "response_b": "b", "preference": "v"}
    error = mapped(tmp_path, row, **columns)
    assert isinstance(error, RowError)
    assert (error.row, error.field) == (1, "v")


def test_the_columns_names_propose_a_mapping() -> None:
    found = proposal(["Question", "answer1", "answer2", "winner", "chosen", "rejected"])
    assert found == {
        "prompt": "Question", "response_a": "answer1", "response_b": "answer2",
        "preference": "winner",
    }  # fmt: skip


def test_a_file_that_no_schema_knows_shows_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(lines_bytes())
    preview = file_preview(path)
    assert ("q", "Why?") in preview.columns
    assert "known by its columns" in preview.errors[0].message


@pytest.mark.parametrize(
    "content",
    [gzip.compress(lines_bytes() * 2000)[:-40], zstandard.compress(lines_bytes())[:-4]],
    ids=["gzip", "zstd"],
)
def test_a_packed_file_that_breaks_off_is_an_error_not_an_exception(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    import_format = import_format_of(path, "mapped", MAPPING)
    rows = list(records_of(path, import_format))
    assert isinstance(rows[-1], RowError)
