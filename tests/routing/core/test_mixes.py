import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.core.arrays import BoolArray, RoutingInputError
from routing.core.mixes import METHODS, mix_counts, mix_features, mix_targets, sample_mixes


def random_tags(n: int = 200, n_tags: int = 8, seed: int = 0) -> BoolArray:
    return np.random.default_rng(seed).random((n, n_tags)) < 0.2


def test_all_judge_and_all_human_come_first() -> None:
    mixes = sample_mixes(random_tags(), 10, seed=1)
    assert not mixes.human[0].any()
    assert mixes.human[1].all()
    assert mixes.requested_budget[:2].tolist() == [0, 200]


def test_every_mix_has_its_requested_size() -> None:
    mixes = sample_mixes(random_tags(), 40, seed=1)
    np.testing.assert_array_equal(mixes.human.sum(axis=1), mixes.requested_budget)


def test_a_longer_set_begins_with_a_shorter_one() -> None:
    short, long = (sample_mixes(random_tags(), size, seed=5).human for size in (10, 25))
    np.testing.assert_array_equal(long[:10], short)


def test_the_same_seed_gives_the_same_mixes_and_another_seed_does_not() -> None:
    first, again, other = (sample_mixes(random_tags(), 9, seed=s).human for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("method", ["tag_fill", "tilted"])
def test_sampling_moves_tag_shares_apart_from_the_budget(method: str) -> None:
    # Uniform subsets of 100 out of 200 would keep each share within about 0.08 of one half.
    tags = random_tags()
    mixes = sample_mixes(tags, 40, seed=0, methods=(method,), budget=100, include_pure=False)
    shares, b = mix_features(tags, mixes.human)
    assert (b == 0.5).all()
    assert shares.std(axis=0).mean() > 0.12
    assert {METHODS[code] for code in mixes.method} == {method}


@pytest.mark.parametrize("budget", [0, 1, 199, 200])
def test_a_fixed_budget_is_met_at_both_ends(budget: int) -> None:
    mixes = sample_mixes(random_tags(), 6, seed=0, budget=budget, include_pure=False)
    assert (mixes.human.sum(axis=1) == budget).all()


def test_comparisons_without_any_tag_can_still_go_to_humans() -> None:
    tags = np.zeros((10, 2), dtype=bool)
    mixes = sample_mixes(tags, 4, seed=0, budget=7, include_pure=False)
    assert (mixes.human.sum(axis=1) == 7).all()


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(0, 2**32))
def test_counts_add_over_disjoint_sets(owner: list[int], seed: int) -> None:
    tags = np.random.default_rng(seed).random((len(owner), 5)) < 0.4
    parts = np.arange(2)[:, None] == np.array(owner)
    together = mix_counts(tags, parts.any(axis=0)[None])
    np.testing.assert_array_equal(mix_counts(tags, parts).sum(axis=0), together[0])


def test_counts_are_exact_over_many_blocks() -> None:
    rng = np.random.default_rng(0)
    tags, human = rng.random((40_000, 3)) < 0.5, rng.random((4, 40_000)) < 0.5
    expected = human.astype(np.int64) @ tags.astype(np.int64)
    np.testing.assert_array_equal(mix_counts(tags, human), expected)


def test_shares_divide_by_the_size_of_each_tag() -> None:
    tags = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=bool)
    shares, b = mix_features(tags, np.array([[0, 1, 1, 0]], dtype=bool))
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 2, 0.0]])
    np.testing.assert_allclose(b, [0.5])


def test_ties_and_absent_labels_never_become_preferences() -> None:
    human = np.array([[0, 0, 0, 0], [1, 1, 1, 1]], dtype=bool)
    targets, weights = mix_targets(human, [1.0, 0.5, np.nan, 0.0], [0.0, 1.0, 0.5, np.nan])
    np.testing.assert_array_equal(targets, [[0, 1], [1, 0.5], [0.5, 0.5], [0.5, 0]])
    np.testing.assert_array_equal(weights, [[1, 1], [1, 1], [1, 0], [0, 1]])


def test_swapping_the_responses_flips_the_targets() -> None:
    human = np.random.default_rng(0).random((5, 4)) < 0.5
    h, j = np.array([1.0, 0.5, 0.2, 0.0]), np.array([0.0, 1.0, 0.5, 0.7])
    targets, _ = mix_targets(human, h, j)
    flipped, _ = mix_targets(human, 1 - h, 1 - j)
    np.testing.assert_allclose(flipped, 1 - targets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_mixes": 1}, "n_mixes is 1"),
        ({"n_mixes": 5, "methods": ("magic",)}, "magic"),
        ({"n_mixes": 5, "methods": ()}, "choose from"),
        ({"n_mixes": 5, "budget": 201}, "budget is 201"),
    ],
)
def test_bad_requests_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RoutingInputError, match=message):
        sample_mixes(random_tags(), seed=0, **arguments)  # type: ignore[arg-type]


def test_one_comparison_cannot_be_mixed() -> None:
    with pytest.raises(RoutingInputError, match="at least two"):
        sample_mixes(np.ones((1, 2), dtype=bool), 5, seed=0)


@pytest.mark.parametrize(
    ("human_target", "message"), [([2.0, 0.0], "outside"), ([1.0], "one target per comparison")]
)
def test_bad_targets_are_refused(human_target: list[float], message: str) -> None:
    with pytest.raises(RoutingInputError, match=message):
        mix_targets(np.ones((1, 2), dtype=bool), human_target, [0.0, 1.0])
