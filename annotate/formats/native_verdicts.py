"""The entries of ``human`` and ``llm`` in native JSONL, read and written."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Any

from annotate.formats.base import (
    ANONYMOUS,
    MAX_ANNOTATOR_CHARS,
    VERDICTS_WITHOUT_RANKING,
    PreferenceRecord,
    RowProblem,
)
from annotate.formats.checks import (
    MISSING,
    flag,
    moment,
    number,
    optional_text,
    permutation,
    the_list,
    the_object,
    the_text,
    whole,
)

MAX_MS = 2**53
MAX_STRENGTH = 1e6
MAX_COUNT = 30_000
KNOWN_FIELDS = frozenset(
    {
        "preference", "strength", "aspects", "ratings", "reasons", "spans", "errors",
        "span_comments",
        "rationale", "confidence", "probability", "shown_order", "order_swapped", "seconds",
        "active_ms", "replicate", "revision", "simulated", "override", "created_at", "extra",
        "source", "protocol_version", "cost_usd",
    }
)  # fmt: skip
NAME_FIELD = {"human": "annotator", "judge": "judge"}
KNOWN = {kind: KNOWN_FIELDS | {name} for kind, name in NAME_FIELD.items()}


def parse_verdict(entry: dict[str, Any], at: str, kind: str, n: int) -> PreferenceRecord:
    """Turn one entry into a verdict on ``n`` responses; only what is there is looked at.

    Raises
    ------
    RowProblem
        If a field is missing, of the wrong kind or out of range.
    """
    verdict, ranking = _verdict(entry.get("preference", MISSING), f"{at}.preference", n)
    annotator = _name(entry, at, kind)
    active_ms = _active_ms(entry, at)
    if entry.keys() <= _PLAIN[kind]:
        return PreferenceRecord(annotator, kind, verdict, ranking, active_ms=active_ms)
    return PreferenceRecord(
        annotator,
        kind,
        verdict,
        ranking,
        strength=_strength(entry.get("strength"), f"{at}.strength", ranking),
        spans=_spans(entry, at, n),
        shown_order=_shown_order(entry, at, n),
        active_ms=active_ms,
        extra=_extra(entry, at, kind),
        origin=_origin(entry, at),
        **{
            field: check(entry[name], f"{at}.{name}")
            for name, (field, check) in _CHECKS.items()
            if name in entry
        },
    )


# What most entries consist of.
_PLAIN = {
    kind: frozenset({name, "preference", "seconds", "active_ms"})
    for kind, name in NAME_FIELD.items()
}


def _count(value: Any, at: str) -> int:
    return whole(value, at, high=MAX_COUNT) or 0


def _is_set(value: Any, at: str) -> bool:
    return flag(value, at) or False


# The fields that stand alone: what they become, and the check that makes it.
_CHECKS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "aspects": ("aspects", the_object),
    "ratings": ("ratings", the_object),
    "reasons": ("reasons", the_object),
    "rationale": ("rationale", optional_text),
    "confidence": ("confidence", partial(number, low=-1e9, high=1e9)),
    "probability": ("probability", partial(number, low=0, high=1)),
    "replicate": ("replicate", _count),
    "revision": ("revision", _count),
    "simulated": ("is_simulated", _is_set),
    "override": ("is_override", _is_set),
    "created_at": ("created_at", moment),
}


def _name(entry: dict[str, Any], at: str, kind: str) -> str:
    field = NAME_FIELD[kind]
    value = entry.get(field)
    if kind == "human" and value is None:
        return ANONYMOUS
    return the_text(MISSING if value is None else value, f"{at}.{field}", limit=MAX_ANNOTATOR_CHARS)


def _verdict(value: Any, at: str, n: int) -> tuple[str, tuple[int, ...] | None]:
    if value is MISSING or value is None:
        raise RowProblem(at, "The field is missing.", "Add the verdict or remove the entry.")
    if value in VERDICTS_WITHOUT_RANKING:
        return str(value), None
    if value == "tie":
        return "tie", (0,) * n
    if isinstance(value, list):
        ranking = _ranking(value, at, n)
        return ("tie" if len(set(ranking)) == 1 else "ranked"), ranking
    if isinstance(value, bool) or not isinstance(value, int):
        raise RowProblem(
            at, f"{value!r} is no verdict.",
            'Write an index into responses, "tie", "both_bad", "cannot_judge" or a ranking.',
        )  # fmt: skip
    if not 0 <= value < n:
        raise RowProblem(
            at, f"There is no response number {value}.", f"Use a number from 0 to {n - 1}."
        )
    if n > 2:
        raise RowProblem(
            at, f"One number says nothing about the other {n - 1} responses.",
            "Write a ranking, best first, such as [2, [0, 1]].",
        )  # fmt: skip
    return "ranked", (value, 1 - value)


def _ranking(groups: list[Any], at: str, n: int) -> tuple[int, ...]:
    ranks: dict[int, int] = {}
    for rank, group in enumerate(groups):
        for index in group if isinstance(group, list) else [group]:
            if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < n:
                raise RowProblem(
                    at, f"There is no response number {index!r}.", f"Use 0 to {n - 1}."
                )
            if index in ranks:
                raise RowProblem(at, f"Response {index} is ranked twice.", "Name each once.")
            ranks[index] = rank
    missing = sorted(set(range(n)) - set(ranks))
    if missing:
        raise RowProblem(at, f"Response {missing[0]} has no rank.", "Rank every response.")
    # An empty group in between would leave a gap.
    dense = {rank: place for place, rank in enumerate(sorted(set(ranks.values())))}
    return tuple(dense[ranks[index]] for index in range(n))


def _strength(value: Any, at: str, ranking: tuple[int, ...] | None) -> float | None:
    """Sign a strength by its verdict: sources give it with or without a sign."""
    strength = number(value, at, low=-MAX_STRENGTH, high=MAX_STRENGTH)
    if strength is None or strength == 0:
        return strength
    if ranking is None or len(ranking) != 2:
        raise RowProblem(
            at, "Only a preference between two responses has a strength.", "Leave it out."
        )
    if ranking[0] == ranking[1]:
        raise RowProblem(at, "A tie has no strength.", "Write 0 or leave it out.")
    return -abs(strength) if ranking[0] < ranking[1] else abs(strength)


def _spans(entry: dict[str, Any], at: str, n: int) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = []
    for field, kind in (("spans", None), ("errors", "error"), ("span_comments", "comment")):
        if field not in entry:
            continue
        for index, value in enumerate(the_list(entry[field], f"{at}.{field}")):
            place = f"{at}.{field}[{index}]"
            if not isinstance(value, dict):
                raise RowProblem(place, "A span must be an object.", "Write { … }.")
            whole(value.get("response"), f"{place}.response", high=n - 1)
            spans.append(value if kind is None else {"kind": kind, **value})
    return spans


def _shown_order(entry: dict[str, Any], at: str, n: int) -> tuple[int, ...] | None:
    order = permutation(entry.get("shown_order"), f"{at}.shown_order", n)
    swapped = flag(entry.get("order_swapped"), f"{at}.order_swapped")
    if swapped is None:
        return order
    if n != 2:
        raise RowProblem(
            f"{at}.order_swapped", "Only two responses can be swapped.", "Write shown_order."
        )
    told = (1, 0) if swapped else (0, 1)
    if order is not None and order != told:
        raise RowProblem(
            f"{at}.order_swapped", "It contradicts shown_order.", "Keep the one that is right."
        )
    return told


def _active_ms(entry: dict[str, Any], at: str) -> int | None:
    given, seconds = entry.get("active_ms"), entry.get("seconds")
    if given is not None:
        given = whole(given, f"{at}.active_ms", high=MAX_MS)
    if seconds is not None:
        seconds = number(seconds, f"{at}.seconds", low=0, high=MAX_MS / 1000)
    if given is not None or seconds is None:
        return given
    return round(seconds * 1000)


def _extra(entry: dict[str, Any], at: str, kind: str) -> dict[str, Any]:
    known = KNOWN[kind]
    unknown = {key: entry[key] for key in entry if key not in known}
    if kind == "judge" and entry.get("order_swapped") is not None:
        unknown["order_swapped"] = entry["order_swapped"]
    return {**unknown, **the_object(entry.get("extra"), f"{at}.extra")}


def _origin(entry: dict[str, Any], at: str) -> dict[str, Any]:
    found = {
        name: check(entry[name], f"{at}.{name}")
        for name, check in _ORIGIN_CHECKS.items()
        if name in entry
    }
    return {key: value for key, value in found.items() if value}


_ORIGIN_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "source": partial(optional_text, limit=40),
    "protocol_version": partial(whole, high=MAX_COUNT),
    "cost_usd": partial(number, low=0, high=1e6),
}


def numbered(verdicts: Iterable[PreferenceRecord]) -> tuple[PreferenceRecord, ...]:
    """Tell repeated verdicts of one row apart.

    Two nameless humans are two people; a named annotator's further verdicts are replicates.
    """
    given = tuple(verdicts)
    if len(given) < 2:
        return given
    seen: Counter[tuple[str, str, int, int]] = Counter()
    result = []
    for verdict in given:
        times = seen[verdict.key]
        seen[verdict.key] += 1
        if times and verdict.annotator == ANONYMOUS and verdict.kind == "human":
            verdict = verdict._replace(annotator=f"{ANONYMOUS}-{times + 1}")
        elif times:
            verdict = verdict._replace(replicate=verdict.replicate + times)
        result.append(verdict)
    return tuple(result)


def verdict_entry(verdict: PreferenceRecord, *, provenance: bool) -> dict[str, Any]:
    """Write a verdict as an entry; what is empty stays out."""
    entry: dict[str, Any] = {
        NAME_FIELD[verdict.kind]: verdict.annotator,
        "preference": _preference_value(verdict),
    }
    values = _if_set(verdict)
    if any(values):
        entry.update(pair for pair in zip(_WRITTEN_IF_SET, values, strict=True) if pair[1])
    for name, measured in zip(_WRITTEN_IF_KNOWN, _if_known(verdict), strict=True):
        if measured is not None:
            entry[name] = measured
    if provenance:
        entry.update(verdict.origin)
        if verdict.created_at is not None:
            entry["created_at"] = verdict.created_at.isoformat()
    return entry


_WRITTEN_IF_SET = (
    "replicate", "revision", "aspects", "ratings", "reasons", "spans", "rationale", "simulated",
    "override", "extra",
)  # fmt: skip
_WRITTEN_IF_KNOWN = ("strength", "confidence", "probability", "shown_order", "active_ms")


def _fields(*names: str) -> "itemgetter[tuple[Any, ...]]":
    # By place, which is twice as fast as by name.
    return itemgetter(*(PreferenceRecord._fields.index(name) for name in names))


_if_set = _fields(
    "replicate", "revision", "aspects", "ratings", "reasons", "spans", "rationale", "is_simulated",
    "is_override", "extra",
)  # fmt: skip
_if_known = _fields(*_WRITTEN_IF_KNOWN)


def _preference_value(verdict: PreferenceRecord) -> int | str | list[Any]:
    ranking = verdict.ranking
    if ranking is None:
        return verdict.verdict
    if len(ranking) == 2 and ranking[0] != ranking[1]:
        return 0 if ranking[0] < ranking[1] else 1
    if len(set(ranking)) == 1:
        return "tie"
    groups = [[i for i, r in enumerate(ranking) if r == rank] for rank in sorted(set(ranking))]
    return [group[0] if len(group) == 1 else group for group in groups]
