"""One seed of a replay: route the recorded comparisons, count what was bought, train on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modeling.core.metrics import group_split
from routing.core.arrays import BoolArray, FloatArray, IntArray
from routing.core.budget import Budget
from routing.core.policies import RoutingInputs
from routing.core.spending import route
from routing.replay.fitting import Learner, head_hits, head_log_likelihoods, train_on
from routing.replay.pool import Pool, side_class
from routing.replay.settings import NEEDS_PPM, POLICY_IDS, BudgetLevel, ReplaySettings

TEST_SHARE = 0.4
_N_FOLDS = 5


@dataclass(frozen=True)
class Cell:
    """One policy under one budget."""

    policy: str
    budget: BudgetLevel


@dataclass(frozen=True)
class Trial:
    """What one seed saw, one column per cell; NaN where a comparison was not looked at."""

    label_right: FloatArray
    to_human: BoolArray
    is_fill: BoolArray
    test_rows: IntArray
    log_likelihood: FloatArray
    hit: FloatArray


def cells_of(settings: ReplaySettings) -> list[Cell]:
    """Every policy with every budget, in the order of the report."""
    return [Cell(policy, budget) for policy in settings.policies for budget in settings.budgets]


def run_trial(
    pool: Pool, cost: FloatArray, cells: Sequence[Cell], settings: ReplaySettings, seed: int
) -> Trial:
    """Route everything for the labels; route a part and train on it for the reward models.

    The labels of the test prompts reach neither the heads nor what the policies learnt.
    """
    rng = np.random.default_rng([seed, 2])
    everywhere, fill = routed(pool, cost, cells, settings, rng, seed)
    # By a generator of its own: what policies draw must not change what they are tested on.
    parts = np.random.default_rng([seed, 3])
    train_rows, test_rows = group_split(pool.prompt, [1 - TEST_SHARE, TEST_SHARE], parts)
    train, test = pool.take(train_rows), pool.take(test_rows)
    bought, _ = routed(train, cost[train_rows], cells, settings, rng, seed)
    heads = train_on(train, bought)
    return Trial(
        label_right=_right(pool, everywhere).T,
        to_human=everywhere.T,
        is_fill=fill.T,
        test_rows=test_rows,
        log_likelihood=head_log_likelihoods(heads, test),
        hit=head_hits(heads, test),
    )


def _right(pool: Pool, human: BoolArray) -> FloatArray:
    """Whether the label bought is the truth, three verdicts told apart; NaN without a truth."""
    label = np.where(human, side_class(pool.bought), side_class(pool.judge))
    return np.where(np.isnan(pool.truth), np.nan, label == pool.truth)


def routed(
    pool: Pool,
    cost: FloatArray,
    cells: Sequence[Cell],
    settings: ReplaySettings,
    rng: np.random.Generator,
    seed: int,
) -> tuple[BoolArray, BoolArray]:
    """Who gets a human label, and which of them only to spend the budget, both (cells, n).

    Each fold is a new pool to the models of the others.
    """
    groups = np.unique(pool.prompt, return_inverse=True)[1]
    fold = (rng.permutation(int(groups.max()) + 1) % _N_FOLDS)[groups]
    needs_ppm = any(cell.policy in NEEDS_PPM for cell in cells)
    learner = Learner(needs_ppm, settings.max_error, seed)
    human = np.zeros((len(cells), pool.n), dtype=np.bool_)
    fill = human.copy()
    n_before = 0
    for number in range(_N_FOLDS):
        rows = np.flatnonzero(fold == number)
        inputs = learner.apply(pool.take(fold != number), pool.take(rows), rng)
        priced = replace(inputs, extra_cost_usd=cost[rows])
        part = _Part(n_before, len(rows), float(cost[rows].sum() / max(cost.sum(), 1e-12)))
        for place, cell in enumerate(cells):
            human[place, rows], fill[place, rows] = _chosen(cell, priced, part, rng)
        n_before += len(rows)
    return human, fill


@dataclass(frozen=True)
class _Part:
    """How much of a pool a fold is, so that the folds' budgets add up to the whole one."""

    n_before: int
    n: int
    share_of_cost: float

    def budget(self, level: BudgetLevel) -> Budget:
        """The part of a budget that falls to this fold."""
        if level.usd is not None:
            return Budget(usd=level.usd * self.share_of_cost)
        share = level.share or 0.0
        ends = [int(share * n + 1e-9) for n in (self.n_before, self.n_before + self.n)]
        return Budget(n_human=ends[1] - ends[0])


def _chosen(
    cell: Cell, inputs: RoutingInputs, part: _Part, rng: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    if cell.policy == "all_human":
        everyone = np.ones(inputs.n_comparisons, dtype=np.bool_)
        return everyone, ~everyone
    if cell.policy not in NEEDS_PPM:
        # Gains that nobody reads are not computed.
        inputs = replace(inputs, ppm=None)
    budget = part.budget(cell.budget)
    routing = route(POLICY_IDS[cell.policy], inputs, budget, rng, audit_share=0.0)
    return routing.to_human, routing.is_fill
