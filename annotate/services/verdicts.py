"""A verdict as it was given: checked against its protocol and turned into canonical order."""

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext, gettext_lazy, ngettext

from annotate.errors import ApplicationError
from annotate.models import Preference, Protocol
from annotate.selectors.protocols import (
    OVERALL_KEY,
    rated_aspects,
    reasons_by_aspect,
    strength_aspects,
)

Verdict = Preference.Verdict
UNDIRECTED = (Verdict.BOTH_BAD, Verdict.CANNOT_JUDGE)
MAX_SPANS = 200
# One sentence per field: the parts of a sentence put together do not inflect.
UNKNOWN = {
    "aspects": gettext_lazy("Unknown aspect %(key)r; this protocol has %(known)s."),
    "ratings": gettext_lazy("Unknown rating %(key)r; this protocol has %(known)s."),
    "reasons": gettext_lazy("Unknown aspect with reasons %(key)r; this protocol has %(known)s."),
    "spans": gettext_lazy("Unknown category of highlights %(key)r; this protocol has %(known)s."),
}


@dataclass(frozen=True)
class VerdictInput:
    """A verdict as the annotator gave it, in the order in which the responses were shown.

    ``strength`` and the strengths in ``aspects`` are negative when the left response is better.
    ``ranking`` has one rank per shown response, 0 best; pairwise verdicts leave it out.
    ``ratings`` has, per rated aspect, one rating per shown response, 1 worst. ``spans`` are
    ``{"response", "start", "end", "category"}``: the shown place of the response, and offsets into
    its raw text in Unicode code points, the end excluded. ``reasons`` lists what was ticked per
    aspect.
    """

    verdict: str
    strength: int = 0
    ranking: tuple[int, ...] | None = None
    aspects: dict[str, Any] = field(default_factory=dict)
    ratings: dict[str, list[int]] = field(default_factory=dict)
    spans: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    rationale: str = ""
    active_ms: int | None = None


@dataclass(frozen=True)
class ShownResponses:
    """What was on the screen: the canonical place and the raw text of each response, in order."""

    order: list[int]
    texts: list[str]

    def __len__(self) -> int:
        return len(self.order)


def canonical_values(
    given: VerdictInput, protocol: Protocol, shown: ShownResponses
) -> dict[str, Any]:
    """Check a verdict and return the fields of its row, in canonical order.

    Raises
    ------
    ApplicationError
        If the verdict does not fit the protocol; the message names the field.
    """
    check_verdict(given, protocol, shown)
    values: dict[str, Any] = {
        "verdict": given.verdict,
        "aspects": given.aspects,
        "ratings": {key: _canonical(row, shown) for key, row in given.ratings.items()},
        "spans": _canonical_spans(given, shown),
        "reasons": {key: ticked for key, ticked in given.reasons.items() if ticked},
        "rationale": given.rationale,
    }
    if given.verdict in UNDIRECTED:
        return values
    values["ranking"] = _canonical(_ranking(given, protocol, shown), shown)
    if protocol.kind == Protocol.Kind.PAIRWISE:
        sign = 1 if shown.order[0] == 0 else -1
        values["strength"] = sign * given.strength
        values["aspects"] = {key: sign * value for key, value in given.aspects.items()}
    return values


def _canonical(per_place: list[int], shown: ShownResponses) -> list[int]:
    canonical = [0] * len(shown)
    for place, response in enumerate(shown.order):
        canonical[response] = per_place[place]
    return canonical


def _canonical_spans(given: VerdictInput, shown: ShownResponses) -> list[dict[str, Any]]:
    spans = [{**span, "response": shown.order[span["response"]]} for span in given.spans]
    return sorted(spans, key=lambda span: (span["response"], span["start"], span["end"]))


def _ranking(given: VerdictInput, protocol: Protocol, shown: ShownResponses) -> list[int]:
    if protocol.kind == Protocol.Kind.PAIRWISE:
        ranking = _pairwise_ranking(given, n_responses=len(shown))
    elif protocol.kind == Protocol.Kind.RATING:
        overall = given.ratings[OVERALL_KEY]
        levels = sorted(set(overall), reverse=True)
        ranking = [levels.index(rating) for rating in overall]
    else:
        ranking = list(given.ranking or ())
    _check_ranking(ranking, given.verdict, protocol, n_responses=len(shown))
    return ranking


def _pairwise_ranking(given: VerdictInput, *, n_responses: int) -> list[int]:
    if n_responses != 2:
        raise ApplicationError(
            gettext("A comparison of more than two responses needs a ranking."), field="ranking"
        )
    by_strength = {-1: [0, 1], 0: [0, 0], 1: [1, 0]}
    ranking = by_strength[(given.strength > 0) - (given.strength < 0)]
    if given.ranking is not None and list(given.ranking) != ranking:
        raise ApplicationError(
            gettext(
                "The ranking %(ranking)s contradicts the strength %(strength)s; pairwise verdicts "
                "leave the ranking out."
            )
            % {"ranking": list(given.ranking), "strength": given.strength},
            field="ranking",
        )
    return ranking


def _check_ranking(
    ranking: list[int], verdict: str, protocol: Protocol, *, n_responses: int
) -> None:
    if len(ranking) != n_responses or not all(0 <= rank < n_responses for rank in ranking):
        raise ApplicationError(
            gettext(
                "The ranking %(ranking)s needs one rank from 0 to %(last)s for each of the "
                "%(n_responses)s responses."
            )
            % {"ranking": ranking, "last": n_responses - 1, "n_responses": n_responses},
            field="ranking",
        )
    n_ranks = len(set(ranking))
    if (n_ranks == 1) != (verdict == Verdict.TIE):
        raise ApplicationError(
            gettext(
                "A ranking with all ranks equal is the verdict 'tie', "
                "and a tie has all ranks equal."
            ),
            field="ranking",
        )
    if protocol.kind == Protocol.Kind.RANKING and not protocol.allow_tie and n_ranks < n_responses:
        raise ApplicationError(
            gettext("This project allows no ties, but the ranking %(ranking)s has equal ranks.")
            % {"ranking": ranking},
            field="ranking",
        )


def check_verdict(given: VerdictInput, protocol: Protocol, shown: ShownResponses) -> None:
    """Check everything but the ranking against the protocol.

    Raises
    ------
    ApplicationError
        At the first value that does not fit; the message names the field.
    """
    _check_allowed(given, protocol)
    _check_strength(given, protocol)
    _check_aspects(given, protocol)
    _check_ratings(given, protocol, n_responses=len(shown))
    _check_reasons(given, protocol)
    _check_spans(given, protocol, shown)
    _check_rationale(given, protocol)


def _check_allowed(given: VerdictInput, protocol: Protocol) -> None:
    # Equal ratings are a tie whether or not the owner offers ties as a choice.
    may_tie = protocol.allow_tie or protocol.kind == Protocol.Kind.RATING
    allowed = {
        Verdict.RANKED: True,
        Verdict.TIE: may_tie,
        Verdict.BOTH_BAD: protocol.allow_both_bad,
        Verdict.CANNOT_JUDGE: protocol.allow_cannot_judge,
    }
    if given.verdict not in allowed:
        raise ApplicationError(
            gettext("Unknown verdict %(verdict)r; use one of %(allowed)s.")
            % {"verdict": given.verdict, "allowed": ", ".join(allowed)},
            field="verdict",
        )
    if not allowed[Verdict(given.verdict)]:
        raise ApplicationError(
            gettext("This project does not allow the verdict %(verdict)r.")
            % {"verdict": given.verdict},
            field="verdict",
        )


def _check_strength(given: VerdictInput, protocol: Protocol) -> None:
    has_strength = protocol.kind == Protocol.Kind.PAIRWISE and given.verdict == Verdict.RANKED
    if not has_strength:
        if given.strength != 0:
            raise ApplicationError(
                gettext("The verdict %(verdict)r has no strength here; send 0.")
                % {"verdict": given.verdict},
                field="strength",
            )
        return
    most = protocol.max_strength
    if given.strength == 0 or abs(given.strength) > most:
        raise ApplicationError(
            gettext(
                "Strength %(strength)s is outside the scale: a ranked verdict has a strength from "
                "%(least)s to %(most)s other than 0; for a tie use the verdict 'tie'."
            )
            % {"strength": given.strength, "least": -most, "most": most},
            field="strength",
        )


def _check_aspects(given: VerdictInput, protocol: Protocol) -> None:
    known = {aspect["key"] for aspect in strength_aspects(protocol)}
    most = protocol.max_strength
    for key, value in given.aspects.items():
        _check_known(key, known, field="aspects")
        if type(value) is not int or abs(value) > most:
            raise ApplicationError(
                gettext(
                    "Aspect %(key)r needs a whole number from %(least)s to %(most)s; got %(value)r."
                )
                % {"key": key, "least": -most, "most": most, "value": value},
                field="aspects",
            )
    missing = known - set(given.aspects)
    if given.verdict not in UNDIRECTED and missing:
        raise ApplicationError(
            gettext("Weigh aspect %(key)r too.") % {"key": sorted(missing)[0]}, field="aspects"
        )


def _check_ratings(given: VerdictInput, protocol: Protocol, *, n_responses: int) -> None:
    known = {aspect["key"] for aspect in rated_aspects(protocol)}
    most = protocol.rating_points
    for key, row in given.ratings.items():
        _check_known(key, known, field="ratings")
        if len(row) != n_responses or not all(1 <= rating <= most for rating in row):
            raise ApplicationError(
                gettext(
                    "Rating %(key)r needs one whole number from 1 to %(most)s for each of the "
                    "%(n_responses)s responses; got %(row)s."
                )
                % {"key": key, "most": most, "n_responses": n_responses, "row": row},
                field="ratings",
            )
    missing = known - set(given.ratings)
    if given.verdict not in UNDIRECTED and missing:
        raise ApplicationError(
            gettext("Rate every response on %(key)r too.") % {"key": sorted(missing)[0]},
            field="ratings",
        )


def _check_reasons(given: VerdictInput, protocol: Protocol) -> None:
    offered = reasons_by_aspect(protocol)
    for key, ticked in given.reasons.items():
        _check_known(key, set(offered), field="reasons")
        unknown = [reason for reason in ticked if reason not in offered[key]]
        if unknown or len(set(ticked)) < len(ticked):
            raise ApplicationError(
                gettext(
                    "The reasons of %(key)r are %(offered)s, each at most once; got %(ticked)s."
                )
                % {"key": key, "offered": ", ".join(offered[key]), "ticked": ticked},
                field="reasons",
            )


def _check_spans(given: VerdictInput, protocol: Protocol, shown: ShownResponses) -> None:
    if len(given.spans) > MAX_SPANS:
        raise ApplicationError(
            gettext("%(count)s highlights are too many; the most is %(most)s.")
            % {"count": len(given.spans), "most": MAX_SPANS},
            field="spans",
        )
    known = {category["key"] for category in protocol.span_categories}
    for span in given.spans:
        _check_known(span["category"], known, field="spans")
        place, start, end = span["response"], span["start"], span["end"]
        if place >= len(shown):
            raise ApplicationError(
                gettext("There is no response at place %(place)s.") % {"place": place},
                field="spans",
            )
        length = len(shown.texts[place])
        if not 0 <= start < end <= length:
            raise ApplicationError(
                gettext(
                    "A highlight from %(start)s to %(end)s does not lie in a response of "
                    "%(length)s characters."
                )
                % {"start": start, "end": end, "length": length},
                field="spans",
            )


def _check_rationale(given: VerdictInput, protocol: Protocol) -> None:
    least = max(1, protocol.rationale_min_chars)
    is_required = protocol.rationale == Protocol.Rationale.REQUIRED
    if is_required and len(given.rationale.strip()) < least:
        raise ApplicationError(
            ngettext(
                "This project asks why: write at least %(least)s character.",
                "This project asks why: write at least %(least)s characters.",
                least,
            )
            % {"least": least},
            field="rationale",
        )


def _check_known(key: str, known: set[str], *, field: str) -> None:
    if key not in known:
        names = ", ".join(sorted(known)) or gettext("none")
        raise ApplicationError(
            UNKNOWN[field] % {"key": key, "known": names},
            field=field,
        )
