"""What the numeric core accepts, and the sentences with which it refuses the rest."""

from typing import Any

import numpy as np
import pytest

from modeling.core.types import (
    InvalidInputError,
    PairwiseData,
    as_integers,
    as_matrix,
    as_vector,
    require_keys,
)


def pairs(**changes: Any) -> PairwiseData:
    fields: dict[str, Any] = {
        "features": [[1.0, 2.0], [0.0, 5.0], [3.0, 3.0]],
        "first": [0, 2],
        "second": [1, 0],
        "target": [1.0, 0.5],
        "weight": [1.0, 2.0],
        "prompt": [7, 7],
    }
    return PairwiseData(**(fields | changes))


def test_differences_are_first_minus_second() -> None:
    np.testing.assert_array_equal(pairs().differences, [[1.0, -3.0], [2.0, 1.0]])


def test_lists_become_the_documented_types() -> None:
    data = pairs()
    types = [data.features.dtype, data.first.dtype, data.target.dtype, data.prompt.dtype]
    assert types == [np.float32, np.int64, np.float64, np.int64]


def test_pairs_and_prompts_are_counted() -> None:
    assert (pairs().n_pairs, pairs().n_prompts) == (2, 1)


def test_swapping_twice_gives_the_same_preferences() -> None:
    twice = pairs().swapped().swapped()
    np.testing.assert_array_equal(twice.target, pairs().target)
    np.testing.assert_array_equal(twice.first, pairs().first)


def test_swapping_negates_differences_and_mirrors_targets() -> None:
    swapped = pairs().swapped()
    np.testing.assert_array_equal(swapped.differences, -pairs().differences)
    np.testing.assert_array_equal(swapped.target, [0.0, 0.5])


def test_taking_by_mask_keeps_the_marked_pairs() -> None:
    kept = pairs().take(np.array([False, True]))
    assert (kept.first.tolist(), kept.weight.tolist()) == ([2], [2.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": [1.0, 2.0]}, r"features must be a matrix .* shape \(2,\)"),
        ({"features": [[1.0], [np.nan], [0.0]]}, "features must be finite; row 1 holds NaN"),
        ({"first": [0, 3]}, r"first must lie in 0\.\.2; row 1 is 3"),
        ({"second": [-1, 0]}, "second must lie in .* row 0 is -1"),
        ({"first": [0.0, 1.0]}, "first must hold integers; got float64"),
        ({"first": [[0, 1]]}, "first must be one-dimensional"),
        ({"target": [1.0, 1.5]}, "target must lie in .* row 1 is 1.5"),
        ({"target": [1.0, np.inf]}, "target must be finite; row 1"),
        ({"target": [1.0]}, "target has 1 rows; the others have 2"),
        ({"weight": [1.0, -1.0]}, "weight must not be negative; row 1 is -1.0"),
        ({"prompt": [1, 2, 3]}, "prompt has 3 rows; the others have 2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        pairs(**changes)


def test_no_pairs_are_allowed() -> None:
    empty = pairs(first=[], second=[], target=[], weight=[], prompt=[])
    assert (empty.n_pairs, empty.n_prompts) == (0, 0)


def test_a_matrix_is_refused_where_a_vector_is_meant() -> None:
    with pytest.raises(InvalidInputError, match="target must be one-dimensional"):
        as_vector("target", [[1.0]])


def test_booleans_count_as_integers() -> None:
    np.testing.assert_array_equal(as_integers("chosen", [True, False]), [1, 0])


def test_a_matrix_keeps_its_numbers() -> None:
    np.testing.assert_array_equal(as_matrix("features", [[1, 2]]), [[1.0, 2.0]])


def test_missing_stored_parts_are_named() -> None:
    with pytest.raises(InvalidInputError, match=r"artifact lacks bias; has \['weight'\]"):
        require_keys("artifact", {"weight": 1}, ("weight", "bias"))
