"""Effects of tags on performance, against least squares written out."""

import numpy as np
import pytest

from routing.core.arrays import RoutingInputError
from routing.core.effects import tag_effects
from routing.core.mixes import mix_features, sample_mixes


def test_effects_are_those_of_least_squares_on_each_tag_alone() -> None:
    rng = np.random.default_rng(0)
    shares, b = rng.random((60, 3)), rng.random(60)
    performance = 0.6 + 0.05 * shares[:, 0] + 0.1 * b - 0.04 * b**2 + 0.01 * rng.random(60)
    found = tag_effects(shares, b, performance)
    for tag in range(3):
        design = np.column_stack([np.ones(60), b, b**2, shares[:, tag]])
        coef, residual, _, _ = np.linalg.lstsq(design, performance, rcond=None)
        variance = residual[0] / 56 * np.linalg.inv(design.T @ design)[3, 3]
        assert found.effect[tag] == pytest.approx(coef[3])
        assert found.t_value[tag] == pytest.approx(coef[3] / np.sqrt(variance))
        # The 97.5 % point of Student's t with 56 degrees of freedom.
        assert found.high[tag] - coef[3] == pytest.approx(2.003241 * np.sqrt(variance), rel=1e-5)


def test_the_region_comes_before_tags_that_overlap_it() -> None:
    rng = np.random.default_rng(1)
    region = rng.random(1500) < 0.3
    overlapping = [
        np.where(rng.random(1500) < 0.7, region, rng.random(1500) < 0.3) for _ in range(5)
    ]
    tags = np.column_stack([*overlapping, region])
    shares, b = mix_features(tags, sample_mixes(tags, 240, seed=0).human)
    performance = 0.6 + 0.02 * shares[:, 5] + 0.003 * rng.standard_normal(240)
    assert int(tag_effects(shares, b, performance).t_value.argmax()) == 5


def test_a_tag_that_does_not_vary_has_no_effect() -> None:
    rng = np.random.default_rng(2)
    b = rng.random(20)
    found = tag_effects(np.column_stack([b, np.zeros(20)]), b, rng.random(20))
    assert found.t_value.tolist() == [0.0, 0.0]
    assert np.isinf(found.high).all()


def test_too_few_mixes_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="too few"):
        tag_effects(np.ones((4, 1)), np.ones(4), np.ones(4))
