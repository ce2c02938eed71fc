"""Adaptive overlap: whether the votes so far settle a comparison, and what stopping saved."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from annotate.models import Annotator, Preference, Project, Protocol

# One row per standing verdict; a correction keeps its author's vote and changes what it says.
_SAVED_SQL = """
SELECT count(*), COALESCE(sum(%(overlap_max)s - given.n), 0)
FROM annotate_comparison c
JOIN LATERAL (
    SELECT count(*) AS n FROM annotate_preference p
    JOIN annotate_annotator a ON a.id = p.annotator_id AND a.kind = 'human'
    WHERE p.comparison_id = c.id AND p.supersedes_id IS NULL AND p.replicate = 0
      AND NOT p.is_override
) AS given ON given.n >= %(overlap)s AND given.n < %(overlap_max)s
WHERE c.project_id = %(project)s AND NOT c.is_gold AND c.open_slots = 0
  AND c.wanted_labels >= %(overlap)s
  AND NOT EXISTS (SELECT 1 FROM annotate_assignment s
                  WHERE s.comparison_id = c.id AND s.state = 'live' AND s.kind = 'work')
"""


@dataclass(frozen=True)
class VotesSaved:
    """Comparisons that stopped early, and labels not asked for against always the maximum."""

    n_settled: int
    n_saved: int


def votes_saved(*, project: Project) -> VotesSaved:
    """Count the labels that adaptive overlap has saved so far."""
    protocol = project.protocol
    if not protocol.is_adaptive:
        return VotesSaved(0, 0)
    bounds = {"overlap": protocol.overlap, "overlap_max": protocol.overlap_max}
    with connection.cursor() as cursor:
        cursor.execute(_SAVED_SQL, {"project": project.pk, **bounds})
        n_settled, n_saved = cursor.fetchone()
    return VotesSaved(n_settled, int(n_saved))


def standing_votes(*, comparison_id: int) -> list[Preference]:
    """The standing verdicts on a comparison, without repeats."""
    rows = Preference.objects.current().filter(comparison_id=comparison_id, replicate=0)
    return list(rows.select_related("annotator").order_by("pk"))


def is_settled(votes: Sequence[Preference], protocol: Protocol) -> bool:
    """Whether the leading verdict is far enough ahead of the next one.

    A vote is a direction: which response is better (or the whole order of a ranking), a tie, or
    both bad; strength does not matter. Who cannot judge adds no vote. A reviewer's overriding
    verdict settles at once.
    """
    if any(vote.is_override for vote in votes):
        return True
    Kind, Verdict = Annotator.Kind, Preference.Verdict
    counts = Counter(
        _direction(vote)
        for vote in votes
        if vote.verdict != Verdict.CANNOT_JUDGE
        and (vote.annotator.kind == Kind.HUMAN or protocol.settle_with_judges)
    )
    first, second = ([n for _, n in counts.most_common(2)] + [0, 0])[:2]
    return first - second >= protocol.settle_lead


def _direction(vote: Preference) -> tuple[str, tuple[int, ...]]:
    places = {rank: place for place, rank in enumerate(sorted(set(vote.ranking or ())))}
    return vote.verdict, tuple(places[rank] for rank in vote.ranking or ())
