"""Neighbours are exact whatever the coarse pass does, and grow without being searched again."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from routing.core.acquisition import nearest
from routing.core.acquisition.nearest import (
    NeighbourTable,
    exact_neighbours,
    extended_neighbours,
    measured_neighbours,
    queried_neighbours,
)
from routing.core.arrays import FloatArray, RoutingInputError


def clusters(n: int, width: int = 12, seed: int = 0) -> FloatArray:
    """Tight groups far apart: the case in which rounding could hide a neighbour."""
    rng = np.random.default_rng(seed)
    centres = 10 * rng.standard_normal((max(2, n // 20), width))
    return centres[rng.integers(len(centres), size=n)] + 0.01 * rng.standard_normal((n, width))


def by_scikit_learn(points: FloatArray, k: int) -> FloatArray:
    distance, _ = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)
    return np.asarray(distance[:, 1:])


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["single", "half"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """Either precision of the coarse pass, whatever this processor would choose."""
    dtype: torch.dtype = request.param
    monkeypatch.setattr(nearest, "_fast_dtype", lambda n_points: dtype)
    return dtype


@pytest.mark.parametrize(("n", "k"), [(2600, 13), (60, 5), (14, 13), (3, 1)])
def test_distances_are_those_of_scikit_learn_at_either_precision(
    precision: torch.dtype, n: int, k: int
) -> None:
    points = clusters(n)
    table = exact_neighbours(points, k)
    np.testing.assert_allclose(table.distances, by_scikit_learn(points, k), atol=1e-9)


def test_blocks_and_groups_leave_no_point_out(
    precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "_MAX_BLOCK", 37)
    monkeypatch.setattr(nearest, "_GROUPS", 50)
    points = clusters(513)
    expected = by_scikit_learn(points, 7)
    np.testing.assert_allclose(exact_neighbours(points, 7).distances, expected, atol=1e-9)


def test_equal_distances_come_by_row_number() -> None:
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert exact_neighbours(corners, 2).neighbours.tolist() == [[1, 2], [0, 3], [0, 3], [1, 2]]


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 80), st.integers(1, 40), st.integers(1, 5), st.integers(0, 999))
def test_adding_points_gives_what_a_search_of_all_gives(
    n_old: int, n_new: int, k: int, seed: int
) -> None:
    points = np.random.default_rng(seed).standard_normal((n_old + n_new, 2))
    extended = extended_neighbours(exact_neighbours(points[:n_old], k), points)
    whole = exact_neighbours(points, k)
    np.testing.assert_allclose(extended.distances, whole.distances, atol=1e-12)
    np.testing.assert_array_equal(extended.neighbours, whole.neighbours)


def test_nothing_new_gives_the_same_table() -> None:
    table = exact_neighbours(clusters(30), 3)
    assert extended_neighbours(table, clusters(30)) is table


def test_fewer_points_than_the_table_has_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="points has 20 rows, the table 30"):
        extended_neighbours(exact_neighbours(clusters(30), 3), clusters(30)[:20])


def test_queries_are_answered_as_in_the_whole_table() -> None:
    points = clusters(300)
    rows = np.array([5, 17, 299])
    found = queried_neighbours(points, rows, 6).distances
    np.testing.assert_allclose(found, by_scikit_learn(points, 6)[rows], rtol=1e-3, atol=1e-4)


def test_candidates_are_measured_and_the_point_itself_is_left_out() -> None:
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    candidates = np.array([[0, 1, 3], [1, 3, -1], [2, 0, 1], [0, 3, -1]])
    table = measured_neighbours(points, candidates, 2)
    assert table.neighbours.tolist() == [[1, 3], [3, 3], [1, 0], [0, 0]]
    assert table.distances.tolist() == [[1.0, 7.0], [6.0, 6.0], [2.0, 3.0], [7.0, 7.0]]


def test_a_point_without_a_candidate_is_named() -> None:
    with pytest.raises(RoutingInputError, match="point 1 has no candidate"):
        measured_neighbours(np.zeros((2, 1)), np.array([[1], [1]]), 1)


@pytest.mark.parametrize("k", [0, 5])
def test_k_outside_the_points_is_refused(k: int) -> None:
    with pytest.raises(RoutingInputError, match=f"k is {k} of 5 points"):
        exact_neighbours(clusters(5), k)
    with pytest.raises(RoutingInputError, match=f"k is {k} of 5 points"):
        queried_neighbours(clusters(5), np.array([0]), k)


def test_neighbours_and_distances_of_two_shapes_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="two matrices of one shape"):
        NeighbourTable(np.zeros((2, 1), np.int32), np.zeros((2, 2)))


def test_single_precision_input_far_from_the_origin_is_measured_without_loss(
    precision: torch.dtype,
) -> None:
    points = (clusters(200) + 300.0).astype(np.float32)
    found = exact_neighbours(points, 4).distances
    np.testing.assert_allclose(found, by_scikit_learn(points.astype(np.float64), 4), atol=1e-9)


def test_no_copy_of_all_points_is_made_when_some_are_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest, "_MEASURED_AT_ONCE", 500)
    points = np.random.default_rng(0).standard_normal((20_050, 64), dtype=np.float32)
    k = 2
    table = NeighbourTable(
        np.zeros((20_000, k), dtype=np.int32), np.full((20_000, k), 1e-3, dtype=np.float64)
    )
    tracemalloc.start()
    extended_neighbours(table, points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < points.nbytes / 2


def test_numbers_that_are_not_finite_are_named_at_single_precision() -> None:
    points = clusters(30).astype(np.float32)
    points[7, 2] = np.nan
    with pytest.raises(RoutingInputError, match=r"points\[7, 2\] is nan"):
        exact_neighbours(points, 2)
