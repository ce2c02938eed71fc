"""What labels and reward model say about the candidates, and which pair each stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from modeling.artifacts import LoadedRewardModel
from modeling.tables import LabelTable
from routing.acquisition.posteriors import belief_of
from routing.acquisition.project_labels import ProjectLabels
from routing.choices import INFORMATION_PAIR, LAPLACE_POSTERIOR, MEMBERS_POSTERIOR
from routing.core.acquisition.bald import gaussian_mutual_information, mutual_information
from routing.core.acquisition.gaussian import GaussianPosterior
from routing.core.acquisition.pairs import Pair, choose_pair
from routing.core.arrays import FloatArray, IntArray

_N_TARGETS = 500
_N_DRAWS = 256

AskedPairs = dict[int, set[Pair]]
"""Places of the responses whose pairs were asked already, by comparison."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What is not known about every pair of a project.

    ``columns`` are those of ``AcquisitionInputs`` that belong to no candidate; ``rewards`` gives,
    for some rows of responses, one row per member or draw and one column per response.
    """

    information: FloatArray
    rewards: Callable[[IntArray], FloatArray]
    logits: FloatArray | None
    columns: dict[str, Any]


def uncertainty_of(
    labels: ProjectLabels,
    loaded: LoadedRewardModel,
    *,
    kind: str,
    pending: IntArray,
    rng: np.random.Generator,
) -> Uncertainty:
    """Fit a posterior of the named kind to all labels, judges' soft ones included.

    Parameters
    ----------
    labels
        All pairs of the project.
    loaded
        The newest reward model; its members are one kind of posterior.
    kind
        One of ``ROUND_POSTERIORS``.
    pending
        Rows of pairs whose labels are on their way.
    rng
        Seeds ensembles and draws.
    """
    train = np.flatnonzero(labels.weight > 0)
    known = np.concatenate([train, pending])
    weight = np.concatenate([np.minimum(labels.weight[train], 1.0), np.ones(len(pending))])
    columns: dict[str, Any] = {
        "labelled_differences": labels.sides.take(known).differences,
        "labelled_weight": weight,
    }
    if kind == MEMBERS_POSTERIOR or not len(train):
        rewards = loaded.member_rewards(labels.features).astype(np.float64)
        return _of_members(labels, rewards / loaded.ensemble.temperature_, known, columns)
    belief = belief_of(
        labels.labelled(train), kind=kind, typical_square=labels.typical_square, rng=rng
    )
    if kind != LAPLACE_POSTERIOR:
        assert belief.rewards is not None
        return _of_members(labels, belief.rewards(labels.columns), known, columns)
    assert belief.gaussian is not None
    posterior = belief.gaussian.with_pending(labels.sides.take(pending).differences)
    return _of_gaussian(labels, posterior, columns, rng)


def _of_members(
    labels: ProjectLabels, rewards: FloatArray, known: IntArray, columns: dict[str, Any]
) -> Uncertainty:
    logits = rewards[:, labels.table.first] - rewards[:, labels.table.second]
    columns = columns | {
        "labelled_logits": logits[:, known],
        "target_logits": logits[:, _targets(labels)],
    }
    return Uncertainty(mutual_information(logits), lambda r: rewards[:, r], logits, columns)


def _of_gaussian(
    labels: ProjectLabels,
    posterior: GaussianPosterior,
    columns: dict[str, Any],
    rng: np.random.Generator,
) -> Uncertainty:
    information = gaussian_mutual_information(*posterior.moments(labels.sides.differences))

    def rewards(rows: IntArray) -> FloatArray:
        return posterior.sample_logits(labels.columns[rows], _N_DRAWS, rng)

    return Uncertainty(information, rewards, None, columns | {"posterior": posterior})


def _targets(labels: ProjectLabels) -> IntArray:
    n = labels.table.n_pairs
    return np.arange(0, n, max(1, n // _N_TARGETS))


def inputs_of(labels: ProjectLabels, known: Uncertainty, rows: IntArray) -> dict[str, Any]:
    """The columns of ``AcquisitionInputs`` for candidates that stand for these pairs."""
    columns = known.columns | {
        "difference_features": labels.sides.take(rows).differences,
        "target_differences": labels.sides.take(_targets(labels)).differences,
    }
    return columns if known.logits is None else columns | {"logits": known.logits[:, rows]}


@dataclass(frozen=True, eq=False)
class PairLayout:
    """Where the pairs of each comparison stand in a label table: side by side, in one order."""

    ids: IntArray
    start: IntArray
    counts: IntArray

    @classmethod
    def of(cls, table: LabelTable) -> PairLayout:
        """Read the layout of a table."""
        return cls(*np.unique(table.comparison_ids, return_index=True, return_counts=True))

    def place(self, comparison_id: int) -> int:
        """Position of a comparison among the ids."""
        return int(np.searchsorted(self.ids, comparison_id))

    def pairs(self, place: int) -> list[Pair]:
        """Places of the responses of every pair, in the order of the rows."""
        # K responses have K (K - 1) / 2 pairs.
        n_responses = round((1 + np.sqrt(1 + 8 * int(self.counts[place]))) / 2)
        return list(combinations(range(n_responses), 2))

    def row(self, comparison_id: int, pair: Pair) -> int:
        """Row of a pair."""
        place = self.place(comparison_id)
        return int(self.start[place]) + self.pairs(place).index(pair)

    def pair(self, comparison_id: int, row: int) -> Pair:
        """Places of the two responses of a row."""
        place = self.place(comparison_id)
        return self.pairs(place)[row - int(self.start[place])]

    def responses(self, table: LabelTable, comparison_id: int) -> IntArray:
        """Feature rows of a comparison's responses, in canonical order."""
        place = self.place(comparison_id)
        start, n = int(self.start[place]), self.pairs(place)[-1][1]
        # The first K - 1 pairs are those of the first response.
        return np.append(table.first[start], table.second[start : start + n])


def pair_rows(
    labels: ProjectLabels,
    known: Uncertainty,
    comparison_ids: IntArray,
    *,
    rule: str = INFORMATION_PAIR,
    asked: AskedPairs,
    rng: np.random.Generator,
) -> IntArray:
    """Return, per candidate, the row of the pair that it stands for under a rule.

    Of two responses there is one pair. Of more, pairs in ``asked`` are left out; the rule
    ``information`` takes the pair whose label tells most under the posterior itself, the others
    work on rewards of members or draws.
    """
    layout, information = PairLayout.of(labels.table), known.information.copy()
    for comparison, pairs in asked.items():
        information[[layout.row(comparison, pair) for pair in pairs]] = -1.0
    order = np.lexsort((-information, labels.table.comparison_ids))
    places = np.searchsorted(layout.ids, comparison_ids)
    ends = np.cumsum(layout.counts) - layout.counts
    chosen = np.asarray(order[ends[places]], dtype=np.int64)
    if rule == INFORMATION_PAIR:
        return chosen
    for place in np.flatnonzero(layout.counts[places] > 1).tolist():
        comparison = int(comparison_ids[place])
        rewards = known.rewards(layout.responses(labels.table, comparison))
        pair = choose_pair(rule, rewards, rng, asked=asked.get(comparison, ()))
        chosen[place] = layout.row(comparison, pair)
    return chosen
