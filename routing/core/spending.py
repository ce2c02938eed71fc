"""Spend a budget by a policy: the audit first, then what it wants, then the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from routing.core.arrays import BoolArray, FloatArray, IntArray, RoutingInputError
from routing.core.budget import Budget, affordable, knapsack_by_ratio
from routing.core.policies import Policy, RoutingInputs, gains_of, get_policy


@dataclass(frozen=True)
class Routing:
    """Hold frozen decisions, one entry per comparison.

    Attributes
    ----------
    to_human : ndarray of bool, shape (n,)
        Who labels: a human, or the judge alone.
    utility : ndarray of float64, shape (n,)
        Utility of the policy.
    gain_mean, gain_low, gain_high : ndarray of float64, shape (n,)
        Predicted gain in performance with a 95 % interval; NaN without a PPM.
    propensity : ndarray of float64, shape (n,)
        Probability that a human labels it. Exact for what the audit alone could pick; for
        random policies exact when prices are equal.
    is_audit : ndarray of bool, shape (n,)
        Drawn uniformly at random for the audit, whatever the policy thinks.
    is_fill : ndarray of bool, shape (n,)
        Bought beyond where the policy stops, because the budget pays for it.
    """

    to_human: BoolArray
    utility: FloatArray
    gain_mean: FloatArray
    gain_low: FloatArray
    gain_high: FloatArray
    propensity: FloatArray
    is_audit: BoolArray
    is_fill: BoolArray


def route(
    policy_id: str,
    inputs: RoutingInputs,
    budget: Budget,
    rng: np.random.Generator,
    *,
    audit_share: float = 0.05,
    fill: bool = True,
) -> Routing:
    """Decide who labels each comparison under a budget.

    Parameters
    ----------
    policy_id : str
        Key of `POLICIES`.
    inputs : RoutingInputs
        What is known about the pool.
    budget : Budget
        Dollars, a count or a share; the audit is paid from it first and it is never exceeded.
    rng : numpy.random.Generator
        Draws the audit, breaks ties and drives random policies.
    audit_share : float in [0, 1]
        Share of all comparisons that humans label at random, which keeps estimates of the
        judge's accuracy unbiased; fewer where the budget does not pay for it.
    fill : bool, default True
        Spend what is left where the policy sees no further gain: where a human is likely to
        disagree with the judge, or at random without `p_disagree`. False stops there.

    Returns
    -------
    Routing
        Decisions.

    Raises
    ------
    RoutingInputError
        If the policy is unknown, an input is missing, or a share is out of range.

    Notes
    -----
    A utility of zero says that a model sees no gain, not that there is none: at equal spend a
    policy that stops falls behind a random choice that does not. What is bought in the end
    contains what the policy wants, so an accepted error of the judge's labels still holds.
    """
    policy = get_policy(policy_id)
    if not 0.0 <= audit_share <= 1.0:
        raise RoutingInputError(f"audit_share is {audit_share}; pass a share in [0, 1].")
    n = inputs.n_comparisons
    cost, limit = _money(inputs, budget)
    is_audit = _draw_audit(cost, limit, audit_share, rng)
    utility = policy.score(replace(inputs, n_human_target=_target(cost, limit)), rng)
    chosen = _choose(policy, utility, cost, limit, is_audit, rng)
    is_fill, fill_chance = np.zeros(n, dtype=np.bool_), 0.0
    if fill and policy.is_filled and not policy.is_random:
        left = limit - float(cost[chosen | is_audit].sum())
        is_fill, fill_chance = _fill(inputs, cost, left, chosen | is_audit, rng)
    audit_chance = float(is_audit.mean()) if n else 0.0
    certain = np.where(chosen | is_fill, 1.0, 0.0)
    if fill_chance:
        certain[~chosen] = fill_chance
    if policy.is_random and not is_audit.all():
        certain[:] = chosen[~is_audit].mean()
    gain = gains_of(inputs)
    return Routing(
        to_human=chosen | is_audit | is_fill,
        utility=utility,
        gain_mean=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        propensity=certain + (1.0 - certain) * audit_chance,
        is_audit=is_audit,
        is_fill=is_fill,
    )


def _money(inputs: RoutingInputs, budget: Budget) -> tuple[FloatArray, float]:
    """Return prices and the limit in one unit: dollars, or human labels."""
    n = inputs.n_comparisons
    count = budget.count(n)
    if count is not None:
        return np.ones(n), float(count)
    if inputs.extra_cost_usd is None or budget.usd is None:
        raise RoutingInputError("A budget in usd needs extra_cost_usd; pass it, or a count.")
    return np.maximum(np.asarray(inputs.extra_cost_usd, dtype=np.float64), 0.0), budget.usd


def _draw_audit(
    cost: FloatArray, limit: float, share: float, rng: np.random.Generator
) -> BoolArray:
    drawn = rng.permutation(len(cost))[: round(share * len(cost))]
    # Stop at the first that does not fit: skipping it would favour the cheap ones.
    paid = np.cumsum(cost[drawn]) <= limit * (1.0 + 1e-9)
    audit = np.zeros(len(cost), dtype=np.bool_)
    audit[drawn[paid]] = True
    return audit


def _target(cost: FloatArray, limit: float) -> int:
    """Return about how many comparisons the limit pays for."""
    total = float(cost.sum())
    share = 1.0 if total <= limit else limit / total
    return round(share * len(cost))


def _choose(
    policy: Policy,
    utility: FloatArray,
    cost: FloatArray,
    limit: float,
    is_audit: BoolArray,
    rng: np.random.Generator,
) -> BoolArray:
    """Return what the policy buys beside the audit.

    The first pass ignores which comparisons the audit drew, so that being chosen does not
    depend on the draw; what both want is paid once, and the second pass spends the rest.
    """
    # Many comparisons share all their tags; import order must not decide between them.
    ties = rng.permutation(len(utility))
    left = limit - float(cost[is_audit].sum())
    chosen = _buy(policy, utility, cost, left, ties)
    rest = np.where(chosen | is_audit, 0.0, utility)
    left = limit - float(cost[chosen | is_audit].sum())
    return chosen | _buy(policy, rest, cost, left, ties)


def _buy(
    policy: Policy, utility: FloatArray, cost: FloatArray, limit: float, ties: IntArray
) -> BoolArray:
    if not policy.is_random:
        return knapsack_by_ratio(utility, cost, max(limit, 0.0), tie_break=ties)
    order = np.argsort(-utility, kind="stable")
    order = order[utility[order] > 0]
    bought = np.zeros(len(utility), dtype=np.bool_)
    bought[order[affordable(cost[order], max(limit, 0.0))]] = True
    return bought


def _fill(
    inputs: RoutingInputs,
    cost: FloatArray,
    left: float,
    taken: BoolArray,
    rng: np.random.Generator,
) -> tuple[BoolArray, float]:
    """Return what the rest of the budget buys, and its chance where it is drawn by lot."""
    ties = rng.permutation(len(cost))
    if inputs.p_disagree is not None:
        # A floor keeps comparisons with probability 0 in the set that is bought.
        rest = np.where(taken, 0.0, np.maximum(inputs.p_disagree, 1e-9))
        return knapsack_by_ratio(rest, cost, max(left, 0.0), tie_break=ties), 0.0
    order = ties[~taken[ties]]
    bought = np.zeros(len(cost), dtype=np.bool_)
    bought[order[affordable(cost[order], max(left, 0.0))]] = True
    return bought, float(bought.sum() / max(len(order), 1))
