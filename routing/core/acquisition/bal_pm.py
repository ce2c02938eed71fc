"""BAL-PM: information about the preference plus spread over the prompts."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import digamma

from routing.core.acquisition.bald import label_information
from routing.core.acquisition.base import AcquisitionInputs, Selection, Strategy, make_selection
from routing.core.acquisition.neighbours import (
    Lists,
    PromptGraph,
    ball_counts,
    build_prompt_graph,
    item_graph,
)
from routing.core.acquisition.picking import Quota, tie_breaker
from routing.core.arrays import FloatArray, HashArray, IntArray

# Radii of 0 need a floor; relative to the median, so that rescaling embeddings changes nothing.
_RELATIVE_FLOOR: Final = 1e-4


@dataclass(frozen=True)
class PromptEntropy:
    """Compute the prompt-entropy term e(x) = ln(2 rho(x) + eps) - psi(n(x) + 1) / d_X.

    Attributes
    ----------
    log_diameter : ndarray of float64, shape (P,)
        ln(2 rho + eps) of each prompt.
    count_term : ndarray of float64
        psi(n + 1) / d_X for n = 0, 1, 2, …

    References
    ----------
    Melo et al., NeurIPS 2024, eq. 11 and algorithm 1.
    """

    log_diameter: FloatArray
    count_term: FloatArray

    @classmethod
    def of(cls, graph: PromptGraph, max_count: int, count_dimension: float) -> PromptEntropy:
        """Tabulate the term.

        Parameters
        ----------
        graph : PromptGraph
            Radii.
        max_count : int
            Largest count that will be asked for.
        count_dimension : float
            Divisor d_X of the count term.

        Returns
        -------
        PromptEntropy
            The table.
        """
        diameter = 2.0 * graph.radii
        scale = float(np.median(diameter)) or float(diameter.mean()) or 1.0
        steps = digamma(np.arange(max_count + 1) + 1.0) / count_dimension
        return cls(np.log(diameter + _RELATIVE_FLOOR * scale), steps)

    def __call__(self, prompt: int, count: int) -> float:
        """Return the term of one prompt.

        Parameters
        ----------
        prompt : int
            Prompt code.
        count : int
            Acquired comparisons in its ball.

        Returns
        -------
        float
            The term in nats; its level is arbitrary, differences are not.
        """
        return float(self.log_diameter[prompt] - self.count_term[count])


CALIBRATE_FROM: Final = 200
"""Labels from which the spread of the information says something about the pool."""


def calibrate_beta(inputs: AcquisitionInputs, *, c: float = 0.25) -> float:
    """Return a beta that makes the first count step worth c standard deviations.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates at the first round with `CALIBRATE_FROM` labels or more; freeze the result, so
        that the information can outgrow the prompts as it does in the published runs.
    c : float, default 0.25
        Standard deviations of the mutual information per count step.

    Returns
    -------
    float
        Weight of the prompt-entropy term, in nats.
    """
    return c * float(label_information(inputs).std())


def _select(inputs: AcquisitionInputs, batch_size: int, rng: np.random.Generator) -> Selection:
    graph = inputs.prompt_graph
    if graph is None:
        graph = build_prompt_graph(_embeddings(inputs), n_neighbours=inputs.n_neighbours)
    return _Batch(replace(inputs, prompt_graph=graph), graph, batch_size, rng).fill()


def _select_item_graph(
    inputs: AcquisitionInputs, batch_size: int, rng: np.random.Generator
) -> Selection:
    n_open = np.bincount(inputs.prompt, minlength=inputs.n_prompts)
    graph = item_graph(
        _embeddings(inputs), n_open + inputs.counts, n_neighbours=inputs.n_neighbours
    )
    return _Batch(inputs, graph, batch_size, rng).fill()


def _embeddings(inputs: AcquisitionInputs) -> FloatArray:
    return np.asarray(inputs.prompt_embeddings, dtype=np.float64)


class _Batch:
    """Fill one batch greedily: a sorted list of first scores, and a heap of what has fallen.

    One entry per prompt suffices: the entropy term is the same for all its candidates, so the
    best of them is the one of largest mutual information. Scores only fall inside a batch, since
    counts only grow; an entry that is out of date when its turn comes goes to the heap with its
    present score, so the result equals a full rescan after every pick. What is never reached
    costs one sort.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates.
    graph : PromptGraph
        Balls, radii and reverse lists.
    batch_size : int
        How many to pick, at most n.
    rng : numpy.random.Generator
        Breaks ties when the inputs carry no hashes.
    """

    def __init__(
        self,
        inputs: AcquisitionInputs,
        graph: PromptGraph,
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        self.inputs, self.reverse = inputs, graph.reverse
        self.batch_size = batch_size
        self.information = label_information(inputs)
        self.hashes = tie_breaker(inputs, rng)
        self.n = ball_counts(graph, inputs.counts)
        top = int(self.n.max()) + batch_size if len(self.n) else batch_size
        self.entropy = PromptEntropy.of(graph, top, inputs.count_dimension)
        self.quota = Quota(inputs, batch_size)
        self.queue = _queues(inputs, self.information, self.hashes)
        self.next = self.queue.indptr[:-1].copy()
        self.log: list[tuple[int, float, float, int, int]] = []
        self.heap: list[tuple[float, int, int]] = []
        self.sorted, self.place = self._sorted(np.flatnonzero(np.diff(self.queue.indptr))), 0

    def fill(self) -> Selection:
        """Pick until the batch is full, raising caps when nothing else is left.

        Returns
        -------
        Selection
            The batch.
        """
        set_aside: list[int] = []
        while len(self.log) < self.batch_size:
            best = self._pop()
            if best is None:
                self.quota.relax()
                self.heap = [self._entry(prompt) for prompt in set_aside]
                heapq.heapify(self.heap)
                set_aside = []
                continue
            key, _, prompt = best
            if self.quota.left[prompt] <= 0:
                set_aside.append(prompt)
                continue
            entry = self._entry(prompt)
            if entry[0] > key:
                heapq.heappush(self.heap, entry)
                continue
            self._pick(prompt, -key)
            if self.next[prompt] < self.queue.indptr[prompt + 1]:
                heapq.heappush(self.heap, self._entry(prompt))
        return self._selection()

    def _sorted(self, prompts: IntArray) -> IntArray:
        """Order prompts by the score of their best candidate, ties by its hash."""
        rows = self.queue.indices[self.next[prompts]]
        self.first_score = np.full(len(self.n), -np.inf)
        self.first_score[prompts] = self._scores(prompts, rows)
        return prompts[np.lexsort((self.hashes[rows], -self.first_score[prompts]))]

    def _scores(self, prompts: IntArray, rows: IntArray) -> FloatArray:
        term = self.entropy.log_diameter[prompts] - self.entropy.count_term[self.n[prompts]]
        return np.asarray(self.information[rows] + self.inputs.beta * term)

    def _pop(self) -> tuple[float, int, int] | None:
        """Take the best entry of the sorted list and the heap."""
        if self.place == len(self.sorted):
            return heapq.heappop(self.heap) if self.heap else None
        prompt = int(self.sorted[self.place])
        row = self.queue.indices[self.queue.indptr[prompt]]
        entry = (-float(self.first_score[prompt]), int(self.hashes[row]), prompt)
        if self.heap and self.heap[0] < entry:
            return heapq.heappop(self.heap)
        self.place += 1
        return entry

    def _entry(self, prompt: int) -> tuple[float, int, int]:
        rows = self.queue.indices[self.next[prompt] : self.next[prompt] + 1]
        score = self._scores(np.array([prompt]), rows)
        return -float(score[0]), int(self.hashes[rows[0]]), prompt

    def _pick(self, prompt: int, score: float) -> None:
        row, count = int(self.queue.indices[self.next[prompt]]), int(self.n[prompt])
        self.log.append((row, score, self.entropy(prompt, count), count, self.quota.n_relaxed))
        self.next[prompt] += 1
        self.quota.take(prompt)
        self.n[prompt] += 1
        self.n[self.reverse.row(prompt)] += 1

    def _selection(self) -> Selection:
        rows, scores, terms, counts, relaxed = zip(*self.log, strict=True)
        parts = {
            "mutual_information": self.information[list(rows)],
            "prompt_entropy": np.asarray(terms),
            "count": np.asarray(counts, dtype=np.int64),
            "relaxed": np.asarray(relaxed, dtype=np.int64),
        }
        return make_selection(rows, scores, parts)


def _queues(inputs: AcquisitionInputs, information: FloatArray, hashes: HashArray) -> Lists:
    """Return the candidates of each prompt, most informative first."""
    order: IntArray = np.lexsort((hashes, -information, inputs.prompt))
    sizes = np.bincount(inputs.prompt, minlength=inputs.n_prompts)
    return Lists(np.concatenate([[0], np.cumsum(sizes)]), order)


BAL_PM: Final = Strategy(
    "bal_pm-v1",
    "BAL-PM",
    "What the members disagree about, spread over prompts unlike those already labelled.",
    ("prompt_graph|prompt_embeddings",),
    _select,
)
BAL_PM_ITEM: Final = Strategy(
    "bal_pm_item-v1",
    "BAL-PM as published",
    "BAL-PM on a graph of comparisons instead of distinct prompts.",
    ("prompt_embeddings",),
    _select_item_graph,
)
