import numpy as np
import pytest
from scipy.special import gammaln

from routing.core.acquisition.entropy import (
    kozachenko_leonenko,
    ksg_marginal,
    log_unit_ball_volume,
)
from routing.core.arrays import FloatArray, RoutingInputError


def gaussian_entropy(dimension: int) -> float:
    return dimension / 2 * float(np.log(2 * np.pi * np.e))


def draw(n: int, dimension: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((n, dimension))


@pytest.mark.parametrize(("dimension", "tolerance"), [(1, 0.03), (2, 0.03), (5, 0.15)])
def test_the_entropy_of_a_gaussian_is_recovered(dimension: int, tolerance: float) -> None:
    estimates = [kozachenko_leonenko(draw(4000, dimension, seed)) for seed in range(6)]
    assert np.mean(estimates) == pytest.approx(gaussian_entropy(dimension), abs=tolerance)


def test_diameters_with_the_volume_of_a_unit_radius_are_too_high_by_d_ln_2() -> None:
    # The published formula, written out: rho becomes 2 rho and the volume stays.
    points, d, k = draw(500, 3, 0), 3, 3
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    radii = np.sort(gaps, axis=1)[:, k]
    volume = d / 2 * np.log(np.pi) - gammaln(d / 2 + 1)
    harmonic = np.sum(1 / np.arange(k, 500))  # psi(500) - psi(3)
    published = d * np.log(2 * radii).mean() + volume + harmonic
    assert published - kozachenko_leonenko(points, n_neighbours=k) == pytest.approx(d * np.log(2))


def test_scaling_adds_d_times_the_log_of_the_scale() -> None:
    points = draw(300, 4, 1)
    shifted = kozachenko_leonenko(7 * points) - kozachenko_leonenko(points)
    assert shifted == pytest.approx(4 * np.log(7), abs=1e-9)


def test_rotation_and_translation_change_nothing() -> None:
    points = draw(300, 3, 2)
    turn, _ = np.linalg.qr(draw(3, 3, 3))
    moved = points @ turn + 5
    assert kozachenko_leonenko(moved) == pytest.approx(kozachenko_leonenko(points), abs=1e-9)


@pytest.mark.parametrize(("n_train", "k", "tolerance"), [(500, 50, 0.1), (2000, 13, 0.05)])
def test_few_points_borrow_their_scale_from_many(n_train: int, k: int, tolerance: float) -> None:
    joint = draw(5000, 2, 4)
    estimate = ksg_marginal(joint[:n_train], joint, n_neighbours=k)
    assert estimate == pytest.approx(gaussian_entropy(2), abs=tolerance)


def test_points_that_are_the_reference_have_the_plain_estimate() -> None:
    points = draw(400, 3, 5)
    plain = kozachenko_leonenko(points, n_neighbours=4)
    assert ksg_marginal(points, points, n_neighbours=4) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize(("dimension", "volume"), [(1, 2.0), (2, np.pi), (3, 4 / 3 * np.pi)])
def test_the_volumes_of_small_balls_are_the_school_ones(dimension: int, volume: float) -> None:
    assert log_unit_ball_volume(dimension) == pytest.approx(np.log(volume))


@pytest.mark.parametrize("n_neighbours", [0, 5])
def test_impossible_neighbours_are_refused(n_neighbours: int) -> None:
    with pytest.raises(RoutingInputError, match="of 5 points"):
        kozachenko_leonenko(draw(5, 2, 0), n_neighbours=n_neighbours)


def test_copies_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="duplicates"):
        kozachenko_leonenko(np.zeros((9, 2)))
