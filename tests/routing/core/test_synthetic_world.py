"""Routing in a world whose judge is biased in known places; a test of code, not evidence."""

from dataclasses import dataclass

import numpy as np
import pytest

from routing.core.arrays import BoolArray, FloatArray, IntArray
from routing.core.budget import Budget
from routing.core.deferral import DisagreementModel
from routing.core.influence import (
    TrustedSet,
    expected_label_change,
    label_influence,
    least_squares_weights,
)
from routing.core.mixes import mix_features, sample_mixes
from routing.core.performance import category_mean, pairwise_performance
from routing.core.policies import RoutingInputs
from routing.core.ppm import RidgePpm
from routing.core.ppm_baselines import HyperReferencePpm
from routing.core.spending import route
from routing.core.validation import cross_validate, has_signal

N, N_DEV, N_TEST, D, N_TAGS = 6000, 2000, 4000, 64, 40
N_BIASED, N_NOISY = 6, 7
SHARES = (0.25, 0.5)


@dataclass(frozen=True)
class Sample:
    """Feature differences, tags, true labels and category of some comparisons."""

    phi: FloatArray
    tags: BoolArray
    truth: FloatArray
    category: IntArray


@dataclass(frozen=True)
class World:
    """A pool with both labels, and separate trusted sets to decide on and to report."""

    pool: Sample
    human: FloatArray
    judge: FloatArray
    dev: Sample
    test: Sample

    def performance(self, mixes: BoolArray, on: Sample) -> FloatArray:
        """Train one least-squares head per mix and return its mean category accuracy."""
        labels = np.where(mixes.T, self.human[:, None], self.judge[:, None])
        heads = least_squares_weights(self.pool.phi, labels, prior_precision=0.01)
        right = pairwise_performance(on.phi @ heads, (on.truth + 1) / 2)
        return category_mean(right, on.category)[0]


def make_world(seed: int) -> World:
    """Draw judges biased in 6 tags and humans noisy in 7 others."""
    rng = np.random.default_rng(seed)
    rate = rng.beta(1, 8, N_TAGS) + 0.02
    theta, shared_bias = rng.standard_normal((2, D)) / np.sqrt(D) * np.array([[2.0], [0.35]])
    tag_bias = rng.standard_normal((N_BIASED, D)) / np.sqrt(D) * 3.5

    def draw(n: int) -> Sample:
        tags, phi = rng.random((n, N_TAGS)) < rate, rng.standard_normal((n, D))
        level = tags[:, :4].sum(axis=1) + 1.5 * rng.random(n)
        return Sample(phi, tags, np.sign(phi @ theta), np.digitize(level, [0.5, 1.0, 1.4]))

    pool, dev, test = draw(N), draw(N_DEV), draw(N_TEST)
    bias = pool.phi @ shared_bias
    bias += (pool.tags[:, :N_BIASED] * (pool.phi @ tag_bias.T)).sum(axis=1)
    judge = np.sign(pool.phi @ theta + bias + 0.6 * rng.standard_normal(N))
    noisy = pool.tags[:, N_BIASED : N_BIASED + N_NOISY].any(axis=1)
    flips = rng.random(N) < 0.20 + 0.17 * noisy
    return World(pool, np.where(flips, -pool.truth, pool.truth), judge, dev, test)


@dataclass(frozen=True)
class Study:
    """A world, its candidate mixes, fitted models and what policies may look at."""

    world: World
    shares: FloatArray
    b: FloatArray
    performance: FloatArray
    inputs: RoutingInputs

    def routed(self, policy_id: str, share: float) -> float:
        """Return performance on the test set after routing a share to humans."""
        routing = route(
            policy_id,
            self.inputs,
            Budget(human_share=share),
            np.random.default_rng(0),
            audit_share=0.0,
        )
        return float(self.world.performance(routing.to_human[None], self.world.test)[0])


def make_study(seed: int) -> Study:
    world = make_world(seed)
    tags = world.pool.tags
    mixes = sample_mixes(tags, 250, seed=seed).human
    shares, b = mix_features(tags, mixes)
    performance = world.performance(mixes, world.dev)
    rng = np.random.default_rng(seed)
    pilot = rng.random(N) < 0.1
    model = DisagreementModel().fit(
        tags[pilot], (world.human != world.judge)[pilot], np.arange(pilot.sum()), rng
    )
    p_disagree = model.predict_proba(tags)
    dev = TrustedSet(world.dev.phi, world.dev.truth, world.dev.category)
    change = expected_label_change(world.judge, p_disagree)
    inputs = RoutingInputs(
        n_comparisons=N,
        tags=tags,
        ppm=RidgePpm().fit(shares, b, performance),
        reference_ppm=HyperReferencePpm(tags.sum(axis=0)).fit(shares, b, performance),
        p_disagree=p_disagree,
        influence=label_influence(world.pool.phi, world.judge, dev, change, prior_precision=0.01),
    )
    return Study(world, shares, b, performance, inputs)


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    return [make_study(seed) for seed in range(3)]


def mean_over_worlds(studies: list[Study], policy_id: str, share: float) -> float:
    return float(np.mean([study.routed(policy_id, share) for study in studies]))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("policy_id", ["ppm_topk-v1", "influence-v1"])
def test_routing_beats_random_by_two_points(
    policy_id: str, share: float, studies: list[Study]
) -> None:
    routed, random = (mean_over_worlds(studies, p, share) for p in (policy_id, "random-v1"))
    assert routed >= random + 0.02


@pytest.mark.parametrize("share", SHARES)
def test_ridge_is_no_worse_than_the_published_least_squares(
    share: float, studies: list[Study]
) -> None:
    ridge, published = (
        mean_over_worlds(studies, p, share) for p in ("ppm_simulated-v1", "hyper_reference-v1")
    )
    assert ridge >= published


def test_more_budget_is_never_worse(studies: list[Study]) -> None:
    shares = (0.0, 0.125, 0.25, 0.375, 0.5)
    curve = [mean_over_worlds(studies, "ppm_topk-v1", share) for share in shares]
    assert (np.diff(curve) > 0).all()


def test_half_the_human_labels_well_placed_beat_all_of_them(studies: list[Study]) -> None:
    everyone = np.mean(
        [s.world.performance(np.ones((1, N), dtype=bool), s.world.test)[0] for s in studies]
    )
    assert mean_over_worlds(studies, "ppm_topk-v1", 0.5) > everyone


def test_the_ridge_ppm_ranks_unseen_mixes_and_the_published_one_hardly_does(
    studies: list[Study],
) -> None:
    study = studies[0]
    counts = study.world.pool.tags.sum(axis=0)
    rng = np.random.default_rng(0)
    ridge = cross_validate(study.shares, study.b, study.performance, rng=rng)
    published = cross_validate(
        study.shares,
        study.b,
        study.performance,
        rng=rng,
        make_ppm=lambda: HyperReferencePpm(counts),
    )
    assert ridge.spearman.low > 0.85
    assert published.spearman.high < ridge.spearman.low
    assert has_signal(ridge).has_signal
    assert not has_signal(published).has_signal


def test_gains_are_positive_where_the_judge_is_biased_and_lower_where_humans_are_noisy(
    studies: list[Study],
) -> None:
    effects = np.mean([study.inputs.ppm.coef_[:N_TAGS] for study in studies], axis=0)  # type: ignore[union-attr]
    biased, noisy = effects[:N_BIASED], effects[N_BIASED : N_BIASED + N_NOISY]
    assert biased.mean() > effects[N_BIASED + N_NOISY :].mean() > noisy.mean()
