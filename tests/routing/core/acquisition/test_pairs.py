"""Which two of K responses to compare."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.core.acquisition.pairs import PAIR_RULES, choose_pair
from routing.core.arrays import RoutingInputError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    st.sampled_from(sorted(PAIR_RULES)), st.integers(1, 5), st.integers(2, 7), st.integers(0, 99)
)
def test_every_rule_gives_two_different_responses_in_order(
    rule: str, n_members: int, n_responses: int, seed: int
) -> None:
    first, second = choose_pair(
        rule, rng(seed).standard_normal((n_members, n_responses)), rng(seed)
    )
    assert 0 <= first < second < n_responses


def test_information_takes_the_pair_that_members_disagree_about() -> None:
    rewards = np.array([[0.0, 3.0, 9.0], [3.0, 0.0, 9.0]])
    assert choose_pair("information", rewards, rng()) == (0, 1)


def test_members_that_agree_make_thompson_compare_the_two_best() -> None:
    rewards = np.array([[1.0, 4.0, 3.0, 0.0]] * 3)
    assert choose_pair("double_thompson", rewards, rng()) == (1, 2)


def test_members_that_agree_make_reversed_thompson_compare_best_and_worst() -> None:
    rewards = np.array([[1.0, 4.0, 3.0, 0.0]] * 3)
    assert choose_pair("double_reversed_thompson", rewards, rng()) == (1, 3)


def test_delta_ucb_takes_the_widest_possible_gap() -> None:
    # Means 2, 1, 0 and deviations 0, 0, 3: 0 + 3 over 1 is 2, but 2 over 0 - 3 is 5.
    rewards = np.array([[2.0, 1.0, 3.0], [2.0, 1.0, -3.0]])
    assert choose_pair("delta_ucb", rewards, rng()) == (0, 2)


@pytest.mark.parametrize("rule", sorted(PAIR_RULES))
def test_rules_go_on_to_the_pairs_that_were_not_asked(rule: str) -> None:
    rewards, asked = rng(3).standard_normal((4, 4)), set[tuple[int, int]]()
    for _ in range(6):
        asked.add(choose_pair(rule, rewards, rng(), asked=asked))
    assert asked == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    with pytest.raises(RoutingInputError, match="all pairs of 4 responses were asked"):
        choose_pair(rule, rewards, rng(), asked=asked)


def test_a_pair_counts_as_asked_in_either_order() -> None:
    assert choose_pair("random", np.zeros((1, 3)), rng(), asked=[(1, 0), (2, 1)]) == (0, 2)


def test_unknown_rules_and_lonely_responses_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="Unknown pair rule 'luck'"):
        choose_pair("luck", np.zeros((1, 2)), rng())
    with pytest.raises(RoutingInputError, match="there are 1 responses"):
        choose_pair("random", np.zeros((1, 1)), rng())
