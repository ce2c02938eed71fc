"""Personal data in what leaves the house, found on this machine.

Patterns come from datafog; names and other terms come from the owner's list. Names that nobody
listed are not found: who must not send those uses a local model (docs/asking-judges.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

KINDS = ("EMAIL", "PHONE", "CREDIT_CARD", "SSN", "IP_ADDRESS", "DE_IBAN")
LOCALES = ("de",)
PLAIN_NUMBER = r"^\d{1,11}$"
"""A bare run of digits is more often a quantity or a time than somebody's number."""


TERM = "TERM"
MAX_TERMS = 500
MAX_TERM_CHARACTERS = 80

Found = tuple[int, int, str, str]
"""Start, end, kind, and the value that decides which placeholder stands for it."""


def redacted(texts: Sequence[str], terms: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Replace personal data by numbered placeholders; the same value gets the same one throughout.

    ``terms`` are found as whole words, whatever their case. Returns the texts and the kinds that
    were found, each once and sorted.
    """
    names: dict[tuple[str, str], str] = {}
    pattern = _pattern(terms)
    clean = [_redacted(text, pattern, names) for text in texts]
    return clean, sorted({kind for kind, _ in names})


def terms_read(text: str) -> list[str]:
    """Read a list of terms, one a line, each once, as it was written."""
    found = {
        " ".join(line.split()).casefold(): " ".join(line.split()) for line in text.splitlines()
    }
    return [term for key, term in found.items() if key]


def _pattern(terms: Sequence[str]) -> re.Pattern[str] | None:
    if not terms:
        return None
    # Longer terms first, so that a full name goes before the first name in it.
    longest = sorted(terms, key=len, reverse=True)
    words = (r"\s+".join(map(re.escape, term.split())) for term in longest)
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def _redacted(text: str, pattern: re.Pattern[str] | None, names: dict[tuple[str, str], str]) -> str:
    found = _by_pattern(text)
    if pattern is not None:
        # Any spelling of a term is the same term.
        found += [
            (match.start(), match.end(), TERM, " ".join(match.group().casefold().split()))
            for match in pattern.finditer(text)
        ]
    parts, end = [], 0
    for start, stop, kind, value in sorted(found, key=lambda one: (one[0], -one[1])):
        # A longer match may hold a shorter one, such as card digits inside an account number.
        if start >= end:
            parts += [text[end:start], _name(kind, value, names)]
            end = stop
    return "".join([*parts, text[end:]])


def _by_pattern(text: str) -> list[Found]:
    # Loaded where it is needed: most judges send nothing through it.
    from datafog import scan

    found = scan(
        text,
        engine="regex",
        entity_types=list(KINDS),
        locales=list(LOCALES),
        allowlist_patterns=[PLAIN_NUMBER],
    )
    return [(one.start, one.end, one.type, one.text) for one in found.entities]


def _name(kind: str, value: str, names: dict[tuple[str, str], str]) -> str:
    key = (kind, value)
    if key not in names:
        number = 1 + sum(known == kind for known, _ in names)
        names[key] = f"[{kind.removeprefix('DE_')}_{number}]"
    return names[key]
