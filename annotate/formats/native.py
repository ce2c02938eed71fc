"""Native JSONL: one comparison per line with every verdict on it; reads and writes without loss.

``{"id", "prompt", "responses": [{"id", "text", "model"}], "criterion", "human": [...],
"llm": [...], "meta": {...}}``. ``prompt`` is a text or a list of turns. ``preference`` is an index
into ``responses``, "tie", "both_bad", "cannot_judge", or for more than two responses a ranking,
best first, whose entries are an index or a list of tied indices. Fields of a verdict that the
format does not know are kept in ``extra``; unknown fields elsewhere are errors, because dropping
them would lose data in silence.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

from annotate.formats.base import (
    MAX_CRITERION_CHARS,
    MAX_ID_CHARS,
    MAX_RESPONSES,
    ComparisonRecord,
    ImportFormat,
    PreferenceRecord,
    ResponseRecord,
    Row,
    RowError,
    RowProblem,
    empty_file,
    line_too_long,
    lines_of,
)
from annotate.formats.checks import (
    MISSING,
    optional_text,
    refuse_unknown,
    the_list,
    the_object,
    the_text,
)
from annotate.formats.json_lines import dump_json, parse_json
from annotate.formats.native_verdicts import numbered, parse_verdict, verdict_entry
from annotate.formats.objects import json_array
from annotate.formats.opening import head_of

TOP_FIELDS = frozenset({"id", "prompt", "responses", "criterion", "human", "llm", "meta"})
RESPONSE_FIELDS = frozenset({"id", "text", "model"})
TURN_FIELDS = frozenset({"role", "content"})
ROLES = frozenset({"system", "user", "assistant", "tool"})
_KIND_OF = {"human": "human", "llm": "judge"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def read(stream: BinaryIO) -> Iterator[Row]:
    """Stream the comparisons and errors of a native file; a row's number is its line's."""
    if head_of(stream).removeprefix(b"\xef\xbb\xbf").lstrip()[:2] == b"[{":
        yield from _array(stream)
        return
    found = False
    for row, line in lines_of(stream):
        if line is None:
            found = True
            yield line_too_long(row)
        elif line.strip():
            found = True
            yield _row_of(row, line)
    if not found:
        yield empty_file()


def _array(stream: BinaryIO) -> Iterator[Row]:
    """Read what somebody wrote as one JSON array instead of lines."""
    for item in json_array(stream):
        yield item if isinstance(item, RowError) else _parsed(*item)


def _parsed(row: int, value: Any) -> Row:
    try:
        return parse_row(row, value)
    except RowProblem as problem:
        return problem.at(row)


def _row_of(row: int, line: bytes) -> Row:
    try:
        return parse_row(row, parse_json(line))
    except RowProblem as problem:
        return problem.at(row)


def parse_row(row: int, value: Any) -> ComparisonRecord:
    """Turn a parsed line into a comparison.

    Raises
    ------
    RowProblem
        If a field is missing, unknown or of the wrong kind.
    """
    if not isinstance(value, dict):
        remedy = "Write one JSON object per line; a JSON array must be split into lines."
        raise RowProblem("", "The line is not a JSON object.", remedy)
    refuse_unknown(value, TOP_FIELDS, "", "Put it under meta.")
    responses = _responses(value.get("responses", MISSING))
    turns = _turns(value.get("prompt", MISSING))
    metadata = dict(the_object(value.get("meta"), "meta"))
    turns, responses = _with_first_turn(turns, responses, metadata)
    return ComparisonRecord(
        row=row,
        external_id=the_text(value.get("id", MISSING), "id", limit=MAX_ID_CHARS),
        turns=turns,
        responses=responses,
        criterion=optional_text(value.get("criterion"), "criterion", limit=MAX_CRITERION_CHARS),
        metadata=metadata,
        preferences=numbered(_verdicts(value, len(responses))),
    )


def _turns(value: Any) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list):
        return ({"role": "user", "content": the_text(value, "prompt")},)
    if not value:
        raise RowProblem("prompt", "The list of turns is empty.", "Add at least one turn.")
    return tuple(_turn(turn, f"prompt[{index}]") for index, turn in enumerate(value))


def _turn(value: Any, at: str) -> dict[str, str]:
    turn = the_object(value, at)
    refuse_unknown(turn, TURN_FIELDS, f"{at}.", "A turn has role and content only.")
    role = the_text(turn.get("role", MISSING), f"{at}.role")
    if role not in ROLES:
        raise RowProblem(
            f"{at}.role", f"Unknown role {role!r}.", f"Use one of {', '.join(sorted(ROLES))}."
        )
    return {"role": role, "content": the_text(turn.get("content", MISSING), f"{at}.content")}


def _responses(value: Any) -> tuple[ResponseRecord, ...]:
    if value is MISSING or value is None:
        raise RowProblem("responses", "The field is missing.", "Add at least two responses.")
    found = the_list(value, "responses")
    if not 2 <= len(found) <= MAX_RESPONSES:
        raise RowProblem(
            "responses", f"A comparison needs 2 to {MAX_RESPONSES} responses, found {len(found)}.",
            "Add the missing response or remove the row.",
        )  # fmt: skip
    responses = tuple(_response(item, index) for index, item in enumerate(found))
    ids = [response.external_id for response in responses]
    for index, external_id in enumerate(ids):
        if external_id in ids[:index]:
            raise RowProblem(
                f"responses[{index}].id", f"The id {external_id!r} is used twice.", "Rename one."
            )
    return responses


def _response(value: Any, index: int) -> ResponseRecord:
    at = f"responses[{index}]"
    response = the_object(value, at)
    refuse_unknown(response, RESPONSE_FIELDS, f"{at}.", "Put it under meta.")
    external_id = optional_text(response.get("id"), f"{at}.id", limit=MAX_ID_CHARS)
    return ResponseRecord(
        external_id=external_id or LETTERS[index],
        # A model may really have answered nothing, so an empty text is a response.
        text=the_text(response.get("text", MISSING), f"{at}.text", empty=True),
        source_model=optional_text(response.get("model"), f"{at}.model", limit=MAX_ID_CHARS),
    )


def _with_first_turn(
    turns: tuple[dict[str, str], ...],
    responses: tuple[ResponseRecord, ...],
    metadata: dict[str, Any],
) -> tuple[tuple[dict[str, str], ...], tuple[ResponseRecord, ...]]:
    """Put the first turn of a two-turn conversation where the annotators saw it.

    ``meta.context`` holds the first user turn and each model's own first answer. Those answers
    differ, so they are no part of the prompt; the second question was asked after them. The prompt
    becomes the first user turn, and each response the rest of its own conversation. First-turn and
    second-turn comparisons of a question then share a prompt, so that a split by prompt cannot put
    the same first answer on both sides.
    """
    context = metadata.get("context")
    wanted = {"turn1_user", *(f"turn1_{response.external_id}" for response in responses)}
    if not isinstance(context, dict) or set(context) != wanted or len(turns) != 1:
        return turns, responses
    if not all(isinstance(text, str) for text in context.values()):
        return turns, responses
    del metadata["context"]
    question = turns[0]["content"]
    answers = tuple(
        response._replace(
            text=f"{context[f'turn1_{response.external_id}']}\n\n---\n\n"
            f"**User:** {question}\n\n---\n\n{response.text}"
        )
        for response in responses
    )
    first = the_text(context["turn1_user"], "meta.context.turn1_user")
    return ({"role": "user", "content": first},), answers


def _verdicts(value: dict[str, Any], n_responses: int) -> Iterator[PreferenceRecord]:
    for field, kind in _KIND_OF.items():
        for index, entry in enumerate(the_list(value.get(field), field)):
            at = f"{field}[{index}]"
            if not isinstance(entry, dict):
                raise RowProblem(at, "A verdict must be an object.", "Write { … }.")
            yield parse_verdict(entry, at, kind, n_responses)


def write_line(record: ComparisonRecord, *, provenance: bool = True) -> bytes:
    """Write one comparison; reading the line gives the same record again.

    Without ``provenance`` the line leaves out times, sources, protocol versions and costs, and its
    keys are sorted: the form that a dataset version's hash is taken over.
    """
    row: dict[str, Any] = {
        "id": record.external_id,
        "prompt": _prompt_value(record.turns),
        "responses": [
            {"id": r.external_id or letter, "text": r.text, "model": r.source_model or None}
            for r, letter in zip(record.responses, LETTERS, strict=False)
        ],
    }
    if record.criterion:
        row["criterion"] = record.criterion
    for field, kind in _KIND_OF.items():
        verdicts = [p for p in record.preferences if p.kind == kind]
        if not provenance and len(verdicts) > 1:
            verdicts.sort(key=lambda verdict: verdict.key)
        row[field] = [verdict_entry(verdict, provenance=provenance) for verdict in verdicts]
    row["meta"] = record.metadata
    return dump_json(row, sort_keys=not provenance) + b"\n"


def _prompt_value(turns: tuple[dict[str, str], ...]) -> str | list[dict[str, str]]:
    if len(turns) == 1 and turns[0]["role"] == "user":
        return turns[0]["content"]
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


def _matches(value: dict[str, Any]) -> bool:
    return {"id", "prompt", "responses"} <= value.keys() or not value.keys() - TOP_FIELDS


NATIVE = ImportFormat(name="native", title="Native JSONL", read=read, matches=_matches)

__all__ = ["NATIVE", "RowError", "parse_json", "parse_row", "read", "write_line"]
