"""Arms of a batch: its judge, other judges, and groups of people, each at its own price."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from annotate.models import Annotator
from routing.core.arms import choose_arms, judge_reliability, majority_reliability
from routing.core.arrays import BoolArray, FloatArray, IntArray
from routing.core.policies import RoutingInputs
from routing.core.spending import Routing
from routing.models import RoutingArm, RoutingBatch
from routing.reports import MIN_MEASURED, agreement_with_people
from routing.selectors import judge_price, judges_of

_DEFAULT_RELIABILITY = 0.9


@dataclass(frozen=True)
class Priced:
    """The pool and its money: what the batch's judge still costs, and what there is."""

    comparison_ids: IntArray
    judge_usd: FloatArray
    budget_usd: float


@dataclass(frozen=True)
class ArmChoice:
    """Who labels what, and at which price, one entry per comparison."""

    routing: Routing
    n_humans: IntArray
    arm: list[str]
    skill: list[str]
    label_usd: list[Decimal | None]
    human_usd: FloatArray


@dataclass(frozen=True)
class _JudgeArm:
    """A judge with how likely its label is right and what it costs, per comparison."""

    annotator: Annotator
    right: FloatArray
    usd: FloatArray


def arms_of(
    batch: RoutingBatch, judge: Annotator, inputs: RoutingInputs, pool: Priced
) -> ArmChoice:
    """Buy the audit first, then upgrade comparisons from judges to people where it pays."""
    people = list(batch.project.routing_arms.all()) or [_usual(batch)]
    assert inputs.p_disagree is not None
    reliability = people[0].reliability
    own = _JudgeArm(judge, judge_reliability(inputs.p_disagree, reliability), pool.judge_usd)
    judges = [own, *_other_judges(batch, judge, pool.comparison_ids, reliability)]
    n = inputs.n_comparisons
    right = [arm.right for arm in judges]
    right += [np.full(n, majority_reliability(a.reliability, a.n_humans)) for a in people]
    # The batch's judge labels everything, so that all others come on top of its price.
    cost = [pool.judge_usd, *(pool.judge_usd + arm.usd for arm in judges[1:])]
    cost += [pool.judge_usd + _group_price(arm) for arm in people]
    audit = _audit(batch, pool, _group_price(people[0]))
    rows = np.flatnonzero(~audit)
    left = pool.budget_usd - float(cost[len(judges)][audit].sum())
    chosen = np.full(n, len(judges), dtype=np.int64)
    chosen[rows] = choose_arms(np.stack(right, 1)[rows], np.stack(cost, 1)[rows], left)
    return _choice([arm.annotator for arm in judges], people, chosen, audit, np.stack(right, 1))


def _other_judges(
    batch: RoutingBatch, judge: Annotator, comparison_ids: IntArray, reliability: float
) -> list[_JudgeArm]:
    """Judges that can be asked, or have labelled these comparisons; right as often as measured."""
    found = []
    for other in judges_of(project=batch.project).exclude(pk=judge.pk):
        agreement = agreement_with_people(project=batch.project, judge=other)
        if agreement.n < MIN_MEASURED:
            continue
        labelled = set(other.preferences.values_list("comparison_id", flat=True).iterator())
        has_label = np.array([pk in labelled for pk in comparison_ids.tolist()], dtype=np.bool_)
        price = judge_price(judge=other)
        can_label = has_label | (price is not None)
        right = judge_reliability([1.0 - agreement.share], reliability)[0]
        usd = np.where(has_label, 0.0, float(price or 0))
        # Where it has said nothing and cannot be asked, it is never right.
        found.append(_JudgeArm(other, np.where(can_label, right, 0.0), usd))
    return found


def _usual(batch: RoutingBatch) -> RoutingArm:
    """People at the project's price, where no group was described."""
    return RoutingArm(
        project=batch.project,
        name="people",
        n_humans=batch.n_humans,
        price_usd=batch.project.human_price_usd,
        reliability=_DEFAULT_RELIABILITY,
    )


def _group_price(arm: RoutingArm) -> float:
    return float(arm.price_usd * arm.n_humans)


def _audit(batch: RoutingBatch, pool: Priced, price_usd: float) -> BoolArray:
    n = len(pool.judge_usd)
    left = pool.budget_usd - float(pool.judge_usd.sum())
    affordable = int(left / price_usd) if price_usd else n
    drawn = np.random.default_rng(batch.seed).permutation(n)
    audit = np.zeros(n, dtype=np.bool_)
    audit[drawn[: min(round(batch.audit_share * n), max(affordable, 0))]] = True
    return audit


def _choice(
    judges: list[Annotator],
    people: list[RoutingArm],
    chosen: IntArray,
    audit: BoolArray,
    right: FloatArray,
) -> ArmChoice:
    n, to_human = len(chosen), chosen >= len(judges)
    names = [judge.name for judge in judges] + [arm.name for arm in people]
    groups = [None] * len(judges) + [*people]
    asked = [groups[k] for k in chosen.tolist()]
    unknown = np.full(n, np.nan)
    share = float(audit.mean()) if n else 0.0
    certain = (to_human & ~audit).astype(np.float64)
    return ArmChoice(
        routing=Routing(
            to_human=to_human,
            utility=right[np.arange(n), chosen] - right[:, 0],
            gain_mean=unknown,
            gain_low=unknown,
            gain_high=unknown,
            propensity=certain + (1.0 - certain) * share,
            is_audit=audit,
            is_fill=np.zeros(n, dtype=np.bool_),
        ),
        n_humans=np.array([arm.n_humans if arm else 0 for arm in asked], dtype=np.int64),
        arm=[names[k] for k in chosen.tolist()],
        skill=[arm.skill if arm else "" for arm in asked],
        label_usd=[arm.price_usd if arm else None for arm in asked],
        human_usd=np.array([_group_price(arm) if arm else 0.0 for arm in asked]),
    )
