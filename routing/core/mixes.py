"""Candidate mixes: who labels what, drawn so that the effect of each tag can be told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from routing.core.arrays import BoolArray, FloatArray, IntArray, RoutingInputError, as_mask

METHODS: Final = ("pure", "tag_fill", "tilted")
_ROWS_PER_BLOCK: Final = 16_384


@dataclass(frozen=True)
class MixSet:
    """Hold candidate mixes.

    Attributes
    ----------
    human : ndarray of bool, shape (n_mixes, n)
        True where the human label is used, False where the judge's is.
    requested_budget : ndarray of int64, shape (n_mixes,)
        How many comparisons were to go to humans.
    method : ndarray of int64, shape (n_mixes,)
        Index into `METHODS`.
    """

    human: BoolArray
    requested_budget: IntArray
    method: IntArray


def sample_mixes(
    tags: npt.ArrayLike,
    n_mixes: int,
    *,
    seed: int,
    include_pure: bool = True,
    methods: Sequence[str] = ("tag_fill", "tilted"),
    budget: int | None = None,
) -> MixSet:
    """Draw candidate mixes.

    Parameters
    ----------
    tags : array-like of bool, shape (n, T)
        Tags of the comparisons.
    n_mixes : int
        Number of mixes, the pure ones included.
    seed : int
        Mix number k is drawn from (`seed`, k) alone, so a longer set begins with a shorter one.
    include_pure : bool, default True
        Put all-judge first and all-human second.
    methods : sequence of {"tag_fill", "tilted"}
        Taken in turn.
    budget : int, optional
        Same number of human labels in every mix; random between 1 and n - 1 when None.

    Returns
    -------
    MixSet
        `n_mixes` mixes over n comparisons.

    Raises
    ------
    RoutingInputError
        If a method is unknown, or `n_mixes` or `budget` is out of range.

    Notes
    -----
    Uniform random subsets would make every tag count proportional to the budget and leave the
    effects of tags unidentified; both methods avoid that. Tag-fill takes whole tag groups in
    random order; tilted takes the top of random tag weights plus Gumbel noise.

    References
    ----------
    Miranda et al., ACL 2025, algorithm 1 (tag-fill). Kool et al., "Stochastic beams and where
    to find them", ICML 2019, section 2.2 (Gumbel top-k).
    """
    matrix = as_mask("tags", tags)
    n = len(matrix)
    _check_request(n, n_mixes, methods, budget, 2 if include_pure else 0)
    mixes = MixSet(
        np.zeros((n_mixes, n), dtype=np.bool_),
        np.zeros(n_mixes, dtype=np.int64),
        np.zeros(n_mixes, dtype=np.int64),
    )
    first = 2 if include_pure else 0
    if include_pure:
        mixes.human[1] = True
        mixes.requested_budget[1] = n
    for index in range(first, n_mixes):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
        method = methods[(index - first) % len(methods)]
        size = int(rng.integers(1, n)) if budget is None else budget
        mixes.human[index, _SAMPLERS[method](matrix, size, rng)] = True
        mixes.requested_budget[index] = size
        mixes.method[index] = METHODS.index(method)
    return mixes


def _check_request(
    n: int, n_mixes: int, methods: Sequence[str], budget: int | None, n_pure: int
) -> None:
    if n < 2:
        raise RoutingInputError(f"tags has {n} rows; mixes need at least two comparisons.")
    if n_mixes < max(1, n_pure):
        raise RoutingInputError(f"n_mixes is {n_mixes}; pass at least {max(1, n_pure)}.")
    unknown = [method for method in methods if method not in _SAMPLERS]
    if unknown or not methods:
        raise RoutingInputError(f"methods {list(methods)}: choose from {sorted(_SAMPLERS)}.")
    if budget is not None and not 0 <= budget <= n:
        raise RoutingInputError(f"budget is {budget}; pass a count between 0 and {n}.")


def _tag_fill(tags: BoolArray, size: int, rng: np.random.Generator) -> IntArray:
    chosen = np.zeros(len(tags), dtype=np.bool_)
    room = size
    for tag in rng.permutation(tags.shape[1]):
        members = np.flatnonzero(tags[:, tag] & ~chosen)
        taken = rng.permutation(members)[:room]
        chosen[taken] = True
        room -= len(taken)
        if room == 0:
            return np.flatnonzero(chosen)
    untagged = rng.permutation(np.flatnonzero(~chosen))[:room]
    chosen[untagged] = True
    return np.flatnonzero(chosen)


def _tilted(tags: BoolArray, size: int, rng: np.random.Generator) -> IntArray:
    weight = rng.standard_normal(tags.shape[1])
    score = tags @ weight + rng.gumbel(size=len(tags))
    return np.argpartition(-score, size - 1)[:size] if size else np.empty(0, np.int64)


_SAMPLERS: Final[dict[str, Callable[[BoolArray, int, np.random.Generator], IntArray]]] = {
    "tag_fill": _tag_fill,
    "tilted": _tilted,
}


def mix_counts(tags: npt.ArrayLike, human: npt.ArrayLike) -> FloatArray:
    """Count, per mix and tag, the comparisons of the tag that humans label.

    Parameters
    ----------
    tags : array-like of bool, shape (n, T)
        Tags of the comparisons.
    human : array-like of bool, shape (n_mixes, n)
        Mixes.

    Returns
    -------
    ndarray of float64, shape (n_mixes, T)
        Exact counts.

    Raises
    ------
    RoutingInputError
        If shapes disagree.
    """
    matrix = as_mask("tags", tags)
    mixes = as_mask("human", human, len(matrix))
    counts = np.zeros((len(mixes), matrix.shape[1]))
    for start in range(0, len(matrix), _ROWS_PER_BLOCK):
        block = slice(start, start + _ROWS_PER_BLOCK)
        # float32 holds every count up to 2**24 exactly and is twice as fast.
        counts += mixes[:, block].astype(np.float32) @ matrix[block].astype(np.float32)
    return counts


def mix_features(tags: npt.ArrayLike, human: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Describe mixes by the share of each tag that humans label.

    Parameters
    ----------
    tags : array-like of bool, shape (n, T)
        Tags of the comparisons.
    human : array-like of bool, shape (n_mixes, n)
        Mixes.

    Returns
    -------
    shares : ndarray of float64, shape (n_mixes, T)
        Share in [0, 1] of the comparisons of a tag that go to humans; 0 for an absent tag.
    b : ndarray of float64, shape (n_mixes,)
        Share in [0, 1] of all comparisons that go to humans.

    Raises
    ------
    RoutingInputError
        If shapes disagree.
    """
    counts = mix_counts(tags, human)
    totals = np.asarray(tags, dtype=np.bool_).sum(axis=0)
    shares = counts / np.maximum(totals, 1)
    return shares, np.asarray(human, dtype=np.bool_).mean(axis=1)


def mix_targets(
    human: npt.ArrayLike, human_target: npt.ArrayLike, judge_target: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Build the training targets of one head per mix.

    Parameters
    ----------
    human : array-like of bool, shape (n_mixes, n)
        Mixes.
    human_target, judge_target : array-like of float, shape (n,)
        P(first preferred) in [0, 1]; a tie is 0.5 and stays 0.5; NaN where there is no label.

    Returns
    -------
    targets : ndarray of float64, shape (n, n_mixes)
        Target per comparison and mix; 0.5 where absent.
    weights : ndarray of float64, shape (n, n_mixes)
        1, or 0 where the chosen source has no label.

    Raises
    ------
    RoutingInputError
        If shapes disagree or a target lies outside [0, 1].
    """
    mixes = as_mask("human", human)
    given = [np.asarray(target, dtype=np.float64) for target in (judge_target, human_target)]
    if any(target.shape != (mixes.shape[1],) for target in given):
        raise RoutingInputError(
            f"judge_target and human_target have shapes {given[0].shape} and {given[1].shape}; "
            f"pass one target per comparison ({mixes.shape[1]})."
        )
    sources = np.stack(given)
    if (np.abs(sources - 0.5) > 0.5).any():
        raise RoutingInputError("A target lies outside [0, 1]; pass P(first preferred) or NaN.")
    picked = np.where(mixes.T, sources[1][:, None], sources[0][:, None])
    absent = np.isnan(picked)
    return np.where(absent, 0.5, picked), (~absent).astype(np.float64)
