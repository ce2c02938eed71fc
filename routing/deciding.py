"""Plan a routing batch: read the pool, score it with a policy, spend the budget, say why.

Workers import this module; pages and API do not, because it loads numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from annotate.errors import ApplicationError, NotReady
from annotate.models import Annotator, Comparison
from routing.choices import NEEDS_STUDY
from routing.core.arrays import BoolArray, FloatArray, IntArray
from routing.core.budget import Budget
from routing.core.policies import Routing, RoutingInputs, route
from routing.core.ppm import RidgePpm
from routing.core.tags import TagMatrix, build_tags
from routing.models import RoutingBatch, RoutingStudy
from routing.phrases import tag_phrase
from routing.selectors import judge_price, left_usd, routable, routable_to
from routing.study.stored import ppm_from_dict
from routing.tables import FeatureTable, feature_table

Report = Callable[[float, str], None]

_N_SAMPLE = 12
_PLAIN_REASONS = {
    "random-v1": "Decided by lot",
    "all_human-v1": "People label all that the budget pays for",
    "all_judge-v1": "The judge labels everything beside the audit",
}
_MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Prices:
    """What the labels of a pool cost: people's per comparison, the judge's where it must ask."""

    human_usd: Decimal
    judge_usd: FloatArray
    budget_usd: float
    is_capped: bool


@dataclass(frozen=True)
class Plan:
    """Decisions that are not written yet, one row per comparison of the pool."""

    comparison_ids: IntArray
    wanted_before: IntArray
    routing: Routing
    prices: Prices
    tags: TagMatrix | None
    reasons: list[str]
    n_without_judge: int

    def price_usd(self, row: int) -> Decimal:
        """What the decision on one row commits to spend."""
        if self.routing.to_human[row]:
            return self.prices.human_usd
        return Decimal(float(self.prices.judge_usd[row])).quantize(_MICRO)


def plan_batch(batch: RoutingBatch, *, report: Report) -> Plan:
    """Score the pool of a batch and spend its budget; nothing is written."""
    judge = _judge_of(batch)
    ids, wanted, n_without = _pool(batch, judge)
    report(0.05, f"Reading {len(ids):,} comparisons")
    keys = batch.study.ppm["metadata_keys"] if batch.study else []
    table = feature_table(
        project=batch.project,
        judge=judge,
        comparison_ids=ids,
        metadata_keys=keys,
        progress=lambda share, text: report(0.05 + 0.55 * share, text),
    )
    report(0.6, "Deciding")
    prices = _prices(batch, judge, table.has_judge_label)
    inputs, tags = _inputs(batch.study, table, prices)
    routing = route(
        batch.policy,
        inputs,
        Budget(usd=prices.budget_usd - float(prices.judge_usd.sum())),
        np.random.default_rng(batch.seed),
        audit_share=batch.audit_share,
    )
    reasons = _reasons(batch, routing, tags, inputs, prices)
    return Plan(ids, wanted, routing, prices, tags, reasons, n_without)


def _judge_of(batch: RoutingBatch) -> Annotator:
    if batch.judge is None:
        raise NotReady("The judge of this batch is gone. Choose another judge.")
    return batch.judge


def _pool(batch: RoutingBatch, judge: Annotator) -> tuple[IntArray, IntArray, int]:
    found = routable_to(project=batch.project, judge=judge).order_by("pk")
    rows = np.array(list(found.values_list("pk", "wanted_labels").iterator()), dtype=np.int64)
    if not len(rows):
        raise NotReady(
            "There is nothing to route: every comparison has a human label, is being labelled "
            "now, or was never seen by this judge."
        )
    everything = routable(project=batch.project).count()
    return rows[:, 0], rows[:, 1], everything - len(rows)


def _prices(batch: RoutingBatch, judge: Annotator, has_judge_label: BoolArray) -> Prices:
    """Price the pool; a recorded judge has been paid, a live one is paid for what it lacks."""
    human = batch.project.human_price_usd * batch.n_humans
    each = float(judge_price(judge=judge) or 0)
    judge_usd = np.where(has_judge_label, 0.0, each)
    left = left_usd(project=batch.project)
    budget = float(batch.budget_usd if left is None else min(batch.budget_usd, left))
    needed = float(judge_usd.sum())
    if budget < needed:
        raise ApplicationError(
            f"The judge's labels that are still missing cost ${needed:,.2f}, more than the "
            f"${budget:,.2f} there is. Raise the budget.",
            field="budget_usd",
        )
    return Prices(human, judge_usd, budget, left is not None and left < batch.budget_usd)


def _inputs(
    study: RoutingStudy | None, table: FeatureTable, prices: Prices
) -> tuple[RoutingInputs, TagMatrix | None]:
    known: dict[str, Any] = {
        "n_comparisons": len(table.comparison_ids),
        "extra_cost_usd": np.maximum(float(prices.human_usd) - prices.judge_usd, 0.0),
        "judge_probability": table.judge_probability,
    }
    if study is None:
        return RoutingInputs(**known), None
    ppm, bins = ppm_from_dict(study.ppm)
    tags = build_tags(bins, table.statistics, table.categorical, names=study.ppm["tag_names"])
    known |= {"tags": tags.matrix, "ppm": ppm, "p_disagree": _p_disagree(study, tags.matrix)}
    return RoutingInputs(**known), tags


def _p_disagree(study: RoutingStudy, tags: BoolArray) -> FloatArray:
    stored = study.ppm["disagreement"]
    log_odds = stored["intercept"] + tags @ np.asarray(stored["coef"], dtype=np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)), dtype=np.float64)


# --- Reasons ------------------------------------------------------------------------------------


def _reasons(
    batch: RoutingBatch,
    routing: Routing,
    tags: TagMatrix | None,
    inputs: RoutingInputs,
    prices: Prices,
) -> list[str]:
    """One sentence per decision, the same words for the same circumstances."""
    why = _because(batch, inputs, tags, len(routing.to_human))
    price = f"${prices.human_usd.quantize(Decimal('0.01'), ROUND_HALF_UP)}"
    gains = _gain_words(routing)
    sentences = []
    for row, (human, audit) in enumerate(
        zip(routing.to_human.tolist(), routing.is_audit.tolist(), strict=True)
    ):
        if audit:
            sentences.append(f"Drawn at random for the audit, for {price}.")
        elif human:
            sentences.append(f"{why[row]}{gains[row]} for {price}.")
        else:
            sentences.append(f"{why[row]}{gains[row]}; the judge's label stands.")
    return sentences


def _gain_words(routing: Routing) -> list[str]:
    if np.isnan(routing.gain_mean).all():
        return [""] * len(routing.gain_mean)
    half = 100.0 * (routing.gain_high - routing.gain_mean)
    pairs = zip((100.0 * routing.gain_mean).tolist(), half.tolist(), strict=True)
    return [f": predicted gain {mean:.2g} ± {width:.2g} pp" for mean, width in pairs]


def _because(
    batch: RoutingBatch, inputs: RoutingInputs, tags: TagMatrix | None, n: int
) -> list[str]:
    if batch.policy == "disagreement-v1" and inputs.p_disagree is not None:
        chances = np.rint(100 * inputs.p_disagree).astype(int).tolist()
        return [f"A person would differ from the judge with {c} % probability" for c in chances]
    if batch.policy == "uncertainty-v1" and inputs.judge_probability is not None:
        doubts = np.nan_to_num(np.abs(inputs.judge_probability - 0.5), nan=0.0)
        words = np.where(doubts < 0.1, "Judges are undecided", "Judges lean to one side")
        return [str(word) for word in np.where(doubts >= 0.4, "Judges are sure", words)]
    if tags is None or inputs.ppm is None or batch.policy not in NEEDS_STUDY:
        return [_PLAIN_REASONS.get(batch.policy, f"Policy {batch.policy}")] * n
    return _leading_tags(inputs.ppm, tags)


def _leading_tags(ppm: RidgePpm, tags: TagMatrix) -> list[str]:
    """Name the two tags that add most to each comparison's gain."""
    coef = ppm.coef_[: len(tags.names)] / np.maximum(tags.matrix.sum(axis=0), 1)
    parts = np.abs(tags.matrix * coef)
    top = np.argsort(-parts, axis=1, kind="stable")[:, :2]
    phrases = [tag_phrase(name) for name in tags.names]
    words = [", ".join(phrases[k] for k in row) for row in top.tolist()]
    return [text[:1].upper() + text[1:] for text in words]


# --- Summary ------------------------------------------------------------------------------------


def plan_summary(plan: Plan) -> dict[str, Any]:
    """Counts, money and a sample of decisions, for the page."""
    to_human = plan.routing.to_human
    human_usd = plan.prices.human_usd * int(to_human.sum())
    judge_usd = float(plan.prices.judge_usd[~to_human].sum())
    # Whoever goes to people is judged as well where a judge can be asked.
    judge_usd += float(plan.prices.judge_usd[to_human].sum())
    return {
        "n_pool": len(to_human),
        "n_human": int(to_human.sum()),
        "n_judge": int((~to_human).sum()),
        "n_audit": int(plan.routing.is_audit.sum()),
        "human_usd": str(human_usd),
        "judge_usd": f"{judge_usd:.6f}",
        "budget_usd": round(plan.prices.budget_usd, 6),
        "is_capped": plan.prices.is_capped,
        "n_without_judge": plan.n_without_judge,
        "sample": _sample(plan),
    }


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
