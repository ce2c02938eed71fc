"""Conflicts between people: when a comparison goes to a reviewer."""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from django.db import IntegrityError, transaction
from django.utils.translation import ngettext

from annotate.models import Assignment, Comparison, Preference, QualityPolicy, Review

CONFLICT = re.compile(r"(?P<people>\d+) people, verdicts up to (?P<gap>\S+) steps apart")


def review_open_if_conflict(*, comparison_id: int, policy: QualityPolicy | None) -> Review | None:
    """Ask for a reviewer when two people are ``review_gap`` steps apart or more."""
    if policy is None or policy.review_gap is None:
        return None
    votes = human_votes(comparison_id=comparison_id)
    gap = widest_gap(votes)
    if gap < policy.review_gap:
        return None
    if Comparison.objects.filter(pk=comparison_id, is_gold=True).exists():
        return None
    if Review.objects.filter(comparison_id=comparison_id).exists():
        return None
    reason = f"{len(votes)} people, verdicts up to {gap:g} steps apart"
    try:
        with transaction.atomic():
            return Review.objects.create(comparison_id=comparison_id, reason=reason)
    except IntegrityError:
        # Another label on the same comparison opened it at this moment.
        return None


def conflict_in_words(review: Review) -> str:
    """Why a comparison needs a reviewer; rows are kept in English, whoever's label opened them."""
    found = CONFLICT.fullmatch(review.reason)
    if found is None:
        return review.reason
    told = ngettext(
        "%(people)s people, verdicts up to %(gap)s step apart",
        "%(people)s people, verdicts up to %(gap)s steps apart",
        2 if found["gap"] != "1" else 1,
    )
    return told % found.groupdict()


def human_votes(*, comparison_id: int) -> list[Preference]:
    """The standing verdicts of people on a comparison, oldest first, without repeats."""
    votes = Preference.objects.current().human().filter(comparison_id=comparison_id, replicate=0)
    ordinary = votes.filter(is_override=False).exclude(
        assignment__kind__in=(Assignment.Kind.GOLD, Assignment.Kind.QUALIFICATION)
    )
    return list(ordinary.select_related("annotator", "protocol").order_by("pk"))


def widest_gap(votes: Sequence[Preference]) -> float:
    """The most steps between two verdicts given under the same protocol version.

    Steps are those of the strength scale; for rankings, by how many ranks two verdicts move the
    same response. Verdicts without a ranking stand apart from nobody.
    """
    by_protocol: defaultdict[int, list[Preference]] = defaultdict(list)
    for vote in votes:
        if vote.ranking is not None:
            by_protocol[vote.protocol_id].append(vote)
    gaps = (_gap(a, b) for group in by_protocol.values() for a, b in combinations(group, 2))
    return max(gaps, default=0.0)


def _gap(first: Preference, second: Preference) -> float:
    if first.strength is not None and second.strength is not None:
        return abs(first.strength - second.strength)
    ranks = zip(first.ranking or [], second.ranking or [], strict=True)
    return float(max(abs(a - b) for a, b in ranks))
