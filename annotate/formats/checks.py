"""Small checks of parsed JSON values; each names the field and the remedy."""

from collections.abc import Container
from datetime import datetime
from math import isfinite
from typing import Any

from annotate.formats.base import RowProblem

MISSING = object()


def the_text(value: Any, field: str, *, limit: int | None = None, empty: bool = False) -> str:
    """Return a text that is present, not blank unless ``empty``, and within its limit."""
    if value is MISSING or value is None:
        raise RowProblem(field, "The field is missing.", "Add it.")
    if not isinstance(value, str):
        raise RowProblem(field, f"Expected a text, found {kind_of(value)}.", "Put it in quotes.")
    if not empty and not value.strip():
        raise RowProblem(field, "The text is empty.", "Fill it in.")
    if limit is not None and len(value) > limit:
        raise RowProblem(
            field, f"The text has {len(value)} characters, more than {limit}.", "Shorten it."
        )
    return value


def optional_text(value: Any, field: str, *, limit: int | None = None) -> str:
    """Return a text, or "" where it is absent or null."""
    if value is None or value is MISSING:
        return ""
    return the_text(value, field, limit=limit, empty=True)


def the_list(value: Any, field: str) -> list[Any]:
    """Return a list; absent or null is empty."""
    if value is None or value is MISSING:
        return []
    if not isinstance(value, list):
        raise RowProblem(field, f"Expected a list, found {kind_of(value)}.", "Write [ … ].")
    return value


def the_object(value: Any, field: str) -> dict[str, Any]:
    """Return an object; absent or null is empty."""
    if value is None or value is MISSING:
        return {}
    if not isinstance(value, dict):
        raise RowProblem(field, f"Expected an object, found {kind_of(value)}.", "Write { … }.")
    return value


def number(value: Any, field: str, *, low: float, high: float) -> float | None:
    """Return a finite number between ``low`` and ``high``, or ``None`` where it is absent."""
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise RowProblem(field, f"Expected a number, found {kind_of(value)}.", "Write a number.")
    if not low <= value <= high:
        raise RowProblem(
            field, f"{value} is outside {low:g} to {high:g}.", "Correct it or leave it out."
        )
    return float(value)


def whole(value: Any, field: str, *, high: int) -> int | None:
    """Return a whole number from 0 to ``high``, or ``None`` where it is absent."""
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise RowProblem(
            field, f"Expected a whole number, found {kind_of(value)}.", "Write a whole number."
        )
    if not 0 <= value <= high:
        raise RowProblem(field, f"{value} is outside 0 to {high}.", "Correct it or leave it out.")
    return value


def flag(value: Any, field: str) -> bool | None:
    """Return true or false, or ``None`` where it is absent."""
    if value is None or value is MISSING:
        return None
    if not isinstance(value, bool):
        raise RowProblem(
            field, f"Expected true or false, found {kind_of(value)}.", "Write true or false."
        )
    return value


def moment(value: Any, field: str) -> datetime | None:
    """Return a time with its zone, or ``None`` where it is absent."""
    if value is None or value is MISSING:
        return None
    try:
        found = datetime.fromisoformat(the_text(value, field))
    except ValueError as error:
        if isinstance(error, RowProblem):
            raise
        found = None
    if found is None or found.tzinfo is None:
        raise RowProblem(
            field, f"{value!r} is no time with a zone.", "Write it like 2026-01-31T12:00:00+00:00."
        )
    return found


def permutation(value: Any, field: str, size: int) -> tuple[int, ...] | None:
    """Return an order of ``size`` responses, or ``None`` where it is absent."""
    if value is None or value is MISSING:
        return None
    order = the_list(value, field)
    if any(isinstance(item, bool) or not isinstance(item, int) for item in order) or sorted(
        order
    ) != list(range(size)):
        raise RowProblem(
            field, f"{order} does not name each of the {size} responses once.",
            f"List the numbers 0 to {size - 1} in the order shown.",
        )  # fmt: skip
    return tuple(order)


def refuse_unknown(value: dict[str, Any], known: Container[str], at: str, remedy: str) -> None:
    """Refuse fields that the format does not know."""
    for name in value:
        if name not in known:
            raise RowProblem(f"{at}{name}", f"Unknown field {name!r}.", remedy)


def kind_of(value: Any) -> str:
    """Name a JSON value's type for a person."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")
