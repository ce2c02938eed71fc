"""Agreement figures against published worked examples and scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from modeling.core.agreement import (
    PairVerdict,
    agreement_interval,
    category_counts,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    one_vs_rest_majority,
    one_vs_rest_matches,
    percent_agreement,
)
from modeling.core.types import InvalidInputError

# Fleiss 1971 table as reprinted on Wikipedia: 10 subjects, 14 raters, 5 classes; kappa = 0.210.
FLEISS_COUNTS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
FLEISS = np.array([np.repeat(np.arange(5), row) for row in FLEISS_COUNTS])

# Krippendorff 2011, section C: four observers, twelve units, missing values;
# nominal alpha = 0.743, ordinal alpha = 0.815.
KRIPPENDORFF = (
    np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ]
    ).T
    - 1
)

codes = arrays(np.int64, (15, 3), elements=st.integers(-1, 2))


def test_verdicts_are_ordered_along_the_preference_scale() -> None:
    assert [PairVerdict.A, PairVerdict.TIE, PairVerdict.B] == [0, 1, 2]


def test_fleiss_kappa_of_the_published_example() -> None:
    assert fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_alpha_of_the_published_example(level: Any, expected: Any) -> None:
    assert krippendorff_alpha(KRIPPENDORFF, level) == pytest.approx(expected, abs=5e-4)


def test_cohen_kappa_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(3, size=200)
    second = np.where(rng.random(200) < 0.6, first, rng.integers(3, size=200))
    expected = cohen_kappa_score(first, second)
    assert cohen_kappa(first, second) == pytest.approx(expected)


def test_cohen_kappa_leaves_out_rows_that_one_annotator_skipped() -> None:
    assert cohen_kappa([0, 1, 0, 1, -1, 2], [0, 1, 1, 0, 1, -1]) == pytest.approx(0.0)


def test_two_annotators_with_equal_shares_have_equal_kappas() -> None:
    # With the same class shares for both, Cohen's and Fleiss' chance terms coincide.
    ratings = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
    assert fleiss_kappa(ratings) == pytest.approx(cohen_kappa(ratings[:, 0], ratings[:, 1]))


def test_percent_agreement_counts_pairs_of_labels() -> None:
    # Three of three pairs, then one of three, then a single label that has no pair.
    assert percent_agreement([[0, 0, 0], [1, 1, 2], [2, -1, -1]]) == pytest.approx(4 / 6)


def test_one_against_the_majority_of_the_others_by_hand() -> None:
    # Row 1: both 0s face a 0-1 split (undecided), the 1 faces two 0s and misses.
    # Row 2: all three hit.
    matches, rows = one_vs_rest_matches([[0, 0, 1], [2, 2, 2]])
    assert (matches.tolist(), rows.tolist()) == ([0.0, 1.0, 1.0, 1.0], [0, 1, 1, 1])
    assert one_vs_rest_majority([[0, 0, 1], [2, 2, 2]]) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "statistic", [percent_agreement, fleiss_kappa, krippendorff_alpha, one_vs_rest_majority]
)
def test_perfect_agreement_is_one(statistic: Callable[[Any], float]) -> None:
    assert statistic([[0, 0, -1], [1, 1, 1], [2, -1, 2]]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "statistic", [percent_agreement, fleiss_kappa, krippendorff_alpha, one_vs_rest_majority]
)
@pytest.mark.parametrize("ratings", [[[0, -1], [-1, 1]], np.full((3, 2), -1)])
def test_agreement_without_shared_comparisons_is_undefined(
    statistic: Callable[[Any], float], ratings: Any
) -> None:
    assert np.isnan(statistic(ratings))


@pytest.mark.parametrize("statistic", [fleiss_kappa, krippendorff_alpha])
def test_agreement_beyond_chance_is_undefined_where_only_one_class_is_used(
    statistic: Callable[[Any], float],
) -> None:
    assert np.isnan(statistic([[1, 1], [1, 1]]))


def test_cohen_kappa_without_shared_rows_is_undefined() -> None:
    assert np.isnan(cohen_kappa([0, -1], [-1, 1]))


def test_cohen_kappa_of_one_class_is_undefined() -> None:
    assert np.isnan(cohen_kappa([1, 1], [1, 1]))


@pytest.mark.parametrize("statistic", [percent_agreement, fleiss_kappa, krippendorff_alpha])
@given(
    ratings=codes, rows=st.permutations(list(range(15))), columns=st.permutations(list(range(3)))
)
def test_the_order_of_annotators_and_rows_changes_nothing(
    statistic: Callable[[Any], float], ratings: Any, rows: Any, columns: list[int]
) -> None:
    shuffled = statistic(ratings[rows][:, columns])
    np.testing.assert_allclose(shuffled, statistic(ratings), atol=1e-12)


@given(codes)
def test_nominal_alpha_does_not_care_about_class_names(ratings: Any) -> None:
    renamed = np.array([2, 0, 1, -1])[ratings]
    before, after = krippendorff_alpha(ratings), krippendorff_alpha(renamed)
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_labels_are_counted_by_class() -> None:
    counts = category_counts(np.array([[0, 2, 2], [-1, -1, 1]]))
    np.testing.assert_array_equal(counts, [[1, 0, 2], [0, 1, 0]])


def test_interval_surrounds_the_estimate_and_resamples_prompts() -> None:
    ratings = np.tile(KRIPPENDORFF, (5, 1))
    found = agreement_interval(
        krippendorff_alpha, ratings, np.tile(np.arange(12), 5), np.random.default_rng(0)
    )
    assert found.low < found.estimate < found.high
    assert found.n_groups == 12


def test_unknown_level_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="level must be 'nominal' or 'ordinal'"):
        krippendorff_alpha([[0, 1], [0, 0]], "ratio")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ([0, 1], "ratings must be a matrix"),
        ([[0, -2]], "minimum -2"),
        ([[0.0, 1.0]], "got float64"),
    ],
)
def test_ratings_that_are_no_class_codes_are_refused(ratings: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        fleiss_kappa(ratings)


def test_cohen_kappa_needs_equal_lengths() -> None:
    with pytest.raises(InvalidInputError, match="second has 1 rows"):
        cohen_kappa([0, 1], [0])
