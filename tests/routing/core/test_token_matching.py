"""Greedy token matching, by hand and by its symmetries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from routing.core.arrays import RoutingInputError
from routing.core.token_matching import greedy_match_f1

STATES = st.integers(1, 5).flatmap(
    lambda n: arrays(np.float64, (n, 3), elements=st.floats(-9, 9, allow_subnormal=False))
)


def test_the_score_by_hand() -> None:
    first = [[2.0, 0.0], [0.0, 1.0]]
    second = [[1.0, 0.0], [3.0, 4.0], [1.0, 0.0]]
    # Best cosines: 1 and .8 for the first, 1, .8 and 1 for the second.
    recall, precision = 0.9, 2.8 / 3
    expected = 2 * recall * precision / (recall + precision)
    assert greedy_match_f1(first, second) == pytest.approx(expected)


@given(STATES, STATES)
def test_the_score_lies_in_the_unit_interval_and_forgets_the_order(
    first: np.ndarray, second: np.ndarray
) -> None:
    score = greedy_match_f1(first, second)
    assert 0.0 <= score <= 1.0
    assert score == pytest.approx(greedy_match_f1(second, first), abs=1e-12)


def test_equal_texts_score_one_and_empty_ones_nothing() -> None:
    states = np.eye(3)
    assert greedy_match_f1(states, states) == 1.0
    assert greedy_match_f1(states, np.zeros((0, 3))) == 0.0
    assert greedy_match_f1(np.zeros((0, 3)), np.zeros((0, 3))) == 1.0


def test_states_of_other_widths_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="second_states"):
        greedy_match_f1(np.eye(3), np.eye(4))
