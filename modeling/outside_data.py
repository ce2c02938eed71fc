"""Tests of a study on other files: out-of-distribution sets and RewardBench's pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modeling.core.reward_data import PairVotes
from modeling.core.types import InvalidInputError
from modeling.recorded import RecordedComparisons, human_truth, read_recorded

REWARD_BENCH = "reward-bench"
MIN_PAIRS = 10


@dataclass(frozen=True, eq=False)
class OutsideSet:
    """A file that models are tested on and never learn from.

    Parameters
    ----------
    name : str
        Name of the file, without its ending.
    recorded : RecordedComparisons
        What it holds.
    test : PairVotes
        Its pairs with the mean human vote, without prompts that the training file has too.
    n_shared : int
        Pairs left out because their prompts are in the training file.
    subset : list of str
        RewardBench's subset of each pair; empty for other files.
    """

    name: str
    recorded: RecordedComparisons
    test: PairVotes
    n_shared: int
    subset: list[str] = field(default_factory=list)


def read_outside(path: Path, trained: RecordedComparisons) -> OutsideSet:
    """Read an out-of-distribution set.

    Raises
    ------
    FormatError
        If the file cannot be read, naming row and field.
    InvalidInputError
        If too few human labels are left to test on.
    """
    return _outside(path, read_recorded(path), trained, {})


def read_reward_bench(path: Path, trained: RecordedComparisons) -> OutsideSet:
    """Read a file of RewardBench, version 1: prompt, chosen, rejected, subset, id.

    Raises
    ------
    FormatError
        If the file cannot be read, naming row and field.
    InvalidInputError
        If a row has more than two responses, or too few pairs are left.
    """
    subsets: dict[frozenset[int], str] = {}

    def note(row: int, rows: Sequence[int], metadata: Mapping[str, Any]) -> None:
        if len(rows) != 2:
            raise InvalidInputError(
                f"{path.name}, row {row}: has {len(rows)} responses; the official score is of "
                "pairs. Give a file of RewardBench version 1."
            )
        subsets[frozenset(rows)] = str(metadata.get("subset", ""))

    recorded = read_recorded(path, REWARD_BENCH, note=note)
    return _outside(path, recorded, trained, subsets)


def _outside(
    path: Path,
    recorded: RecordedComparisons,
    trained: RecordedComparisons,
    subsets: Mapping[frozenset[int], str],
) -> OutsideSet:
    every = human_truth(recorded.human)
    known = set(trained.prompts)
    is_shared = np.array([recorded.prompts[row] in known for row in every.first], dtype=np.bool_)
    test = every.take(np.flatnonzero(~is_shared))
    if test.n_votes < MIN_PAIRS:
        raise InvalidInputError(
            f"{path.name} has {test.n_votes} pairs with human labels on prompts that the training "
            f"file does not have; {MIN_PAIRS} are needed."
        )
    pairs = zip(test.first.tolist(), test.second.tolist(), strict=True)
    subset = [subsets[frozenset(pair)] for pair in pairs] if subsets else []
    return OutsideSet(path.stem, recorded, test, int(is_shared.sum()), subset)
