"""What the next dollars buy beyond what was routed already: for the page and the API."""

from routing.models import RoutingStudy
from routing.reports import NextDollars, next_dollars
from routing.selectors import Pool, active_batch

NEXT_USD = 100.0


def next_dollars_of(
    *, study: RoutingStudy, pool: Pool, worth_pp: float, usd: float = NEXT_USD
) -> NextDollars | None:
    """Predict it from the study's curve; ``None`` where there is nothing to buy."""
    price = float(pool.extra_usd())
    if not pool.n_comparisons or not price:
        return None
    return next_dollars(
        study.result["frontier"],
        share=_routed_share(study),
        step_share=usd / price / pool.n_comparisons,
        usd=usd,
        worth_pp=worth_pp,
    )


def _routed_share(study: RoutingStudy) -> float:
    batch = active_batch(project=study.project)
    if batch is None:
        return 0.0
    n_human, n_judge = batch.summary.get("n_human", 0), batch.summary.get("n_judge", 0)
    return float(n_human / (n_human + n_judge)) if n_human + n_judge else 0.0
