"""The bound on every choice of labels that does not know them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from benchmarks._design_limit import Design, least_labels, least_loss, random_loss


def small_design(seed: int) -> Design:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((12, 3)) * rng.uniform(0.2, 2.0, (12, 1))
    targets = rng.standard_normal((50, 3))
    held = np.arange(12) < 2
    return Design(features, rng.uniform(0.1, 0.25, 12), targets.T @ targets / 50, 0.5, held)


def best_set(design: Design, n_labels: int) -> float:
    """Try every set on top of what is held."""
    losses = []
    for picks in combinations(range(2, 12), n_labels - 2):
        share = design.held.astype(float)
        share[list(picks)] = 1.0
        losses.append(design.loss(share))
    return min(losses)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_labels", [6, 8, 10])
def test_no_set_gets_below_the_bound_and_the_best_comes_near(seed: int, n_labels: int) -> None:
    design = small_design(seed)
    bound, best = least_loss(design, n_labels), best_set(design, n_labels)
    assert bound <= best + 1e-12
    assert bound == pytest.approx(best, rel=0.1)


def test_the_bound_is_the_loss_where_there_is_no_choice() -> None:
    design = small_design(0)
    assert least_loss(design, 12) == pytest.approx(design.loss(np.ones(12)))
    assert least_loss(design, 2) == pytest.approx(design.loss(design.held.astype(float)))


def test_the_loss_is_half_the_trace_and_its_slope_the_derivative() -> None:
    design, share = small_design(1), np.full(12, 0.4)
    information = np.diag(share * design.information)
    precision = 0.5 * np.eye(3) + design.features.T @ information @ design.features
    expected = 0.5 * np.trace(np.linalg.inv(precision) @ design.moment)
    assert design.loss(share) == pytest.approx(expected)
    moved = share + 1e-6 * (np.arange(12) == 5)
    slope = (design.loss(moved) - design.loss(share)) / 1e-6
    assert design.slope(share)[5] == pytest.approx(slope, rel=1e-4)


def test_among_equal_comparisons_no_choice_beats_random() -> None:
    alike = replace(small_design(2), features=np.ones((12, 3)), information=np.full(12, 0.2))
    target = random_loss(alike, 7, np.random.default_rng(0))
    assert least_labels(alike, target + 1e-9, 12) == 7


def test_one_telling_comparison_among_idle_ones_is_enough() -> None:
    features = np.zeros((12, 3))
    features[7] = 2.0
    design = replace(small_design(3), features=features)
    with_it = np.eye(12)[7] + design.held
    assert least_labels(design, design.loss(with_it) + 1e-9, 12) == 3
