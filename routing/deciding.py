"""Plan a routing batch: read the pool, score it with a policy, spend the budget, say why.

Workers import this module; pages and API do not, because it loads numpy.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from annotate.errors import ApplicationError, NotReady
from annotate.models import Annotator, Comparison
from routing.arming import Priced, arms_of
from routing.choices import ARMS_POLICY, PILOT_POLICY
from routing.core.arrays import FloatArray, IntArray
from routing.core.budget import Budget
from routing.core.spending import Routing, route
from routing.core.tags import TagMatrix
from routing.known import known_inputs
from routing.models import RoutingBatch
from routing.piloting import pilot_of_pool
from routing.profile import pool_profile
from routing.reading import human_prices, label_price
from routing.reasons import pilot_reasons, reasons_of
from routing.selectors import judge_price, left_usd, routable, routable_to
from routing.tables import FeatureTable, feature_table

Report = Callable[[float, str], None]

_N_SAMPLE = 12
_MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Prices:
    """What the labels of a pool cost: people's, and the judge's where it must be asked."""

    human_usd: FloatArray
    judge_usd: FloatArray
    budget_usd: float
    is_capped: bool

    @property
    def extra_usd(self) -> FloatArray:
        """What people cost beyond the judge."""
        return np.maximum(self.human_usd - self.judge_usd, 0.0)


@dataclass(frozen=True)
class Asked:
    """Who exactly is asked about each comparison, where it goes to people."""

    n_humans: IntArray
    arm: list[str]
    skill: list[str]
    label_usd: list[Decimal | None]


@dataclass(frozen=True)
class Pool:
    """What may be decided about, one row per comparison."""

    comparison_ids: IntArray
    wanted: IntArray
    skill: list[str]
    label_usd: list[Decimal | None]
    n_without_judge: int


@dataclass(frozen=True)
class Plan:
    """Decisions that are not written yet, one row per comparison of the pool."""

    pool: Pool
    routing: Routing
    prices: Prices
    asked: Asked
    tags: TagMatrix | None
    reasons: list[str]
    profile: dict[str, Any]

    @property
    def comparison_ids(self) -> IntArray:
        """Primary keys of the pool."""
        return self.pool.comparison_ids

    def price_usd(self, row: int) -> Decimal:
        """What the decision on one row commits to spend."""
        to_human = bool(self.routing.to_human[row])
        price = (self.prices.human_usd if to_human else self.prices.judge_usd)[row]
        return Decimal(float(price)).quantize(_MICRO)


def plan_batch(batch: RoutingBatch, *, report: Report) -> Plan:
    """Score the pool of a batch and spend its budget; nothing is written."""
    judge = _judge_of(batch)
    pool = _pool(batch, judge)
    report(0.05, f"Reading {len(pool.comparison_ids):,} comparisons")
    keys = batch.study.ppm["metadata_keys"] if batch.study else []
    table = feature_table(
        project=batch.project,
        judge=judge,
        comparison_ids=pool.comparison_ids,
        metadata_keys=keys,
        encoder=batch.study.parameters.get("encoder", "") if batch.study else "",
        progress=lambda share, text: report(0.05 + 0.55 * share, text),
    )
    report(0.6, "Deciding")
    prices = _prices(batch, judge, table)
    if batch.policy == PILOT_POLICY:
        return _pilot(batch, pool, table, prices)
    inputs, tags = known_inputs(batch, table, prices.extra_usd)
    if batch.policy == ARMS_POLICY:
        priced = Priced(pool.comparison_ids, prices.judge_usd, prices.budget_usd)
        chosen = arms_of(batch, judge, inputs, priced)
        prices = replace(prices, human_usd=chosen.human_usd)
        asked = Asked(chosen.n_humans, chosen.arm, chosen.skill, chosen.label_usd)
        routing = chosen.routing
    else:
        budget = Budget(usd=prices.budget_usd - float(prices.judge_usd.sum()))
        rng = np.random.default_rng(batch.seed)
        routing = route(
            batch.policy,
            inputs,
            budget,
            rng,
            audit_share=batch.audit_share,
            fill=not batch.options.get("stop_early", False),
        )
        asked = _same_for_all(batch, pool, prices)
    reasons = reasons_of(batch, routing, tags, inputs, prices.human_usd, asked.arm)
    return Plan(pool, routing, prices, asked, tags, reasons, pool_profile(tags, table))


def _same_for_all(batch: RoutingBatch, pool: Pool, prices: Prices) -> Asked:
    n = len(pool.comparison_ids)
    each: list[Decimal | None] = [None] * n
    if batch.options.get("by_time"):
        each = [label_price(usd / batch.n_humans) for usd in prices.human_usd.tolist()]
    return Asked(np.full(n, batch.n_humans, dtype=np.int64), [""] * n, pool.skill, each)


def _judge_of(batch: RoutingBatch) -> Annotator:
    if batch.judge is None:
        raise NotReady("The judge of this batch is gone. Choose another judge.")
    return batch.judge


def _pool(batch: RoutingBatch, judge: Annotator) -> Pool:
    found = routable_to(project=batch.project, judge=judge).order_by("pk")
    rows = list(found.values_list("pk", "wanted_labels", "skill", "human_price_usd").iterator())
    if not rows:
        raise NotReady(
            "There is nothing to route: every comparison has a human label, is being labelled "
            "now, or was never seen by this judge."
        )
    everything = routable(project=batch.project).count()
    return Pool(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.int64),
        [row[2] for row in rows],
        [row[3] for row in rows],
        everything - len(rows),
    )


def _prices(batch: RoutingBatch, judge: Annotator, table: FeatureTable) -> Prices:
    """Price the pool; a recorded judge has been paid, a live one is paid for what it lacks."""
    human = human_prices(batch, table)
    each = float(judge_price(judge=judge) or 0)
    judge_usd = np.where(table.has_judge_label, 0.0, each)
    left = left_usd(project=batch.project)
    budget = float(batch.budget_usd if left is None else min(batch.budget_usd, left))
    # A pilot asks the judge only about what it draws.
    needed = 0.0 if batch.policy == PILOT_POLICY else float(judge_usd.sum())
    if budget < needed:
        raise ApplicationError(
            f"The judge's labels that are still missing cost ${needed:,.2f}, more than the "
            f"${budget:,.2f} there is. Raise the budget.",
            field="budget_usd",
        )
    return Prices(human, judge_usd, budget, left is not None and left < batch.budget_usd)


def _pilot(batch: RoutingBatch, pool: Pool, table: FeatureTable, prices: Prices) -> Plan:
    """Keep what was drawn for the pilot; nothing is decided about the rest."""
    drawn = pilot_of_pool(batch, table, prices.human_usd + prices.judge_usd, prices.budget_usd)
    rows = drawn.rows
    kept = Pool(
        pool.comparison_ids[rows],
        pool.wanted[rows],
        [pool.skill[row] for row in rows.tolist()],
        [pool.label_usd[row] for row in rows.tolist()],
        pool.n_without_judge,
    )
    priced = replace(prices, human_usd=prices.human_usd[rows], judge_usd=prices.judge_usd[rows])
    return Plan(
        kept,
        drawn.routing,
        priced,
        _same_for_all(batch, kept, priced),
        None,
        pilot_reasons(drawn.routing.propensity, priced.human_usd),
        pool_profile(None, table),
    )


# --- Summary ------------------------------------------------------------------------------------


def plan_summary(plan: Plan) -> dict[str, Any]:
    """Counts, money and a sample of decisions, for the page."""
    to_human = plan.routing.to_human
    human_usd = float(plan.prices.human_usd[to_human].sum())
    judge_usd = float(plan.prices.judge_usd[~to_human].sum())
    # Whoever goes to people is judged as well where a judge can be asked.
    judge_usd += float(plan.prices.judge_usd[to_human].sum())
    return {
        "n_pool": len(to_human),
        "n_human": int(to_human.sum()),
        "n_judge": int((~to_human).sum()),
        "n_audit": int(plan.routing.is_audit.sum()),
        **_fill_summary(plan),
        "human_usd": f"{human_usd:.6f}",
        "judge_usd": f"{judge_usd:.6f}",
        "budget_usd": round(plan.prices.budget_usd, 6),
        "is_capped": plan.prices.is_capped,
        "n_without_judge": plan.pool.n_without_judge,
        "arms": dict(Counter(arm for arm in plan.asked.arm if arm).most_common()),
        "profile": plan.profile,
        "sample": _sample(plan),
    }


def _fill_summary(plan: Plan) -> dict[str, Any]:
    """What goes beyond the point where the policy itself would stop."""
    fill = plan.routing.is_fill
    usd = float(plan.prices.human_usd[fill].sum())
    return {"n_fill": int(fill.sum()), "fill_usd": f"{usd:.6f}"}


def _sample(plan: Plan) -> list[dict[str, Any]]:
    routing = plan.routing
    chosen = np.flatnonzero(routing.to_human & ~routing.is_audit)
    best = chosen[np.argsort(-routing.utility[chosen], kind="stable")]
    groups = (best, np.flatnonzero(routing.is_audit), np.flatnonzero(~routing.to_human))
    third = _N_SAMPLE // 3
    rows = [int(row) for group in groups for row in group[:third]]
    ids = plan.comparison_ids[rows].tolist()
    found = Comparison.objects.select_related("prompt").in_bulk(ids)
    return [_sample_row(plan, row, found[pk]) for row, pk in zip(rows, ids, strict=True)]


def _sample_row(plan: Plan, row: int, comparison: Comparison) -> dict[str, Any]:
    return {
        "comparison_id": comparison.pk,
        "external_id": comparison.external_id,
        "prompt": comparison.prompt.text[:160],
        "action": "human" if plan.routing.to_human[row] else "judge",
        "is_audit": bool(plan.routing.is_audit[row]),
        "reason": plan.reasons[row],
        "price_usd": str(plan.price_usd(row)),
    }
