"""How strategies take candidates: per-prompt quotas, tie-breaking, ranked and greedy picks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from routing.core.acquisition.base import AcquisitionInputs, Selection, make_selection
from routing.core.arrays import BoolArray, FloatArray, HashArray, IntArray

_UNCAPPED: Final = np.iinfo(np.int64).max // 4


class Quota:
    """Count how many more candidates of each prompt this batch may take.

    Both caps are one number per prompt. When nothing may be taken any more and the batch is
    not full, every number is raised by one: a batch is full whenever candidates remain.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates and caps.
    batch_size : int
        Size of the batch.

    Attributes
    ----------
    left : ndarray of int64, shape (P,)
        Picks left per prompt; may be negative where a cap is exceeded already.
    n_relaxed : int
        How often the caps were raised.
    """

    def __init__(self, inputs: AcquisitionInputs, batch_size: int) -> None:
        self.n_relaxed = 0
        self.left = np.full(inputs.n_prompts, _UNCAPPED, dtype=np.int64)
        if inputs.per_prompt_cap is not None:
            held = 0 if inputs.batch_count is None else inputs.batch_count
            self.left = np.minimum(self.left, inputs.per_prompt_cap - held)
        if inputs.fair_share and inputs.n_candidates:
            self.left = np.minimum(self.left, _fair_share(inputs, batch_size) - inputs.counts)
        outliers = outlier_prompts(inputs)
        self.left[outliers] = np.minimum(self.left[outliers], 0)

    def allows(self, prompts: IntArray) -> BoolArray:
        """Return which of some prompts may still be taken from.

        Parameters
        ----------
        prompts : ndarray of int64, shape (n,)
            Prompt codes.

        Returns
        -------
        ndarray of bool, shape (n,)
            True where at least one pick is left.
        """
        return np.asarray(self.left[prompts] > 0)

    def take(self, prompt: int) -> None:
        """Count one pick of a prompt.

        Parameters
        ----------
        prompt : int
            Prompt code.
        """
        self.left[prompt] -= 1

    def relax(self) -> None:
        """Raise the caps of all prompts by one."""
        self.left += 1
        self.n_relaxed += 1


def _fair_share(inputs: AcquisitionInputs, batch_size: int) -> int:
    """Return the cap over all rounds: 1 + acquired // open prompts, raised until B fit."""
    counts = inputs.counts
    held = counts[inputs.prompt]
    share = 1 + int(counts.sum()) // len(np.unique(inputs.prompt))
    size = min(batch_size, inputs.n_candidates)
    # The size-th smallest count must lie under the cap, so that B candidates satisfy it.
    return max(share, int(np.partition(held, size - 1)[size - 1]) + 1) if size else share


def outlier_prompts(inputs: AcquisitionInputs) -> IntArray:
    """Return the prompts farthest from all others.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates; without a graph there are no outliers.

    Returns
    -------
    ndarray of int64
        Codes of the `outlier_share` of prompts of largest radius.
    """
    if inputs.prompt_graph is None:
        return np.empty(0, dtype=np.int64)
    n_outliers = int(inputs.outlier_share * inputs.n_prompts)
    return np.argsort(-inputs.prompt_graph.radii, kind="stable")[:n_outliers]


def tie_breaker(inputs: AcquisitionInputs, rng: np.random.Generator) -> HashArray:
    """Return the given tie hashes, or random ones.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates.
    rng : numpy.random.Generator
        Used when the inputs carry no hashes.

    Returns
    -------
    ndarray of uint64, shape (n,)
        Lower goes first.
    """
    if inputs.tie_hash is not None:
        return np.asarray(inputs.tie_hash, dtype=np.uint64)
    return rng.integers(2**63, size=inputs.n_candidates, dtype=np.uint64)


def tie_hashes(external_ids: Iterable[str], *, seed: int, round_number: int) -> HashArray:
    """Return tie-breaking hashes that do not depend on the order of rows.

    Parameters
    ----------
    external_ids : iterable of str
        Identifiers of the candidates.
    seed : int
        Seed of the project.
    round_number : int
        Number of the round, so that ties fall differently each time.

    Returns
    -------
    ndarray of uint64, shape (n,)
        One hash per identifier.
    """
    salt = f"{seed}/{round_number}/"
    digests = (
        hashlib.blake2b(f"{salt}{name}".encode(), digest_size=8).digest() for name in external_ids
    )
    return np.fromiter((int.from_bytes(d, "big") for d in digests), dtype=np.uint64)


def pick_ranked(
    inputs: AcquisitionInputs, utility: FloatArray, batch_size: int, rng: np.random.Generator
) -> Selection:
    """Take the best utilities that the quota allows.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates and caps.
    utility : ndarray of float64, shape (n,)
        Utility of each candidate, which does not change during the batch.
    batch_size : int
        How many to take, at most n.
    rng : numpy.random.Generator
        Breaks ties when the inputs carry no hashes.

    Returns
    -------
    Selection
        `batch_size` candidates; part ``relaxed`` tells how often caps had been raised.
    """
    quota = Quota(inputs, batch_size)
    waiting = np.lexsort((tie_breaker(inputs, rng), -utility)).tolist()
    picks: list[int] = []
    relaxed: list[int] = []
    while len(picks) < batch_size:
        set_aside = []
        for row in waiting:
            if len(picks) == batch_size:
                break
            prompt = int(inputs.prompt[row])
            if quota.left[prompt] <= 0:
                set_aside.append(row)
                continue
            quota.take(prompt)
            picks.append(row)
            relaxed.append(quota.n_relaxed)
        waiting = set_aside
        quota.relax()
    return make_selection(picks, utility[picks], {"relaxed": np.asarray(relaxed, np.int64)})


def pick_sequentially(
    inputs: AcquisitionInputs,
    batch_size: int,
    choose: Callable[[BoolArray], tuple[int, float]],
) -> Selection:
    """Take one candidate after the other where each choice depends on those before it.

    Parameters
    ----------
    inputs : AcquisitionInputs
        Candidates and caps.
    batch_size : int
        How many to take, at most n.
    choose : callable
        Receives which candidates are open, bool of shape (n,), at least one of them, and
        returns the chosen one with its utility; it keeps its own state.

    Returns
    -------
    Selection
        `batch_size` candidates; part ``relaxed`` tells how often caps had been raised.
    """
    quota = Quota(inputs, batch_size)
    untaken = np.ones(inputs.n_candidates, dtype=np.bool_)
    picks: list[int] = []
    utilities: list[float] = []
    relaxed: list[int] = []
    while len(picks) < batch_size:
        open_ = untaken & quota.allows(inputs.prompt)
        if not open_.any():
            quota.relax()
            continue
        row, utility = choose(open_)
        untaken[row] = False
        quota.take(int(inputs.prompt[row]))
        picks.append(row)
        utilities.append(utility)
        relaxed.append(quota.n_relaxed)
    return make_selection(picks, utilities, {"relaxed": np.asarray(relaxed, np.int64)})


def argbest(utility: FloatArray, open_: BoolArray, tie_hash: HashArray) -> int:
    """Return the open candidate of largest utility, ties by hash.

    Parameters
    ----------
    utility : ndarray of float64, shape (n,)
        Utilities.
    open_ : ndarray of bool, shape (n,)
        Candidates that may be taken; at least one.
    tie_hash : ndarray of uint64, shape (n,)
        Lower goes first among equals.

    Returns
    -------
    int
        Row number.
    """
    rows = np.flatnonzero(open_)
    values = utility[rows]
    best = rows[values == values.max()]
    return int(best[tie_hash[best].argmin()])
