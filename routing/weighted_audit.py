"""How often people contradict the judge over a whole pool, from labels that were not drawn evenly.

A router sends people what it doubts, so that the plain share of contradictions among their labels
says nothing about the pool. Every decision keeps the chance it had; a label weighs one over it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from annotate.models import Annotator
from routing.models import RoutingBatch
from routing.reports import wilson_end

# Several people on one comparison are one draw: their mean counts.
_DRAWN_SQL = """
SELECT d.propensity,
    avg((sign(h.ranking[1] - h.ranking[2]) <> sign(j.ranking[1] - j.ranking[2]))::int)::float8
FROM routing_routingdecision d
JOIN annotate_comparison c ON c.id = d.comparison_id AND c.n_responses = 2
JOIN annotate_preference h ON h.comparison_id = d.comparison_id AND h.ranking IS NOT NULL
    AND h.replicate = 0 AND h.created_at > %(since)s
JOIN annotate_annotator a ON a.id = h.annotator_id AND a.kind = 'human'
JOIN annotate_preference j ON j.comparison_id = d.comparison_id AND j.annotator_id = %(judge)s
    AND j.ranking IS NOT NULL AND j.replicate = 0
WHERE d.batch_id = %(batch)s AND d.action = 'human'
  AND NOT EXISTS (SELECT 1 FROM annotate_preference n WHERE n.supersedes_id = h.id)
  AND NOT EXISTS (SELECT 1 FROM annotate_preference n WHERE n.supersedes_id = j.id)
GROUP BY d.id, d.propensity
"""


@dataclass(frozen=True)
class WeightedShare:
    """A share of a pool; ``n_effective`` is how many evenly drawn labels would tell as much."""

    share: float
    n: int
    n_effective: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return wilson_end(self.share, self.n_effective, -1)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return wilson_end(self.share, self.n_effective, 1)


def pool_contradictions(*, batch: RoutingBatch, judge: Annotator) -> WeightedShare | None:
    """Share of a batch's pool on which a person would contradict the judge."""
    values = {"batch": batch.pk, "judge": judge.pk, "since": batch.applied_at}
    with connection.cursor() as cursor:
        cursor.execute(_DRAWN_SQL, values)
        rows = cursor.fetchall()
    return weighted_share([row[0] for row in rows], [row[1] for row in rows])


def weighted_share(propensity: Sequence[float], value: Sequence[float]) -> WeightedShare | None:
    """Estimate a mean by weights of one over the propensity (Hájek 1971), or ``None`` of nothing.

    Its interval is Wilson's at the effective number of labels (Kish 1965; Korn and Graubard 1998).
    """
    if not propensity:
        return None
    weights = [1.0 / chance for chance in propensity]
    share = sum(w * y for w, y in zip(weights, value, strict=True)) / sum(weights)
    n_effective = sum(weights) ** 2 / sum(w**2 for w in weights)
    return WeightedShare(min(max(share, 0.0), 1.0), len(weights), n_effective)
