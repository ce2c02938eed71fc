import numpy as np
import pytest

from routing.core.arrays import RoutingInputError
from routing.core.performance import category_mean, pairwise_performance


def test_four_categories_reproduce_the_published_overall() -> None:
    # Miranda et al., table 3, MultiPref hybrid: 94.4, 35.1, 74.8, 78.2 give 70.6.
    overall, _ = category_mean([94.4, 35.1, 74.8, 78.2], [0, 1, 2, 3])
    assert round(float(overall), 1) == 70.6


def test_subsets_weigh_inside_their_category_and_categories_weigh_alike() -> None:
    overall, per_category = category_mean([1.0, 0.0, 0.6], [4, 4, 9], weight=[3.0, 1.0, 100.0])
    np.testing.assert_allclose(per_category, [0.75, 0.6])
    assert overall == pytest.approx(0.675)


def test_heads_are_averaged_each_for_itself() -> None:
    overall, _ = category_mean([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], [0, 0, 1])
    np.testing.assert_allclose(overall, [0.75, 0.5])


def test_margins_agree_disagree_or_count_half() -> None:
    agreed = pairwise_performance([[2.0, -1.0], [0.0, -3.0]], [1.0, 0.0])
    np.testing.assert_array_equal(agreed, [[1.0, 0.0], [0.5, 1.0]])
    np.testing.assert_array_equal(pairwise_performance([2.0, 0.0], [0.0, 1.0]), [0.0, 0.5])


def test_swapping_responses_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    margin, target = rng.standard_normal((20, 3)), rng.integers(2, size=20).astype(float)
    np.testing.assert_array_equal(
        pairwise_performance(margin, target), pairwise_performance(-margin, 1 - target)
    )


def test_ties_have_no_accuracy() -> None:
    with pytest.raises(RoutingInputError, match="ties"):
        pairwise_performance([1.0], [0.5])


@pytest.mark.parametrize(
    ("values", "category", "weight", "message"),
    [
        ([1.0, 1.0], [0], None, "1 categories for 2 values"),
        ([1.0, 1.0], [0, 5], [1.0, 0.0], "Category 5 has no weight"),
    ],
)
def test_categories_that_do_not_fit_are_refused(
    values: list[float], category: list[int], weight: list[float] | None, message: str
) -> None:
    with pytest.raises(RoutingInputError, match=message):
        category_mean(values, category, weight)
