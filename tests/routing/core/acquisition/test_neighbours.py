import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from routing.core.acquisition.neighbours import (
    ball_counts,
    build_prompt_graph,
    item_graph,
    unique_prompt_codes,
)
from routing.core.arrays import FloatArray, RoutingInputError


def points(n: int, dimension: int = 8, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((n, dimension)) + 3.0


@pytest.mark.parametrize(("n", "k"), [(1300, 13), (40, 5)])
def test_neighbours_equal_those_of_scikit_learn(n: int, k: int) -> None:
    embeddings = points(n)
    graph = build_prompt_graph(embeddings, n_neighbours=k)
    distance, index = NearestNeighbors(n_neighbors=k + 1).fit(embeddings).kneighbors(embeddings)
    np.testing.assert_array_equal(graph.ball.indices.reshape(n, k), index[:, 1:])
    np.testing.assert_allclose(graph.radii, distance[:, -1], rtol=1e-9)


@given(st.integers(2, 40), st.integers(1, 50), st.integers(0, 1000))
def test_reverse_lists_are_the_exact_transpose(n: int, k: int, seed: int) -> None:
    graph = build_prompt_graph(points(n, 2, seed), n_neighbours=k)
    forward = {(p, int(q)) for p in range(n) for q in graph.ball.row(p)}
    backward = {(int(p), q) for q in range(n) for p in graph.reverse.row(q)}
    assert forward == backward
    assert len(forward) == n * min(k, n - 1)
    assert all(p != q for p, q in forward)


def test_scaling_scales_radii_and_moving_changes_nothing() -> None:
    embeddings = points(60, 3)
    turn, _ = np.linalg.qr(points(3, 3))
    plain = build_prompt_graph(embeddings)
    np.testing.assert_allclose(build_prompt_graph(4 * embeddings).radii, 4 * plain.radii)
    moved = build_prompt_graph(embeddings @ turn + 9)
    np.testing.assert_allclose(moved.radii, plain.radii)
    np.testing.assert_array_equal(moved.ball.indices, plain.ball.indices)


def test_new_prompts_never_widen_a_ball() -> None:
    embeddings = points(200, 3)
    before = build_prompt_graph(embeddings[:150]).radii
    assert (build_prompt_graph(embeddings).radii[:150] <= before + 1e-12).all()


def test_a_far_mean_does_not_blur_distances() -> None:
    embeddings = points(100, 4)
    far = build_prompt_graph(embeddings + 1e4)
    np.testing.assert_allclose(far.radii, build_prompt_graph(embeddings).radii, rtol=1e-6)


@pytest.mark.parametrize(("n", "radius"), [(1, [1.0]), (0, [])])
def test_lonely_prompts_have_no_neighbours(n: int, radius: list[float]) -> None:
    graph = build_prompt_graph(np.zeros((n, 2)))
    assert graph.radii.tolist() == radius
    assert len(graph.ball.indices) == 0


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 1000))
def test_counts_equal_a_recount_from_scratch(n: int, k: int, seed: int) -> None:
    graph = build_prompt_graph(points(n, 2, seed), n_neighbours=k)
    acquired = np.random.default_rng(seed).integers(4, size=n)
    expected = [acquired[p] + acquired[graph.ball.row(p)].sum() for p in range(n)]
    assert ball_counts(graph, acquired).tolist() == expected


def test_prompts_differing_in_case_space_or_unicode_form_share_a_code() -> None:
    prompts = ["Tell me", "tell  ME\n", "other", "ﬁne", "fine"]
    assert unique_prompt_codes(prompts).tolist() == [0, 0, 1, 2, 2]


def literal_item_radii(embeddings: FloatArray, n_items: list[int], k: int) -> list[float]:
    """Expand comparisons into points and measure the k-th other one."""
    owner = np.repeat(np.arange(len(n_items)), n_items)
    gaps = np.linalg.norm(embeddings[owner][:, None] - embeddings[owner], axis=2)
    np.fill_diagonal(gaps, np.inf)
    radii = np.sort(gaps, axis=1)[:, k - 1]
    return [float(radii[owner == p][0]) for p in range(len(n_items))]


@given(st.lists(st.integers(1, 6), min_size=5, max_size=12), st.integers(1, 4))
def test_the_item_graph_equals_one_point_per_comparison(n_items: list[int], k: int) -> None:
    embeddings = points(len(n_items), 2)
    graph = item_graph(embeddings, n_items, n_neighbours=k)
    np.testing.assert_allclose(graph.radii, literal_item_radii(embeddings, n_items, k), atol=1e-9)


def test_a_prompt_with_many_comparisons_has_radius_zero_in_the_item_graph() -> None:
    graph = item_graph(points(6, 2), [9, 1, 1, 1, 1, 1], n_neighbours=3)
    assert graph.radii[0] == 0.0
    assert len(graph.ball.row(0)) == 0
    assert (graph.radii[1:] > 0).all()


def test_a_single_prompt_has_radius_zero_in_the_item_graph() -> None:
    assert item_graph(np.zeros((1, 2)), [5]).radii.tolist() == [0.0]


def test_no_neighbours_is_refused() -> None:
    with pytest.raises(RoutingInputError, match="n_neighbours is 0"):
        build_prompt_graph(points(5), n_neighbours=0)


def test_one_count_per_prompt_is_needed() -> None:
    with pytest.raises(RoutingInputError, match="acquired_count has shape"):
        ball_counts(build_prompt_graph(points(5)), [1, 2])
