"""Which two of K responses to compare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from routing.core.acquisition.bald import mutual_information
from routing.core.arrays import BoolArray, FloatArray, RoutingInputError, as_matrix

Pair = tuple[int, int]
PairRule = Callable[[FloatArray, BoolArray, np.random.Generator], Pair]


def choose_pair(
    rule: str,
    rewards: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    asked: Collection[Pair] = (),
) -> Pair:
    """Choose two responses of one prompt.

    Parameters
    ----------
    rule : str
        One of `PAIR_RULES`.
    rewards : array-like of shape (S, K)
        Rewards of K responses by S members or posterior draws.
    rng : numpy.random.Generator
        Draws members and breaks ties.
    asked : collection of pairs of int, optional
        Pairs that have been compared already, in either order; none of them is chosen.

    Returns
    -------
    first, second : int
        Two different responses, the lower number first.

    Raises
    ------
    RoutingInputError
        If the rule is unknown, there are fewer than two responses, or every pair was asked.

    References
    ----------
    Melikidze et al., "ActiveUltraFeedback", arXiv 2603.09692 (the rules by name); Wu and Liu,
    "Double Thompson sampling for dueling bandits", NeurIPS 2016; Houlsby et al., arXiv 1112.5745.
    """
    values = as_matrix("rewards", rewards)
    n = values.shape[1]
    if rule not in PAIR_RULES:
        raise RoutingInputError(f"Unknown pair rule {rule!r}; use one of {', '.join(PAIR_RULES)}.")
    if n < 2:
        raise RoutingInputError(f"there are {n} responses; pass two or more.")
    is_open = ~np.eye(n, dtype=np.bool_)
    for first, second in asked:
        is_open[first, second] = is_open[second, first] = False
    if not is_open.any():
        raise RoutingInputError(f"all pairs of {n} responses were asked; choose another prompt.")
    first, second = PAIR_RULES[rule](values, is_open, rng)
    return (first, second) if first < second else (second, first)


def _open_pairs(is_open: BoolArray) -> list[Pair]:
    return [pair for pair in combinations(range(len(is_open)), 2) if is_open[pair]]


def _random(rewards: FloatArray, is_open: BoolArray, rng: np.random.Generator) -> Pair:
    pairs = _open_pairs(is_open)
    return pairs[int(rng.integers(len(pairs)))]


def _information(rewards: FloatArray, is_open: BoolArray, rng: np.random.Generator) -> Pair:
    """The pair whose label tells most about the reward model."""
    pairs = _open_pairs(is_open)
    firsts, seconds = (list(side) for side in zip(*pairs, strict=True))
    gain = mutual_information(rewards[:, firsts] - rewards[:, seconds])
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return pairs[int(rng.choice(best))]


def _double_thompson(rewards: FloatArray, is_open: BoolArray, rng: np.random.Generator) -> Pair:
    """The best response under one draw against the best other one under a second draw."""
    one, two = rewards[rng.integers(len(rewards), size=2)]
    first = int(np.where(is_open.any(axis=1), one, -np.inf).argmax())
    return first, int(np.where(is_open[first], two, -np.inf).argmax())


def _double_reversed_thompson(
    rewards: FloatArray, is_open: BoolArray, rng: np.random.Generator
) -> Pair:
    """The best response under one draw against the worst other one under a second draw."""
    one, two = rewards[rng.integers(len(rewards), size=2)]
    first = int(np.where(is_open.any(axis=1), one, -np.inf).argmax())
    return first, int(np.where(is_open[first], two, np.inf).argmin())


def _delta_ucb(rewards: FloatArray, is_open: BoolArray, rng: np.random.Generator) -> Pair:
    """The pair that might be farthest apart: upper bound of one less lower bound of the other."""
    mean, sd = rewards.mean(axis=0), rewards.std(axis=0)
    gap = np.where(is_open, (mean + sd)[:, None] - (mean - sd)[None, :], -np.inf)
    first, second = np.unravel_index(int(gap.argmax()), gap.shape)
    return int(first), int(second)


PAIR_RULES: Final[Mapping[str, PairRule]] = MappingProxyType(
    {
        "information": _information,
        "double_thompson": _double_thompson,
        "double_reversed_thompson": _double_reversed_thompson,
        "delta_ucb": _delta_ucb,
        "random": _random,
    }
)
