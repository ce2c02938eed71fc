"""Labels as the quality statistics read them, and what the quality pages list."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from django.db import connection
from django.db.models import Count, Q, QuerySet

from annotate.models import (
    Annotator,
    Assignment,
    Flag,
    Gold,
    GoldResult,
    Preference,
    Project,
    QualificationAttempt,
    QualityAlarm,
    QualityPolicy,
    Review,
)
from annotate.quality_signals import UNDECIDED, Answer

# The statistics look at the latest labels of each annotator: what matters is how they work now, and
# the page costs the same in a large project.
LATEST = 300
CHARACTERS_PER_TOKEN = 4

_ANSWERS_SQL = """
SELECT p.annotator_id, p.comparison_id, p.verdict, p.ranking, p.shown_order, p.active_ms,
       p.created_at, c.n_responses, length(q.turns::text) + shown.n_characters
FROM annotate_annotator a
CROSS JOIN LATERAL (
    SELECT p.* FROM annotate_preference p
    WHERE p.annotator_id = a.id AND p.replicate = 0 AND NOT p.is_override
      AND NOT EXISTS (SELECT 1 FROM annotate_preference s WHERE s.supersedes_id = p.id)
    ORDER BY p.created_at DESC, p.id DESC LIMIT %(latest)s
) p
JOIN annotate_comparison c ON c.id = p.comparison_id
JOIN annotate_prompt q ON q.id = c.prompt_id
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(length(r.text)), 0) AS n_characters
    FROM annotate_comparisonresponse s JOIN annotate_response r ON r.id = s.response_id
    WHERE s.comparison_id = c.id
) shown
WHERE a.project_id = %(project)s AND a.kind = %(kind)s
ORDER BY p.created_at, p.id
"""


@dataclass(frozen=True, slots=True)
class DatedAnswer:
    """An answer and when it was given."""

    answer: Answer
    created_at: datetime


def dated_answers(*, project: Project, kind: str = Annotator.Kind.HUMAN) -> list[DatedAnswer]:
    """The latest standing answers of every annotator of a kind, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS_SQL, {"project": project.pk, "kind": str(kind), "latest": LATEST})
        return [DatedAnswer(_answer(row), row[6]) for row in cursor.fetchall()]


def _answer(row: tuple[Any, ...]) -> Answer:
    annotator, comparison, verdict, ranking, shown, active_ms, _, n_responses, n_characters = row
    seconds = None
    if active_ms is not None and n_characters:
        seconds = active_ms / 1000 * CHARACTERS_PER_TOKEN / n_characters
    return Answer(
        annotator=annotator,
        comparison=comparison,
        outcomes=outcomes_of(verdict, ranking, n_responses),
        shown_first=_shown_first(ranking, shown),
        shown_answer=_shown_answer(verdict, ranking, shown),
        seconds_per_token=seconds,
    )


def outcomes_of(verdict: str, ranking: list[int] | None, n_responses: int) -> tuple[str, ...]:
    """What a verdict says about every pair of responses in canonical order."""
    pairs = list(combinations(range(n_responses), 2))
    if ranking is None:
        said = verdict if verdict == Preference.Verdict.BOTH_BAD else UNDECIDED
        return (said,) * len(pairs)
    return tuple(_outcome(ranking[first], ranking[second]) for first, second in pairs)


def _outcome(first: int, second: int) -> str:
    if first == second:
        return "tie"
    return "first" if first < second else "second"


def _shown_first(ranking: list[int] | None, shown: list[int] | None) -> float | None:
    if ranking is None or shown is None:
        return None
    ranks = [ranking[index] for index in shown]
    directed = [a < b for a, b in combinations(ranks, 2) if a != b]
    return sum(directed) / len(directed) if directed else None


def _shown_answer(verdict: str, ranking: list[int] | None, shown: list[int] | None) -> str:
    if ranking is None:
        return verdict
    return ",".join(str(ranking[index]) for index in shown or range(len(ranking)))


def repeat_agreements(*, project: Project) -> dict[int, list[float]]:
    """Per annotator, how far each repeated comparison got the same answer as the first time.

    What counts is what stood before the comparison was asked again, and the first answer then:
    whoever changes one of the two afterwards has seen both.
    """
    repeats = Preference.objects.filter(
        annotator__project=project,
        assignment__kind=Assignment.Kind.REPEAT,
        supersedes__isnull=True,
    ).select_related("assignment", "comparison")
    standing = _standing_at_first(project, repeats)
    found: defaultdict[int, list[float]] = defaultdict(list)
    for again in repeats.order_by("created_at", "pk"):
        earlier = standing[again.annotator_id, again.comparison_id]
        asked_at = again.assignment.leased_at if again.assignment else again.created_at
        before = [answer for given_at, answer in earlier if given_at <= asked_at]
        if before:
            n = again.comparison.n_responses
            pairs = zip(
                outcomes_of(*before[-1], n),
                outcomes_of(again.verdict, again.ranking, n),
                strict=True,
            )
            same = [a == b for a, b in pairs]
            found[again.annotator_id].append(sum(same) / len(same))
    return dict(found)


def _standing_at_first(
    project: Project, repeats: QuerySet[Preference]
) -> dict[tuple[int, int], list[tuple[datetime, tuple[str, list[int] | None]]]]:
    """Per annotator and comparison every answer to the first asking, oldest first."""
    rows = (
        Preference.objects.filter(
            replicate=0, annotator__project=project, comparison__in=repeats.values("comparison")
        )
        .order_by("created_at", "pk")
        .values_list("annotator_id", "comparison_id", "created_at", "verdict", "ranking")
    )
    found: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    for who, comparison, given_at, verdict, ranking in rows:
        found[who, comparison].append((given_at, (verdict, ranking)))
    return found


def gold_answers(*, project: Project) -> dict[int, list[tuple[bool, datetime]]]:
    """Per annotator, whether each hidden known answer was found and when, oldest first."""
    rows = GoldResult.objects.filter(
        annotator__project=project, preference__assignment__kind=Assignment.Kind.GOLD
    ).order_by("created_at", "pk")
    found: defaultdict[int, list[tuple[bool, datetime]]] = defaultdict(list)
    for who, is_correct, at in rows.values_list("annotator_id", "is_correct", "created_at"):
        found[who].append((is_correct, at))
    return dict(found)


def alarms_open(*, project: Project) -> QuerySet[QualityAlarm]:
    """Alarms that nobody has closed, newest first."""
    return (
        QualityAlarm.objects.filter(annotator__project=project, resolved_at=None)
        .select_related("annotator__user")
        .order_by("-created_at", "-pk")
    )


def resolved_times(*, project: Project) -> dict[tuple[int, str], datetime]:
    """When the last alarm of each kind was closed, per annotator."""
    closed = QualityAlarm.objects.filter(
        annotator__project=project, resolved_at__isnull=False
    ).order_by("resolved_at")
    rows = closed.values_list("annotator_id", "kind", "resolved_at")
    return {(who, kind): at for who, kind, at in rows if at is not None}


def humans(*, project: Project) -> QuerySet[Annotator]:
    """The people of a project with their number of labels, most first."""
    given = Q(preferences__supersedes__isnull=True, preferences__replicate=0)
    return (
        Annotator.objects.filter(project=project, kind=Annotator.Kind.HUMAN)
        .select_related("user")
        .annotate(n_labels=Count("preferences", filter=given))
        .order_by("-n_labels", "name")
    )


def golds(*, project: Project) -> QuerySet[Gold]:
    """Known answers with how often they were met and found, newest first."""
    return (
        Gold.objects.filter(comparison__project=project)
        .select_related("comparison__prompt")
        .annotate(
            n_answers=Count("results"),
            n_correct=Count("results", filter=Q(results__is_correct=True)),
        )
        .order_by("-is_active", "-created_at", "-pk")
    )


def attempts(*, project: Project) -> QuerySet[QualificationAttempt]:
    """Everybody's tries at the qualification test, newest first."""
    return (
        QualificationAttempt.objects.filter(annotator__project=project)
        .select_related("annotator__user")
        .order_by("-started_at", "-pk")
    )


def flags_open(*, project: Project) -> QuerySet[Flag]:
    """Flags that nobody has dealt with, oldest first."""
    return (
        Flag.objects.filter(comparison__project=project, resolved_at=None)
        .select_related("comparison__prompt", "annotator__user")
        .order_by("created_at", "pk")
    )


def reviews_open(*, project: Project) -> QuerySet[Review]:
    """Conflicts that wait for a reviewer, oldest first."""
    return (
        Review.objects.filter(comparison__project=project, decided_at=None)
        .select_related("comparison__prompt", "comparison__project")
        .order_by("opened_at", "pk")
    )


def reviews_decided(*, project: Project) -> QuerySet[Review]:
    """Conflicts that a reviewer has decided, newest first: the trail."""
    return (
        Review.objects.filter(comparison__project=project, decided_at__isnull=False)
        .select_related("comparison__prompt", "preference", "reviewer__user")
        .order_by("-decided_at", "-pk")
    )


def display_name(annotator: Annotator) -> str:
    """What owners call an annotator: the user name where there is one."""
    return annotator.user.get_username() if annotator.user else annotator.name


def has_to_qualify(*, annotator: Annotator) -> bool:
    """Whether the annotator must pass the qualification test before other work."""
    policy = QualityPolicy.objects.filter(project_id=annotator.project_id).first()
    is_required = policy is not None and policy.qualification_required
    return is_required and annotator.qualified_at is None
