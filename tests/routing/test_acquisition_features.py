"""Features of the last layer: leading directions of the differences, weak ones damped."""

import numpy as np
import pytest

from routing.acquisition.features import leading_features
from routing.core.arrays import FloatArray


def gaps(spreads: list[float], n: int = 400) -> FloatArray:
    """Features of pairs whose embeddings differ along the axes by so much, far from the origin."""
    rng = np.random.default_rng(0)
    embeddings = 7.0 + rng.standard_normal((2 * n, len(spreads))) * spreads / np.sqrt(2)
    length = rng.standard_normal(2 * n)
    first, second = np.arange(n), np.arange(n, 2 * n)
    columns = leading_features(embeddings, length, first, second, n_directions=len(spreads))
    return columns[first] - columns[second]


def test_the_leading_direction_and_the_length_have_unit_spread() -> None:
    np.testing.assert_allclose(gaps([3.0, 1.0, 0.5]).std(axis=0)[[0, -1]], 1.0)


def test_a_direction_is_damped_by_its_share_of_the_leading_spread() -> None:
    # A spread of one third counts one ninth: its own third, damped by another.
    np.testing.assert_allclose(gaps([3.0, 1.0]).std(axis=0)[1], 1 / 9, rtol=0.15)


def test_directions_without_differences_are_zero() -> None:
    np.testing.assert_allclose(gaps([2.0, 0.0])[:, 1], 0.0, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_scale_of_an_encoder_does_not_matter(factor: float) -> None:
    small, large = gaps([3.0, 1.0]), gaps([3.0 * factor, 1.0 * factor])
    np.testing.assert_allclose(np.abs(small), np.abs(large), rtol=1e-6, atol=1e-9)
