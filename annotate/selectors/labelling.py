"""What an annotator sees of their own work."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext

from annotate.models import (
    Annotator,
    Assignment,
    ComparisonResponse,
    GoldResult,
    Preference,
    Protocol,
    QualityPolicy,
)
from annotate.prepared import Statement, fetch_prepared

OPEN_COUNTED_TO = 100


@dataclass(frozen=True)
class AnnotatorProgress:
    """Labels given, comparisons still open, and the median active time of the last hundred.

    ``open`` stops at ``OPEN_COUNTED_TO``, so that the count costs the same in a large project.
    """

    done: int
    open: int
    median_ms: int | None

    @property
    def median_s(self) -> float | None:
        """The median in seconds."""
        return None if self.median_ms is None else self.median_ms / 1000


@dataclass(frozen=True)
class Standing:
    """An annotator's progress, where it was asked, and the protocol that they label under now."""

    progress: AnnotatorProgress | None
    protocol_version: int
    lease_seconds: int


# The walk along the queue's index starts at the annotator's place, before which nothing was left
# for them, and ends after OPEN_COUNTED_TO rows. What it passes over is asked row by row: joined,
# every lease of the project would be read in the order of ids; "+ 0" as in services/queue.py. Work
# that they hold has no open slot any more, yet is theirs to do; known answers and repeats that they
# hold show in no figure, or whoever watches it would know.
_PROGRESS_SQL = f"""
SELECT
    (SELECT count(*) FROM annotate_preference p
     WHERE p.annotator_id = a.id AND p.supersedes_id IS NULL),
    GREATEST((SELECT count(*) FROM (
        SELECT 1 FROM (SELECT DISTINCT unnest(ARRAY['']::varchar[] || a.skills) AS skill) AS mine
        CROSS JOIN LATERAL (
            SELECT 1 FROM annotate_comparison c
            WHERE c.project_id = a.project_id AND c.skill = mine.skill
              AND c.open_slots > 0 AND NOT c.is_reserved AND NOT c.is_gold
              AND (- c.priority, c.id)
                  >= (COALESCE(q.rank, '-infinity'), COALESCE(q.comparison_id, 0))
              AND (SELECT true FROM annotate_assignment s
                   WHERE s.comparison_id = c.id AND s.annotator_id + 0 = a.id AND s.replicate = 0
                     AND s.state IN ('submitted', 'skipped')) IS NULL
              AND (SELECT true FROM annotate_preference p
                   WHERE p.comparison_id = c.id AND p.annotator_id + 0 = a.id AND p.replicate = 0
                     AND p.supersedes_id IS NULL) IS NULL
            ORDER BY - c.priority, c.id LIMIT {OPEN_COUNTED_TO}) AS theirs
        LIMIT {OPEN_COUNTED_TO}) AS waiting)
    + (SELECT count(*) FROM annotate_assignment s
       JOIN annotate_comparison c ON c.id = s.comparison_id
       WHERE s.annotator_id = a.id AND s.state = 'live' AND s.kind = 'work'
         AND (c.open_slots = 0 OR c.is_reserved OR c.is_gold)),
        (SELECT count(*) FROM annotate_assignment s
         WHERE s.annotator_id = a.id AND s.state = 'live')),
    (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY active_ms) FROM (
        SELECT p.active_ms FROM annotate_preference p
        WHERE p.annotator_id = a.id AND p.active_ms IS NOT NULL
        ORDER BY p.created_at DESC LIMIT 100) AS latest),
    protocol.version, protocol.lease_seconds
FROM annotate_annotator a
JOIN LATERAL (SELECT version, lease_seconds FROM annotate_protocol
              WHERE project_id = a.project_id ORDER BY version DESC LIMIT 1) AS protocol ON true
LEFT JOIN annotate_queueplace q ON q.annotator_id = a.id
WHERE a.id = %(annotator)s
"""


def annotator_standing(*, annotator: Annotator) -> Standing:
    """Count the annotator's own labels and what is left in the queue, and read their protocol."""
    row = fetch_prepared(*standing_statement(annotator=annotator))
    return Standing(progress_read(row), *row[3:])


def standing_statement(*, annotator: Annotator) -> Statement:
    """What asks for a standing, to be sent along with other statements."""
    return _PROGRESS_SQL, {"annotator": annotator.pk}


def progress_read(row: Sequence[Any]) -> AnnotatorProgress:
    """The progress that the statement's one row tells."""
    done, waiting, median = row[:3]
    return AnnotatorProgress(done, waiting, None if median is None else round(median))


def annotator_progress(*, annotator: Annotator) -> AnnotatorProgress:
    """Count the annotator's own labels and what is left in the queue."""
    return progress_read(fetch_prepared(*standing_statement(annotator=annotator)))


def work_is_with_others(*, annotator: Annotator) -> bool:
    """Whether somebody holds a comparison that may yet come back for this annotator."""
    State = Assignment.State
    mine = Assignment.objects.filter(
        comparison=OuterRef("comparison"),
        annotator=annotator,
        state__in=(State.SUBMITTED, State.SKIPPED),
    )
    held = Assignment.objects.filter(
        annotator__project_id=annotator.project_id,
        state=State.LIVE,
        kind=Assignment.Kind.WORK,
        comparison__is_reserved=False,
        comparison__skill__in=["", *annotator.skills],
    )
    return held.exclude(annotator=annotator).exclude(Exists(mine)).exists()


def shown_texts(*, assignment: Assignment) -> list[str]:
    """The raw texts of the responses in the order in which they are shown.

    Without a query where a lease brought them along, in canonical order.
    """
    brought: list[str] | None = getattr(assignment, "canonical_texts", None)
    texts = dict(enumerate(brought)) if brought is not None else _texts_by_place(assignment)
    return [texts[position] for position in assignment.shown_order]


def _texts_by_place(assignment: Assignment) -> dict[int, str]:
    return dict(
        ComparisonResponse.objects.filter(comparison_id=assignment.comparison_id).values_list(
            "position", "response__text"
        )
    )


def given_verdict(*, assignment: Assignment) -> dict[str, Any] | None:
    """Return the annotator's standing verdict in the order in which responses were shown."""
    preference = (
        Preference.objects.current()
        .filter(
            comparison_id=assignment.comparison_id,
            annotator_id=assignment.annotator_id,
            replicate=assignment.replicate,
        )
        .first()
    )
    if preference is None:
        return None
    shown = assignment.shown_order
    sign = 1 if shown[0] == 0 else -1
    return {
        "verdict": preference.verdict,
        "strength": sign * (preference.strength or 0),
        "ranking": [preference.ranking[index] for index in shown] if preference.ranking else None,
        "aspects": {key: sign * value for key, value in preference.aspects.items()},
        "ratings": {
            key: [row[index] for index in shown] for key, row in preference.ratings.items()
        },
        "spans": [{**span, "response": shown.index(span["response"])} for span in preference.spans],
        "reasons": preference.reasons,
        "rationale": preference.rationale,
    }


def verdict_as_shown(preference: Preference) -> str:
    """A verdict in the words of the screen on which it was given."""
    shown = preference.shown_order
    if preference.verdict != Preference.Verdict.RANKED or not preference.ranking or not shown:
        return str(Preference.Verdict(preference.verdict).label)
    ranks = [preference.ranking[index] for index in shown]
    if preference.protocol.kind != Protocol.Kind.PAIRWISE or len(ranks) > 2:
        return _order_in_words(ranks)
    side = "AB"[ranks.index(0)]
    strength, most = abs(preference.strength or 0), preference.protocol.max_strength
    return better_by(side, strength, most)


def better_by(side: str, strength: float, most: int) -> str:
    """One response is better, and by how much where that was asked."""
    if not strength:
        return gettext("%(side)s better") % {"side": side}
    told = {"side": side, "strength": f"{strength:g}", "most": most}
    return gettext("%(side)s better, %(strength)s of %(most)s") % told


def _order_in_words(ranks: list[int]) -> str:
    """Ranks per shown response as ``B > A = C``."""
    tiers = [
        " = ".join(ascii_uppercase[place] for place, rank in enumerate(ranks) if rank == level)
        for level in sorted(set(ranks))
    ]
    return " > ".join(tiers)


@dataclass(frozen=True)
class GoldAgreement:
    """How often somebody gave the known answer."""

    n_correct: int
    n_comparisons: int


def own_gold_agreement(*, annotator: Annotator) -> GoldAgreement | None:
    """The annotator's agreement with known answers, where the owner lets them know of these."""
    policy = QualityPolicy.objects.filter(project_id=annotator.project_id).first()
    if policy is None or policy.gold_feedback == QualityPolicy.Feedback.NEVER:
        return None
    results = GoldResult.objects.filter(annotator=annotator)
    counted = results.aggregate(n=Count("pk"), right=Count("pk", filter=Q(is_correct=True)))
    return GoldAgreement(n_correct=counted["right"], n_comparisons=counted["n"])


def own_labels(*, annotator: Annotator) -> QuerySet[Preference]:
    """The annotator's latest label on each comparison, newest first, with what the history shows.

    A comparison that is asked a second time looks like one that was revised: one row, where it was
    labelled last. While it is asked it is left out, so that nobody can look up what they said.
    """
    own = Preference.objects.current().filter(annotator=annotator)
    same = own.filter(comparison=OuterRef("comparison"))
    held = Assignment.objects.filter(
        comparison=OuterRef("comparison"), annotator=annotator, state=Assignment.State.LIVE
    )
    return (
        own.exclude(Exists(same.filter(pk__gt=OuterRef("pk"))))
        .exclude(Exists(held))
        .select_related("comparison__prompt", "assignment", "protocol")
        .order_by("-created_at", "-pk")
    )
