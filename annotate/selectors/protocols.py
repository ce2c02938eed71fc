"""What a protocol version asks, in the form that the workspace and the checks both read."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from annotate.models import Protocol

Names = Mapping[str, str | Promise]
OVERALL_KEY = "overall"
OVERALL: dict[str, str | Promise] = {"key": OVERALL_KEY, "name": _("Overall")}
FLAG_NAMES: Names = {
    "unsafe": _("Unsafe"),
    "pii": _("Personal data"),
    "broken": _("Broken or empty"),
    "off_topic": _("Off topic"),
    "other": _("Other"),
}
SKIP_NAMES: Names = {
    "too_hard": _("I cannot tell"),
    "not_my_field": _("Not my subject"),
    "broken": _("Broken or empty"),
    "other": _("Other"),
}


def flag_title(reason: str) -> str:
    """A reason for a flag as owners read it; their pages are English."""
    with override("en"):
        return str(FLAG_NAMES.get(reason, reason))


def skip_title(reason: str) -> str:
    """A reason for skipping as owners read it; their pages are English."""
    with override("en"):
        return str(SKIP_NAMES.get(reason, reason))


def asks(aspect: dict[str, Any]) -> str:
    """What is asked about an aspect; protocols from before ratings ask for its strength."""
    return str(aspect.get("ask", "strength"))


def strength_aspects(protocol: Protocol) -> list[dict[str, Any]]:
    """The aspects on which the two responses are weighed against each other."""
    if protocol.kind != Protocol.Kind.PAIRWISE:
        return []
    return [aspect for aspect in protocol.aspects if asks(aspect) in ("strength", "both")]


def rated_aspects(protocol: Protocol) -> list[dict[str, Any]]:
    """The aspects on which each response is rated by itself.

    A rating protocol always asks for an overall rating, because the ranking follows from it; the
    other kinds ask for it when they have ratings and no aspect is rated.
    """
    if not protocol.rating_points:
        return []
    rated = [
        {"key": aspect["key"], "name": aspect["name"]}
        for aspect in protocol.aspects
        if asks(aspect) in ("rating", "both")
    ]
    is_rating = protocol.kind == Protocol.Kind.RATING
    return [*rated, OVERALL] if is_rating or not rated else rated


def reasons_by_aspect(protocol: Protocol) -> dict[str, list[str]]:
    """The reasons that can be ticked, per aspect that offers any."""
    return {
        aspect["key"]: list(aspect["reasons"])
        for aspect in protocol.aspects
        if aspect.get("reasons")
    }


def protocol_shape(protocol: Protocol) -> dict[str, Any]:
    """What the workspace has to show for this protocol."""
    reasons = reasons_by_aspect(protocol)
    return {
        "version": protocol.version,
        "kind": protocol.kind,
        "scale_points": protocol.scale_points,
        "allow_tie": protocol.allow_tie,
        "allow_both_bad": protocol.allow_both_bad,
        "allow_cannot_judge": protocol.allow_cannot_judge,
        "strengths": [
            {"key": aspect["key"], "name": aspect["name"]} for aspect in strength_aspects(protocol)
        ],
        "ratings": rated_aspects(protocol),
        "rating_points": protocol.rating_points,
        "reasons": [
            {"key": aspect["key"], "name": aspect["name"], "reasons": reasons[aspect["key"]]}
            for aspect in protocol.aspects
            if aspect["key"] in reasons
        ],
        "span_categories": protocol.span_categories,
        "flags": _named(protocol.flags, FLAG_NAMES),
        "skip_reasons": _named(protocol.skip_reasons, SKIP_NAMES),
        "rationale": protocol.rationale,
        "rationale_when": protocol.rationale_when,
        "rationale_min_chars": protocol.rationale_min_chars,
        "lease_seconds": protocol.lease_seconds,
    }


def _named(keys: list[str], names: Names) -> list[dict[str, str | Promise]]:
    return [{"key": key, "name": names.get(key, key)} for key in keys]
