"""EPIG on the last layer: closed forms, updates, and blindness to lengths."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from routing.core.acquisition import STRATEGIES, AcquisitionInputs, Strategy
from routing.core.acquisition.design import TargetedDesign, in_unit_length
from routing.core.acquisition.epig import expected_predictive_information_gain
from routing.core.acquisition.gaussian import GaussianPosterior
from routing.core.arrays import FloatArray, RoutingInputError

LINEAR, DIRECTION = STRATEGIES["epig_linear-v1"], STRATEGIES["epig_direction-v1"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spd(m: int, seed: int) -> FloatArray:
    root = rng(seed).standard_normal((m, m))
    return np.asarray(root @ root.T / m + 0.1 * np.eye(m))


def mean_target_variance(
    x: FloatArray, v: FloatArray, cov: FloatArray, moment: FloatArray, row: int
) -> float:
    """Half the trace of M C after one more label, by inverting the information."""
    updated = np.linalg.inv(np.linalg.inv(cov) + v[row] * np.outer(x[row], x[row]))
    return 0.5 * float(np.trace(moment @ updated))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 999))
def test_gains_are_the_fall_of_the_target_variance_after_every_pick(
    m: int, n: int, seed: int
) -> None:
    x, v = rng(seed).standard_normal((n, m)), rng(seed + 1).uniform(0.01, 0.25, n)
    cov, moment = spd(m, seed), spd(m, seed + 2)
    design = TargetedDesign(x, v, cov, moment)
    for row in (0, n - 1):
        before = 0.5 * np.trace(moment @ cov)
        falls = [before - mean_target_variance(x, v, cov, moment, i) for i in range(n)]
        np.testing.assert_allclose(design.gain, falls, atol=1e-9)
        design.add(row)
        cov = np.linalg.inv(np.linalg.inv(cov) + v[row] * np.outer(x[row], x[row]))


def test_gains_order_candidates_as_epig_of_many_draws_does() -> None:
    x = rng(1).standard_normal((40, 3)) * rng(2).uniform(0.2, 1.5, (40, 1))
    posterior = GaussianPosterior(np.zeros(3), np.diag([0.2, 0.05, 0.01]))
    logits = posterior.sample_logits(x, 40_000, rng(3))
    exact = expected_predictive_information_gain(logits, logits)
    v = posterior.curvature(x)
    design = TargetedDesign(x, v, posterior.covariance, (x * v[:, None]).T @ x / len(x))
    assert np.corrcoef(exact, design.gain)[0, 1] > 0.97
    np.testing.assert_allclose(design.gain.sum(), exact.sum(), rtol=0.3)


def pool(n: int = 30, m: int = 4, seed: int = 0) -> AcquisitionInputs:
    x, known = rng(seed).standard_normal((n, m)), rng(seed + 1).standard_normal((6, m))
    prior = GaussianPosterior(rng(seed + 2).standard_normal(m) / 3, np.eye(m) / 2.0, 2.0)
    return AcquisitionInputs(
        n,
        np.arange(n),
        difference_features=x,
        labelled_differences=known,
        posterior=prior.with_information(known, prior.curvature(known)),
        tie_hash=np.arange(n, dtype=np.uint64),
    )


@pytest.mark.parametrize("strategy", [LINEAR, DIRECTION], ids=["linear", "direction"])
def test_a_copy_of_a_picked_candidate_loses_utility(strategy: Strategy) -> None:
    inputs = pool()
    assert inputs.difference_features is not None
    doubled = replace(
        inputs,
        n_candidates=60,
        prompt=np.arange(60),
        difference_features=np.vstack([inputs.difference_features] * 2),
        tie_hash=np.arange(60, dtype=np.uint64),
    )
    chosen = strategy.select(doubled, 60, rng())
    first = int(chosen.indices[0])
    utility = dict(zip(chosen.indices.tolist(), chosen.utilities.tolist(), strict=True))
    assert utility[(first + 30) % 60] < utility[first]


def test_lengths_of_differences_play_no_part_by_direction() -> None:
    inputs = pool()
    assert inputs.difference_features is not None
    stretched = inputs.difference_features.copy()
    stretched[7] *= 50.0
    longer = replace(inputs, difference_features=stretched)
    assert LINEAR.select(longer, 1, rng()).indices[0] == 7
    shortened = in_unit_length(longer).difference_features
    assert shortened is not None
    lengths = np.linalg.norm(shortened, axis=1)
    np.testing.assert_allclose(lengths, lengths[0])


def test_by_direction_the_posterior_has_the_same_prior_and_as_many_labels() -> None:
    inputs = pool()
    known, posterior = inputs.labelled_differences, inputs.posterior
    assert known is not None
    assert posterior is not None
    assert inputs.difference_features is not None
    size = np.sqrt((inputs.difference_features**2).sum(axis=1).mean())
    unit = size * known / np.linalg.norm(known, axis=1, keepdims=True)
    v = posterior.curvature(known)
    expected = np.linalg.inv(2.0 * np.eye(4) + (unit * v[:, None]).T @ unit)
    shortened = in_unit_length(inputs).posterior
    assert shortened is not None
    np.testing.assert_allclose(shortened.covariance, expected, atol=1e-10)


def test_weights_of_labels_weigh_by_direction_too() -> None:
    inputs = replace(pool(), labelled_weight=np.zeros(6))
    shortened = in_unit_length(inputs).posterior
    assert shortened is not None
    np.testing.assert_allclose(shortened.covariance, np.eye(4) / 2.0)


def test_a_difference_of_zero_stays_zero() -> None:
    inputs = pool()
    assert inputs.difference_features is not None
    same = inputs.difference_features.copy()
    same[3] = 0.0
    shortened = in_unit_length(replace(inputs, difference_features=same)).difference_features
    assert shortened is not None
    assert (shortened[3] == 0.0).all()


def test_given_targets_decide_what_is_asked() -> None:
    inputs = AcquisitionInputs(
        2,
        np.arange(2),
        difference_features=np.eye(2),
        posterior=GaussianPosterior(np.zeros(2), np.eye(2)),
        tie_hash=np.arange(2, dtype=np.uint64),
    )
    asked = replace(inputs, target_differences=np.array([[0.0, 1.0], [0.0, 2.0]]))
    assert LINEAR.select(asked, 1, rng()).indices.tolist() == [1]


def test_posterior_moments_and_probabilities_are_those_of_the_normal() -> None:
    posterior = GaussianPosterior(np.array([1.0, 0.0]), np.array([[0.5, 0.1], [0.1, 0.2]]))
    mean, sd = posterior.moments([[1.0, 2.0]])
    assert mean.tolist() == [1.0]
    np.testing.assert_allclose(sd**2, 0.5 + 4 * 0.1 + 4 * 0.2)
    draws = 1.0 + sd[0] * rng(5).standard_normal(400_000)
    np.testing.assert_allclose(
        posterior.predict_proba([[1.0, 2.0]]), expit(draws).mean(), atol=2e-3
    )


def test_drawn_logits_have_the_moments_of_the_posterior() -> None:
    posterior = GaussianPosterior(np.array([0.3, -0.2]), np.array([[0.4, 0.1], [0.1, 0.3]]))
    logits = posterior.sample_logits([[1.0, 1.0]], 200_000, rng(1))[:, 0]
    np.testing.assert_allclose([logits.mean(), logits.var()], [0.1, 0.9], atol=0.01)


def test_pending_comparisons_narrow_the_posterior_as_their_labels_would() -> None:
    posterior, x = GaussianPosterior(np.zeros(2), np.eye(2)), np.array([[1.0, 0.0]])
    v = posterior.curvature(x)[0]
    after = posterior.with_pending(x)
    np.testing.assert_allclose(after.covariance, np.diag([1 / (1 + v), 1.0]))
    assert posterior.with_pending(np.empty((0, 2))) is posterior


def test_a_posterior_needs_features_of_its_width() -> None:
    prior = GaussianPosterior(np.zeros(3), np.eye(3))
    with pytest.raises(RoutingInputError, match="difference_features"):
        AcquisitionInputs(2, np.arange(2), posterior=prior)
    with pytest.raises(RoutingInputError, match="difference_features"):
        AcquisitionInputs(2, np.arange(2), posterior=prior, difference_features=np.eye(2))


@pytest.mark.parametrize("strategy_id", sorted(STRATEGIES))
def test_every_strategy_reads_a_normal_posterior(strategy_id: str) -> None:
    inputs = replace(pool(), prompt_embeddings=rng().standard_normal((30, 3)))
    chosen = STRATEGIES[strategy_id].select(inputs, 8, rng(4))
    assert len(set(chosen.indices.tolist())) == 8
    assert np.isfinite(chosen.utilities).all()


@pytest.mark.parametrize(
    ("n_acquired", "twin"), [(0, "epig_direction-v1"), (13, "epig_direction-v1"), (14, "random-v1")]
)
def test_early_epig_goes_over_to_random_at_two_fifths_of_the_pool(
    n_acquired: int, twin: str
) -> None:
    # 14 of 34 is the first count of at least 0.4 beside 20 candidates.
    assert _picks("epig_early-v1", n_acquired) == _picks(twin, n_acquired)


@pytest.mark.parametrize(
    ("n_acquired", "twin"),
    [
        (0, "epig_direction-v1"),
        (5, "epig_direction-v1"),
        (6, "epig_linear-v1"),
        (13, "epig_linear-v1"),
        (14, "random-v1"),
    ],
)
def test_epig_in_stages_trusts_lengths_at_two_labels_per_weight_and_ends_at_random(
    n_acquired: int, twin: str
) -> None:
    assert _picks("epig_staged-v1", n_acquired) == _picks(twin, n_acquired)


def test_a_small_pool_of_many_weights_goes_from_directions_to_random() -> None:
    assert _picks("epig_staged-v1", 14, n_weights=20) == _picks("random-v1", 14, n_weights=20)


def test_where_prompts_are_fewer_than_weights_lengths_are_never_trusted() -> None:
    inputs = AcquisitionInputs(
        60,
        np.arange(60) % 2,
        difference_features=rng(3).standard_normal((60, 3)),
        acquired_count=np.array([5, 4]),
    )
    picks = [
        STRATEGIES[name].select(inputs, 5, rng(1)).indices.tolist()
        for name in ("epig_staged-v1", "epig_direction-v1", "epig_linear-v1")
    ]
    assert picks[0] == picks[1] != picks[2]


def _picks(strategy: str, n_acquired: int, n_weights: int = 3) -> list[int]:
    """Five of twenty candidates, beside prompts that are acquired."""
    inputs = AcquisitionInputs(
        20,
        np.arange(20),
        difference_features=rng(3).standard_normal((20, n_weights)),
        acquired_count=np.concatenate([np.zeros(20, np.int64), np.ones(n_acquired, np.int64)]),
    )
    return [int(row) for row in STRATEGIES[strategy].select(inputs, 5, rng(1)).indices]
