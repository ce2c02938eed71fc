"""How a judge's reply is read, and how the replies to both orders combine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Literal

Verdict = Literal["first", "second", "tie"]

MAX_STRENGTH = 3

STRENGTH_PROBABILITY = {1: 0.65, 2: 0.80, 3: 0.92}
"""P(the preferred response is better) by stated strength, until human labels calibrate a judge."""


class UnparsableReply(ValueError):
    """A reply that does not follow the format; it is never taken for a tie."""


@dataclass(frozen=True)
class JudgeAnswer:
    """One parsed reply in canonical order.

    Attributes
    ----------
    verdict : {"first", "second", "tie"}
        Which response is better.
    strength : int
        1 slightly, 2 clearly, 3 much; 0 for a tie.
    reason : str, default ""
        The judge's own words.
    ratings : tuple of float, optional
        Rating of the first and the second response, where the prompt asks for ratings.
    """

    verdict: Verdict
    strength: int
    reason: str = ""
    ratings: tuple[float, float] | None = None


@dataclass(frozen=True)
class CombinedVerdict:
    """What the replies to both orders amount to.

    Attributes
    ----------
    verdict : {"first", "second", "tie"}
        The shared verdict; a tie where the orders disagree.
    strength : float
        Mean strength of the two replies, signed: negative favours the first; 0 for a tie.
    probability : float
        P(first preferred), 0.5 for a tie or a conflict.
    is_conflict : bool
        Whether the two orders gave different verdicts.
    """

    verdict: Verdict
    strength: float
    probability: float
    is_conflict: bool


def parse_reply(text: str, *, swapped: bool, allow_tie: bool = True) -> JudgeAnswer:
    """Read a reply strictly: one JSON object, bare or in one code fence, and nothing around it.

    Parameters
    ----------
    text : str
        Raw reply.
    swapped : bool
        Whether the second response was shown as A.
    allow_tie : bool, default True
        Whether a tie is an answer.

    Returns
    -------
    JudgeAnswer
        In canonical order.

    Raises
    ------
    UnparsableReply
        If the reply is anything else; the message says what is wrong.
    """
    fields = reply_fields(text, ("verdict", "strength", "reason"))
    shown, strength = fields.get("verdict"), fields.get("strength")
    allowed = ("A", "B", "tie") if allow_tie else ("A", "B")
    if shown not in allowed:
        raise UnparsableReply(f"verdict must be one of {', '.join(allowed)}; got {shown!r}.")
    lowest, highest = (0, 0) if shown == "tie" else (1, MAX_STRENGTH)
    # bool is an int to Python, and not a strength.
    if type(strength) is not int or not lowest <= strength <= highest:
        raise UnparsableReply(
            f"strength of the verdict {shown} must be {lowest} to {highest}; got {strength!r}."
        )
    reason = fields.get("reason", "")
    if not isinstance(reason, str):
        raise UnparsableReply(f"reason must be text; got {reason!r}.")
    return JudgeAnswer(canonical_verdict(str(shown), swapped=swapped), strength, reason)


def combine(original: JudgeAnswer, swapped: JudgeAnswer) -> CombinedVerdict:
    """Join the replies to both orders, both given in canonical order.

    Parameters
    ----------
    original, swapped : JudgeAnswer
        Reply with the first response shown as A, and as B.

    Returns
    -------
    CombinedVerdict
        A tie with a flag where they differ; the owner's policy decides what becomes of it.
    """
    if original.verdict != swapped.verdict:
        return CombinedVerdict("tie", 0.0, 0.5, is_conflict=True)
    if original.verdict == "tie":
        return CombinedVerdict("tie", 0.0, 0.5, is_conflict=False)
    strength = (original.strength + swapped.strength) / 2.0
    confident = [STRENGTH_PROBABILITY[answer.strength] for answer in (original, swapped)]
    probability = sum(confident) / 2.0
    if original.verdict == "first":
        return CombinedVerdict("first", -strength, probability, is_conflict=False)
    return CombinedVerdict("second", strength, 1.0 - probability, is_conflict=False)


def combine_samples(
    original: Sequence[JudgeAnswer], swapped: Sequence[JudgeAnswer]
) -> CombinedVerdict:
    """Join several replies to each order, all given in canonical order.

    Parameters
    ----------
    original, swapped : sequence of JudgeAnswer
        At least one reply with the first response shown as A, and as B.

    Returns
    -------
    CombinedVerdict
        Each order speaks with the verdict most of its replies gave; where it has none, or the
        orders differ, it is a tie with a flag.
    """
    spoken = [_most_common(answers) for answers in (original, swapped)]
    if spoken[0] is None or spoken[1] is None:
        return CombinedVerdict("tie", 0.0, 0.5, is_conflict=True)
    return combine(spoken[0], spoken[1])


def _most_common(answers: Sequence[JudgeAnswer]) -> JudgeAnswer | None:
    counts = Counter(answer.verdict for answer in answers).most_common(2)
    if len(counts) == 2 and counts[0][1] == counts[1][1]:
        return None
    agreeing = [answer for answer in answers if answer.verdict == counts[0][0]]
    return JudgeAnswer(counts[0][0], median_low(answer.strength for answer in agreeing))


def reply_fields(text: str, allowed: Sequence[str]) -> dict[str, Any]:
    """Read one JSON object, bare or in one code fence, with known fields only.

    Parameters
    ----------
    text : str
        Raw reply.
    allowed : sequence of str
        Names of the fields it may have.

    Returns
    -------
    dict
        The fields.

    Raises
    ------
    UnparsableReply
        If it is anything else; the message says what is wrong.
    """
    body = text.strip()
    if body.startswith("```") and body.endswith("```"):
        body = body.removeprefix("```").removesuffix("```").removeprefix("json").strip()
    try:
        fields = json.loads(body)
    except (json.JSONDecodeError, RecursionError):
        raise UnparsableReply(f"the reply is not one JSON object: {text[:80]!r}.") from None
    if not isinstance(fields, dict):
        raise UnparsableReply(f"the reply is not a JSON object: {text[:80]!r}.")
    unknown = sorted(set(fields) - set(allowed))
    if unknown:
        raise UnparsableReply(f"the reply has unknown fields {', '.join(unknown)}.")
    return fields


def canonical_verdict(shown: str, *, swapped: bool) -> Verdict:
    """Turn a verdict on what was shown into one on the canonical order.

    Parameters
    ----------
    shown : {"A", "B", "tie"}
        Verdict on the shown responses.
    swapped : bool
        Whether the second response was shown as A.

    Returns
    -------
    {"first", "second", "tie"}
        Verdict in canonical order.
    """
    if shown == "tie":
        return "tie"
    return "first" if (shown == "A") != swapped else "second"
