"""Comparisons and their labels as the owner browses them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import Exists, OuterRef, QuerySet

from annotate.models import Annotator, Assignment, Comparison, Preference, Project

STATES = (
    ("", "All"),
    ("open", "Waiting for people"),
    ("labelled", "With a human label"),
    ("judged", "With a judge label only"),
    ("unlabelled", "Without any label"),
)


@dataclass(frozen=True)
class VoteSummary:
    """One row of the list: a comparison and how its votes stand, per kind of annotator."""

    comparison: Comparison
    human: str
    judge: str


def comparisons_found(*, project: Project, state: str = "", text: str = "") -> QuerySet[Comparison]:
    """Comparisons of a project by state and words of the prompt, in queue order."""
    found = Comparison.objects.filter(project=project).select_related("prompt").in_queue_order()
    # First verdicts stand for their corrections here: the anti-join that `current` needs would
    # run once a row.
    votes = Preference.objects.filter(comparison=OuterRef("pk"), supersedes__isnull=True)
    has_human = Exists(votes.filter(annotator__kind=Annotator.Kind.HUMAN))
    has_judge = Exists(votes.filter(annotator__kind=Annotator.Kind.JUDGE))
    if state == "open":
        found = found.open()
    elif state == "labelled":
        found = found.filter(has_human)
    elif state == "judged":
        found = found.filter(has_judge).exclude(has_human)
    elif state == "unlabelled":
        found = found.exclude(has_human).exclude(has_judge)
    if text:
        words = SearchQuery(text, search_type="websearch", config="simple")
        found = found.annotate(
            words=SearchVector("prompt__turns", "external_id", config="simple")
        ).filter(words=words)
    return found


def verdict_name(preference: Preference) -> str:
    """A verdict in one word, in canonical order: A, B, tie, both bad …; rankings as A>B=C."""
    if preference.verdict != Preference.Verdict.RANKED or preference.ranking is None:
        return str(Preference.Verdict(preference.verdict).label).lower()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if len(preference.ranking) == 2:
        return letters[preference.ranking.index(min(preference.ranking))]
    ranks = sorted(set(preference.ranking))
    groups = [
        "=".join(letters[i] for i, r in enumerate(preference.ranking) if r == rank)
        for rank in ranks
    ]
    return ">".join(groups)


def vote_summaries(comparisons: Sequence[Comparison]) -> list[VoteSummary]:
    """Count the standing votes of each comparison in one query."""
    votes = (
        Preference.objects.current()
        .filter(comparison__in=comparisons)
        .select_related("annotator")
        .only("comparison_id", "verdict", "ranking", "annotator__kind")
    )
    counts: dict[tuple[int, str], Counter[str]] = {}
    for vote in votes:
        key = (vote.comparison_id, vote.annotator.kind)
        counts.setdefault(key, Counter())[verdict_name(vote)] += 1

    def told(comparison: Comparison, kind: str) -> str:
        found = counts.get((comparison.pk, kind), Counter())
        return ", ".join(f"{name} {n}" for name, n in found.most_common())

    return [
        VoteSummary(c, told(c, Annotator.Kind.HUMAN), told(c, Annotator.Kind.JUDGE))
        for c in comparisons
    ]


def comparison_preferences(*, comparison: Comparison) -> list[dict[str, object]]:
    """Every label ever given to a comparison, oldest first, with what it replaced."""
    rows = (
        Preference.objects.filter(comparison=comparison)
        .select_related("annotator", "annotator__user", "protocol", "superseded_by")
        .order_by("created_at", "pk")
    )
    return [
        {
            "row": row,
            "name": verdict_name(row),
            "is_replaced": hasattr(row, "superseded_by"),
            "shown": "".join("AB"[i] if i < 2 else str(i) for i in row.shown_order or []),
        }
        for row in rows
    ]


def comparison_events(*, comparison: Comparison) -> QuerySet[Assignment]:
    """Every lease on a comparison, newest first."""
    return (
        Assignment.objects.filter(comparison=comparison)
        .select_related("annotator", "annotator__user")
        .order_by("-leased_at")
    )
