"""Native JSONL: what it reads, what it refuses, and that nothing is lost on the way."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.formats.base import (
    MAX_LINE_BYTES,
    ComparisonRecord,
    PreferenceRecord,
    ResponseRecord,
    RowError,
)
from annotate.formats.native import parse_json, parse_row, read, write_line


def a_row(**changes: Any) -> dict[str, Any]:
    """A small valid row, with changes."""
    return {
        "id": "q1",
        "prompt": "Why?",
        "responses": [
            {"id": "a", "text": "Because.", "model": "m1"},
            {"id": "b", "text": "No idea.", "model": "m2"},
        ],
        "human": [],
        "llm": [],
        "meta": {},
        **changes,
    }


def three_responses() -> list[dict[str, str]]:
    """Three responses."""
    return [{"id": name, "text": name} for name in "xyz"]


def read_bytes(content: bytes) -> list[ComparisonRecord | RowError]:
    """Read a file's content."""
    return list(read(io.BytesIO(content)))


def refused(content: bytes | dict[str, Any]) -> RowError:
    """Read one line and return why it is refused."""
    line = content if isinstance(content, bytes) else json.dumps(content).encode()
    (found,) = read_bytes(line)
    assert isinstance(found, RowError)
    return found


def first_verdict(**changes: Any) -> PreferenceRecord:
    """Parse a row and return its first verdict."""
    return parse_row(1, a_row(**changes)).preferences[0]


def test_a_text_prompt_is_one_user_turn() -> None:
    assert parse_row(1, a_row()).turns == ({"role": "user", "content": "Why?"},)


def test_a_list_of_turns_stays_a_list_of_turns() -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    assert parse_row(1, a_row(prompt=turns)).turns == tuple(turns)


def test_an_absent_model_is_unknown_and_an_absent_response_id_is_a_letter() -> None:
    record = parse_row(1, a_row(responses=[{"text": "one"}, {"text": "two", "model": None}]))
    assert record.responses == (ResponseRecord("a", "one", ""), ResponseRecord("b", "two", ""))


def test_an_empty_response_text_is_a_response() -> None:
    responses = [{"id": "a", "text": ""}, {"id": "b", "text": "x"}]
    assert parse_row(1, a_row(responses=responses)).responses[0].text == ""


@pytest.mark.parametrize(
    ("preference", "verdict", "ranking"),
    [
        (0, "ranked", (0, 1)),
        (1, "ranked", (1, 0)),
        ([1, 0], "ranked", (1, 0)),
        ("tie", "tie", (0, 0)),
        ([[0, 1]], "tie", (0, 0)),
        ("both_bad", "both_bad", None),
        ("cannot_judge", "cannot_judge", None),
    ],
)
def test_a_pairwise_preference_becomes_ranks(
    preference: Any, verdict: str, ranking: tuple[int, ...] | None
) -> None:
    found = first_verdict(human=[{"annotator": "p", "preference": preference}])
    assert (found.verdict, found.ranking) == (verdict, ranking)


@pytest.mark.parametrize(
    ("preference", "ranking"),
    [([2, 0, 1], (1, 2, 0)), ([[0, 2], 1], (0, 1, 0)), ([[0, 1, 2]], (0, 0, 0))],
)
def test_a_ranking_best_first_becomes_one_rank_per_response(
    preference: list[Any], ranking: tuple[int, ...]
) -> None:
    human = [{"annotator": "p", "preference": preference}]
    assert first_verdict(responses=three_responses(), human=human).ranking == ranking


@pytest.mark.parametrize(
    ("preference", "given_strength", "signed"),
    [(0, 2, -2.0), (0, -2, -2.0), (1, 2, 2.0), (1, -2, 2.0), ("tie", 0, 0.0), (1, None, None)],
)
def test_strength_takes_its_sign_from_the_preference(
    preference: Any, given_strength: float | None, signed: float | None
) -> None:
    entry = {"annotator": "p", "preference": preference, "strength": given_strength}
    assert first_verdict(human=[entry]).strength == signed


def test_seconds_swaps_errors_and_unknown_keys_of_a_human_find_their_places() -> None:
    entry = {
        "annotator": "p", "preference": 0, "order_swapped": True, "seconds": 13.8,
        "errors": [{"response": 1, "severity": "Minor", "span": "."}],
        "span_comments": [{"response": 0, "comment": "odd"}],
        "attention_tests": [{"result": "missed"}],
    }  # fmt: skip
    found = first_verdict(human=[entry])
    assert (found.shown_order, found.active_ms) == ((1, 0), 13_800)
    assert [span["kind"] for span in found.spans] == ["error", "comment"]
    assert found.extra == {"attention_tests": [{"result": "missed"}]}


def test_a_judge_keeps_protocol_scores_and_order_in_extra_and_its_preference_as_it_is() -> None:
    entry = {
        "judge": "j", "preference": 1, "order_swapped": True, "protocol": "both-orders",
        "scores": [1, 2], "order_inconsistent": True,
    }  # fmt: skip
    found = first_verdict(llm=[entry])
    assert (found.kind, found.ranking) == ("judge", (1, 0))
    assert found.extra == {
        "order_swapped": True, "protocol": "both-orders", "scores": [1, 2],
        "order_inconsistent": True,
    }  # fmt: skip


def test_two_nameless_humans_are_two_people_and_a_named_one_repeats_themselves() -> None:
    human = [{"annotator": name, "preference": 0} for name in (None, None, "p", "p")]
    found = parse_row(1, a_row(human=human)).preferences
    assert [(v.annotator, v.replicate) for v in found] == [
        ("anonymous", 0), ("anonymous-2", 0), ("p", 0), ("p", 1),
    ]  # fmt: skip


def test_a_second_turn_with_its_own_first_answers_becomes_a_shared_prompt() -> None:
    context = {"turn1_user": "First?", "turn1_a": "One.", "turn1_b": "Two."}
    record = parse_row(1, a_row(meta={"context": context, "turn": 2}))
    assert record.turns == ({"role": "user", "content": "First?"},)
    assert record.responses[1].text == "Two.\n\n---\n\n**User:** Why?\n\n---\n\nNo idea."
    assert record.metadata == {"turn": 2}


def test_another_context_stays_metadata() -> None:
    record = parse_row(1, a_row(meta={"context": {"page": 3}}))
    assert record.metadata == {"context": {"page": 3}}


BAD_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"score": 1}, "score", "Unknown field"),
    ({"id": ""}, "id", "empty"),
    ({"id": 7}, "id", "Expected a text"),
    ({"id": "x" * 201}, "id", "201 characters"),
    ({"prompt": None}, "prompt", "missing"),
    ({"prompt": "  "}, "prompt", "empty"),
    ({"prompt": []}, "prompt", "empty"),
    ({"prompt": [{"role": "robot", "content": "x"}]}, "prompt[0].role", "Unknown role"),
    ({"prompt": [{"role": "user"}]}, "prompt[0].content", "missing"),
    ({"responses": None}, "responses", "missing"),
    ({"responses": [{"text": "one"}]}, "responses", "2 to 26"),
    ({"responses": [{"text": "one"}, {"id": "b"}]}, "responses[1].text", "missing"),
    ({"responses": [{"text": "one"}, {"text": None}]}, "responses[1].text", "missing"),
    ({"responses": [{"text": "one"}, {"text": 2}]}, "responses[1].text", "Expected a text"),
    ({"responses": [{"text": "1"}, {"text": "2", "x": 1}]}, "responses[1].x", "Unknown field"),
    ({"responses": [{"id": "a", "text": "1"}, {"id": "a", "text": "2"}]}, "responses[1].id",
     "twice"),
    ({"responses": "ab"}, "responses", "Expected a list"),
    ({"human": {"preference": 0}}, "human", "Expected a list"),
    ({"human": [1]}, "human[0]", "must be an object"),
    ({"human": [{"annotator": "p"}]}, "human[0].preference", "missing"),
    ({"human": [{"preference": 2}]}, "human[0].preference", "no response number 2"),
    ({"human": [{"preference": -1}]}, "human[0].preference", "no response number -1"),
    ({"human": [{"preference": True}]}, "human[0].preference", "no verdict"),
    ({"human": [{"preference": "left"}]}, "human[0].preference", "no verdict"),
    ({"human": [{"preference": [0]}]}, "human[0].preference", "Response 1 has no rank"),
    ({"human": [{"preference": [0, 0, 1]}]}, "human[0].preference", "ranked twice"),
    ({"human": [{"preference": [0, 2]}]}, "human[0].preference", "no response number 2"),
    ({"human": [{"preference": "tie", "strength": 1}]}, "human[0].strength", "no strength"),
    ({"human": [{"preference": 0, "strength": "1"}]}, "human[0].strength", "Expected a number"),
    ({"human": [{"preference": 0, "seconds": -1}]}, "human[0].seconds", "outside"),
    ({"human": [{"preference": 0, "active_ms": 1.5}]}, "human[0].active_ms", "whole number"),
    ({"human": [{"preference": 0, "shown_order": [0, 0]}]}, "human[0].shown_order", "once"),
    ({"human": [{"preference": 0, "shown_order": [0, 1], "order_swapped": True}]},
     "human[0].order_swapped", "contradicts"),
    ({"human": [{"preference": 0, "spans": [{"response": 5}]}]}, "human[0].spans[0].response",
     "outside"),
    ({"human": [{"preference": 0, "created_at": "2026-01-01T00:00:00"}]}, "human[0].created_at",
     "no time with a zone"),
    ({"llm": [{"preference": 0}]}, "llm[0].judge", "missing"),
    ({"llm": [{"judge": "j", "preference": 0, "probability": 1.2}]}, "llm[0].probability",
     "outside"),
    ({"meta": []}, "meta", "Expected an object"),
    ({"meta": {"x": "a\0b"}}, "meta.x", "NUL"),
    ({"meta": {"deep": [{"x": "\ud800"}]}}, "meta.deep[0].x", "surrogate"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "message"), BAD_ROWS)
def test_a_bad_row_is_refused_with_its_field_and_a_remedy(
    changes: dict[str, Any], field: str, message: str
) -> None:
    error = refused(a_row(**changes))
    assert (error.row, error.field) == (1, field)
    assert message in error.message
    assert error.remedy


def test_one_index_is_too_little_for_three_responses() -> None:
    error = refused(a_row(responses=three_responses(), human=[{"preference": 0}]))
    assert error.field == "human[0].preference"
    assert "ranking" in error.remedy


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": "q1", ', "not JSON"),
        (b'["q1"]', "not a JSON object"),
        (b'{"id": "\xff"}', "Byte 9 of the line (0xff) is not UTF-8"),
        (b'{"id": "\0"}', "NUL"),
        (b'{"id": NaN}', "NaN is not JSON"),
        (b'{"id": 1e999}', "too large"),
        (b'{"id": ' + b"1" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_line_is_refused_by_number(line: bytes, message: str) -> None:
    good = json.dumps(a_row()).encode()
    first, second = read_bytes(good + b"\n" + line + b"\n")
    assert isinstance(first, ComparisonRecord)
    assert isinstance(second, RowError)
    assert second.row == 2
    assert message in second.message
    assert second.remedy


def test_a_line_over_the_bound_is_refused_and_the_next_one_is_read() -> None:
    good = json.dumps(a_row()).encode()
    first, second = read_bytes(b'{"id": "' + b"x" * (MAX_LINE_BYTES + 5) + b'"}\n' + good)
    assert isinstance(first, RowError)
    assert (first.row, "20 MB" in first.message) == (1, True)
    assert isinstance(second, ComparisonRecord)
    assert second.row == 2


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_do_no_harm() -> None:
    row = json.dumps(a_row()).encode()
    found = read_bytes(b"\xef\xbb\xbf" + row + b"\r\n\r\n" + row + b"\r\n")
    assert [record.row for record in found] == [1, 3]
    assert all(isinstance(record, ComparisonRecord) for record in found)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error_of_the_file(content: bytes) -> None:
    (error,) = read_bytes(content)
    assert isinstance(error, RowError)
    assert (error.row, error.message) == (0, "The file holds no rows.")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
NAME = TEXT.filter(lambda text: bool(text.strip()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def verdicts(draw: st.DrawFn, n_responses: int) -> PreferenceRecord:
    """Any verdict that a protocol can give."""
    ranks = draw(st.permutations(range(n_responses)))
    levels = draw(st.lists(st.booleans(), min_size=n_responses, max_size=n_responses))
    places = [sum(levels[: rank + 1]) for rank in ranks]
    dense = {place: index for index, place in enumerate(sorted(set(places)))}
    ranking = tuple(dense[place] for place in places)
    verdict = draw(st.sampled_from(["ranked", "both_bad", "cannot_judge"]))
    named = "tie" if len(dense) == 1 else "ranked"
    return PreferenceRecord(
        annotator=draw(NAME),
        kind=draw(st.sampled_from(["human", "judge"])),
        verdict=named if verdict == "ranked" else verdict,
        ranking=ranking if verdict == "ranked" else None,
        aspects=draw(st.dictionaries(NAME, JSON, max_size=2)),
        spans=draw(st.lists(st.fixed_dictionaries({"text": TEXT}), max_size=2)),
        rationale=draw(TEXT),
        confidence=draw(st.none() | st.floats(0, 1)),
        probability=draw(st.none() | st.floats(0, 1)),
        shown_order=draw(st.none() | st.permutations(range(n_responses)).map(tuple)),
        active_ms=draw(st.none() | st.integers(0, 2**40)),
        revision=draw(st.integers(0, 3)),
        is_simulated=draw(st.booleans()),
        origin=draw(st.sampled_from([{}, {"source": "app", "protocol_version": 3}])),
    )


@st.composite
def records(draw: st.DrawFn) -> ComparisonRecord:
    """Any comparison."""
    n_responses = draw(st.integers(2, 5))
    found = draw(
        st.lists(
            verdicts(n_responses),
            max_size=4,
            unique_by=lambda verdict: (verdict.kind, verdict.annotator),
        )
    )
    turns = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": NAME})
    return ComparisonRecord(
        row=1,
        external_id=draw(NAME),
        turns=tuple(draw(st.lists(turns, min_size=1, max_size=3))),
        responses=tuple(
            ResponseRecord(f"r{i}", draw(TEXT), draw(TEXT)) for i in range(n_responses)
        ),
        criterion=draw(TEXT),
        metadata=draw(st.dictionaries(TEXT.map(lambda text: f"m{text}"), JSON, max_size=3)),
        preferences=tuple(sorted(found, key=lambda verdict: verdict.kind)),
    )


@given(records())
def test_what_is_written_reads_back_the_same(record: ComparisonRecord) -> None:
    line = write_line(record)
    again = parse_row(1, parse_json(line.rstrip(b"\n")))
    assert again == record
    assert write_line(again) == line


def test_the_form_for_hashing_ignores_provenance_and_the_order_of_verdicts() -> None:
    human = [
        {"annotator": "p", "preference": 0, "source": "app", "created_at": "2026-01-01T00:00:00Z"},
        {"annotator": "q", "preference": 1},
    ]
    bare = [{"annotator": "q", "preference": 1}, {"annotator": "p", "preference": 0}]
    one, other = (parse_row(1, a_row(human=entries)) for entries in (human, bare))
    assert write_line(one, provenance=False) == write_line(other, provenance=False)
