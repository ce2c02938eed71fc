"""Published figures of the real preference sets, reproduced; skipped where the sets are absent."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modeling.core.aggregation import NO_CONSENSUS, DawidSkene, majority, votes_from_ratings
from modeling.core.agreement import (
    PairVerdict,
    cohen_kappa,
    krippendorff_alpha,
    one_vs_rest_majority,
    percent_agreement,
)
from modeling.core.types import IntArray

CODES = {0: PairVerdict.A, "tie": PairVerdict.TIE, 1: PairVerdict.B}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    path = Path(os.environ.get("TANDEM_DATA") or "../shared/data") / "pandalm.jsonl"
    if not path.exists():
        pytest.skip(f"the three-human set is not at {path}; set TANDEM_DATA to its folder")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def ratings(rows: list[dict[str, Any]]) -> IntArray:
    by_name = [sorted(row["human"], key=lambda label: label["annotator"]) for row in rows]
    return np.array([[CODES[label["preference"]] for label in labels] for labels in by_name])


def judge_codes(rows: list[dict[str, Any]], judge: str) -> IntArray:
    labels = [{vote["judge"]: vote["preference"] for vote in row["llm"]} for row in rows]
    return np.array([CODES[own[judge]] if judge in own else -1 for own in labels])


def test_humans_agree_as_published(ratings: Any) -> None:
    assert percent_agreement(ratings) == pytest.approx(0.920, abs=5e-4)
    assert one_vs_rest_majority(ratings) == pytest.approx(0.957, abs=6e-4)
    assert krippendorff_alpha(ratings) == pytest.approx(0.864, abs=5e-4)


@pytest.mark.parametrize(("pair", "kappa"), [((0, 1), 0.852), ((1, 2), 0.862), ((0, 2), 0.879)])
def test_kappas_are_as_published(ratings: Any, pair: tuple[int, int], kappa: float) -> None:
    first, second = pair
    assert cohen_kappa(ratings[:, first], ratings[:, second]) == pytest.approx(kappa, abs=5e-4)


def test_the_majority_is_as_published(ratings: Any) -> None:
    labels = majority(votes_from_ratings(ratings, 3))
    assert (labels == PairVerdict.TIE).sum() == 105
    assert (labels == NO_CONSENSUS).sum() == 0
    assert (ratings == ratings[:, :1]).all(axis=1).sum() == 879


@pytest.mark.parametrize(
    ("judge", "n_parsed", "share"), [("gpt-3.5-turbo", 974, 0.716), ("pandalm-7b", 999, 0.668)]
)
def test_judges_match_the_human_majority_as_published(
    rows: Any, ratings: Any, judge: str, n_parsed: int, share: float
) -> None:
    codes, labels = judge_codes(rows, judge), majority(votes_from_ratings(ratings, 3))
    parsed = codes >= 0
    assert parsed.sum() == n_parsed
    assert (codes == labels)[parsed].mean() == pytest.approx(share, abs=6e-4)


def test_dawid_skene_trusts_humans_more_than_judges(rows: Any, ratings: Any) -> None:
    judges = np.column_stack([judge_codes(rows, name) for name in ("gpt-3.5-turbo", "pandalm-7b")])
    model = DawidSkene().fit(votes_from_ratings(np.hstack([ratings, judges]), 3))
    assert model.accuracy_[:3].min() > 0.93
    assert model.accuracy_[3:].max() < 0.75
