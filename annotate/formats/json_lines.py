"""One line of JSON, parsed fast where it is plain and strictly where it is not."""

import json
from math import isinf
from typing import Any, NoReturn

import orjson

from annotate.formats.base import RowProblem, decoded, refuse_unstorable

# What the fast parser may have rounded: a whole number of more than 64 bits.
_ROUNDED = 2.0**63


def parse_json(line: bytes) -> Any:
    """Parse one line of JSON strictly.

    Raises
    ------
    RowProblem
        If the line is not UTF-8, not JSON, or holds what PostgreSQL cannot store.
    """
    if b"\\u0000" not in line:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            return _parse_strictly(line)  # which says what is wrong in words
        if not _has_rounded(value):
            return value
    return _parse_strictly(line)


def _has_rounded(value: Any) -> bool:
    waiting = [value]
    for held in waiting:
        kind = type(held)
        if kind is dict:
            waiting += [item for item in held.values() if type(item) in _CONTAINERS]
        elif kind is list:
            waiting += [item for item in held if type(item) in _CONTAINERS]
        elif kind is float and (held >= _ROUNDED or held <= -_ROUNDED):
            return True
    return False


_CONTAINERS = frozenset({dict, list, float})


def _parse_strictly(line: bytes) -> Any:
    text = decoded(line)
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise RowProblem(
            "", f"The line is not JSON: {error.msg} at character {error.pos + 1}.",
            "Write one complete JSON object per line.",
        ) from error  # fmt: skip
    except RecursionError:
        raise RowProblem("", "The JSON is nested too deeply.", "Flatten it.") from None
    except RowProblem:
        raise
    except ValueError as error:
        raise RowProblem("", f"The line is not JSON: {error}.", "Shorten the number.") from error
    # Only an escape can bring in what the decoder above has not refused already.
    if "\\u" in text:
        refuse_unstorable(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise RowProblem("", f"{name} is not JSON.", "Write null, or leave the field out.")


def _finite(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise RowProblem("", f"The number {digits} is too large.", "Write a smaller number.")
    return value


def dump_json(value: Any, *, sort_keys: bool = False) -> bytes:
    """Write a value as one line of JSON without its end."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError:  # an integer of more than 64 bits
        text = json.dumps(
            value, ensure_ascii=False, sort_keys=sort_keys, separators=(",", ":"), allow_nan=False
        )
        return text.encode("utf-8")
