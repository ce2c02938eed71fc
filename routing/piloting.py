"""The pilot: comparisons that people and a judge both label, drawn with a known chance."""

from dataclasses import dataclass

import numpy as np

from annotate.errors import NotReady
from routing.core.arrays import FloatArray, IntArray
from routing.core.features import STATISTIC_NAMES, FrozenBins
from routing.core.pilot import draw_pilot
from routing.core.spending import Routing
from routing.models import RoutingBatch
from routing.tables import FeatureTable

# Kinds of comparisons that a pilot should hold enough of, by their frozen tags.
_STRATIFIED_BY = ("rouge_l", "len_longer")


@dataclass(frozen=True)
class Drawn:
    """Rows of the pool that were drawn, with their decisions."""

    rows: IntArray
    routing: Routing


def pilot_of_pool(
    batch: RoutingBatch, table: FeatureTable, price_usd: FloatArray, budget_usd: float
) -> Drawn:
    """Draw as many as asked for and paid for."""
    rng = np.random.default_rng(batch.seed)
    n = len(table.comparison_ids)
    # The dearest price keeps the budget whatever is drawn, and the draw independent of prices.
    affordable = int(budget_usd / max(float(price_usd.max()), 1e-9) + 1e-9)
    wanted = min(int(batch.options["n"]), affordable, n)
    if not wanted:
        raise NotReady(
            f"${budget_usd:,.2f} do not pay for one double label. Raise the pilot's budget."
        )
    strata = _strata(table) if batch.options.get("is_stratified") else None
    sample = draw_pilot(n, wanted, rng, strata=strata)
    everyone = np.ones(len(sample.rows), dtype=np.bool_)
    unknown = np.full(len(sample.rows), np.nan)
    return Drawn(
        sample.rows,
        Routing(
            to_human=everyone,
            utility=np.ones(len(sample.rows)),
            gain_mean=unknown,
            gain_low=unknown,
            gain_high=unknown,
            propensity=sample.propensity,
            is_audit=~everyone,
            is_fill=~everyone,
        ),
    )


def _strata(table: FeatureTable) -> IntArray:
    """Kind of each comparison by how alike and how long its responses are, three by three."""
    columns = [STATISTIC_NAMES.index(name) for name in _STRATIFIED_BY]
    values = table.statistics[:, columns]
    tags = FrozenBins().fit(values, _STRATIFIED_BY).transform(values)
    levels = tags.reshape(len(values), len(columns), -1).argmax(axis=2)
    return np.asarray(levels @ np.array([3, 1]), dtype=np.int64)
