"""CSV and TSV: what a spreadsheet writes comes in, what it broke is named."""

import io

import pytest

from annotate.formats.base import ComparisonRecord, RowError
from annotate.formats.csv_pairs import read

HEADER = "prompt,response_a,response_b"


def read_text(text: str, encoding: str = "utf-8") -> list[ComparisonRecord | RowError]:
    """Read a file of this text."""
    return list(read(io.BytesIO(text.encode(encoding))))


def records(text: str, encoding: str = "utf-8") -> list[ComparisonRecord]:
    """Read a file in which every row is right."""
    found = read_text(text, encoding)
    assert all(isinstance(row, ComparisonRecord) for row in found)
    return [row for row in found if isinstance(row, ComparisonRecord)]


def test_three_columns_are_enough() -> None:
    (record,) = records(f"{HEADER}\nWhy?,Because.,No idea.\n")
    assert record.prompt_text == "Why?"
    assert [response.text for response in record.responses] == ["Because.", "No idea."]
    assert record.external_id.startswith("row-")
    assert record.preferences == ()


def test_every_column_finds_its_place() -> None:
    (record,) = records(
        f"{HEADER},id,model_a,model_b,criterion,preference,annotator,strength,rationale,meta_topic\n"
        "Why?,Because.,No idea.,q1,m1,m2,Helpful?,B,ann,2,clearer,sky\n"
    )
    (verdict,) = record.preferences
    assert (record.external_id, record.criterion) == ("q1", "Helpful?")
    assert [response.source_model for response in record.responses] == ["m1", "m2"]
    assert record.metadata == {"topic": "sky"}
    assert (verdict.annotator, verdict.ranking, verdict.strength) == ("ann", (1, 0), 2.0)
    assert verdict.rationale == "clearer"


@pytest.mark.parametrize(
    ("encoding", "separator"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-8", "\t")],
)
def test_encodings_and_separators_of_spreadsheets_are_read(encoding: str, separator: str) -> None:
    text = f"{HEADER}\nWarum? 漢字,Ja.,Nein. 🙂\n".replace(",", separator)
    (record,) = records(text, encoding)
    assert (record.prompt_text, record.responses[1].text) == ("Warum? 漢字", "Nein. 🙂")


def test_quoted_line_breaks_stay_inside_their_cell_and_rows_count_as_in_a_spreadsheet() -> None:
    found = records(f'{HEADER}\n"one\ntwo",a,b\n"three ""four""",a,b\n')
    assert [record.prompt_text for record in found] == ["one\ntwo", 'three "four"']
    assert [record.row for record in found] == [2, 3]


def test_a_response_longer_than_the_csv_module_allows_by_itself_is_read() -> None:
    (record,) = records(f"{HEADER}\nWhy?,{'x' * 200_000},b\n")
    assert len(record.responses[0].text) == 200_000


def test_the_same_row_always_gets_the_same_id_and_another_row_another_one() -> None:
    text = f"{HEADER}\nWhy?,Because.,No.\nWhy?,No.,Because.\n"
    first, second = records(text)
    assert [first.external_id, second.external_id] == [r.external_id for r in records(text)]
    assert first.external_id != second.external_id


@pytest.mark.parametrize(
    ("text", "row", "field", "message"),
    [
        ("", 0, "", "no rows"),
        (f"{HEADER}\n", 0, "", "no rows"),
        ("prompt,response_a\nx,y\n", 1, "response_b", "no column"),
        (f"{HEADER},score\n", 1, "score", "Unknown column"),
        (f"{HEADER},prompt\n", 1, "prompt", "comes twice"),
        (f"{HEADER}\nWhy?,Because.\n", 2, "", "2 cells"),
        (f"{HEADER}\n,a,b\n", 2, "prompt", "empty"),
        (f"{HEADER}\nWhy?,,b\n", 2, "response_a", "missing"),
        (f"{HEADER},preference\nWhy?,a,b,left\n", 2, "preference", "no verdict"),
        (f"{HEADER},preference,strength\nWhy?,a,b,a,big\n", 2, "strength", "no number"),
        (f'{HEADER}\nWhy?,a,b\nWho?,"a,b\n', 3, "", "not CSV"),
        (f"{HEADER}\nWhy?,a\0,b\n", 2, "", "NUL"),
    ],
)
def test_a_bad_file_is_refused_with_row_field_and_remedy(
    text: str, row: int, field: str, message: str
) -> None:
    error = read_text(text)[-1]
    assert isinstance(error, RowError)
    assert (error.row, error.field) == (row, field)
    assert message in error.message
    assert error.remedy


def test_bytes_that_are_not_utf8_are_named_by_row() -> None:
    error = list(read(io.BytesIO(f"{HEADER}\nWarum?,Stra".encode() + b"\xdfe,b\n")))[-1]
    assert isinstance(error, RowError)
    assert (error.row, "0xdf" in error.message) == (2, True)
    assert "UTF-8" in error.remedy
