from dataclasses import replace

import numpy as np
import pytest

from routing.core.acquisition import STRATEGIES, AcquisitionInputs, compose_batch
from routing.core.arrays import RoutingInputError

BALD = STRATEGIES["bald-v1"]


def pool(n: int = 200, n_prompts: int = 50) -> AcquisitionInputs:
    r = np.random.default_rng(0)
    return AcquisitionInputs(
        n,
        np.arange(n) % n_prompts,
        logits=r.standard_normal((4, n)),
        prompt_embeddings=r.standard_normal((n_prompts, 4)),
        difference_features=r.standard_normal((n, 3)),
    )


@pytest.mark.parametrize(("share", "n_random"), [(0.0, 0), (0.1, 4), (0.25, 10), (1.0, 40)])
def test_the_random_share_comes_first_and_is_flagged(share: float, n_random: int) -> None:
    batch = compose_batch(BALD, pool(), 40, np.random.default_rng(0), random_share=share)
    assert batch.is_random.tolist() == [True] * n_random + [False] * (40 - n_random)
    assert len(set(batch.indices.tolist())) == 40


@pytest.mark.parametrize("strategy_id", sorted(STRATEGIES))
def test_caps_count_random_picks_too(strategy_id: str) -> None:
    inputs = pool()
    batch = compose_batch(
        STRATEGIES[strategy_id], inputs, 40, np.random.default_rng(1), random_share=0.5
    )
    assert np.bincount(inputs.prompt[batch.indices]).max() == 1


def test_every_candidate_is_drawn_at_random_about_equally_often() -> None:
    inputs = pool(40, 40)
    drawn = np.zeros(40)
    for seed in range(400):
        batch = compose_batch(BALD, inputs, 10, np.random.default_rng(seed), random_share=0.4)
        drawn[batch.indices[batch.is_random]] += 1
    # 400 rounds of 4 out of 40: 40 expected each, with a deviation of 6.
    assert drawn.min() > 40 - 4 * 6
    assert drawn.max() < 40 + 4 * 6


def test_random_picks_push_bal_pm_elsewhere() -> None:
    # Two far groups of twins; with one twin drawn, its sister costs a full count step.
    places = np.repeat(10.0 * np.arange(6), 2)[:, None] + np.tile([[0.0], [0.1]], (6, 1))
    inputs = AcquisitionInputs(
        12, np.arange(12), prompt_embeddings=places, beta=1.0, n_neighbours=1
    )
    batch = compose_batch(
        STRATEGIES["bal_pm-v1"], inputs, 6, np.random.default_rng(0), random_share=0.2
    )
    assert len(set((batch.indices // 2).tolist())) == 6


def test_parts_of_one_side_are_unknown_on_the_other() -> None:
    batch = compose_batch(
        STRATEGIES["bal_pm-v1"], pool(), 20, np.random.default_rng(0), random_share=0.25
    )
    term = batch.parts["prompt_entropy"]
    assert np.isnan(term[batch.is_random]).all()
    assert np.isfinite(term[~batch.is_random]).all()


def test_a_batch_continues_one_that_holds_some_already() -> None:
    held = np.eye(50, dtype=np.int64)[3]
    inputs = replace(pool(), acquired_count=held, batch_count=held)
    batch = compose_batch(BALD, inputs, 49, np.random.default_rng(0), fair_share=False)
    assert 3 not in inputs.prompt[batch.indices]


@pytest.mark.parametrize("seed", range(6))
def test_a_design_looks_where_the_random_picks_did_not(seed: int) -> None:
    features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.9], [0.0, 0.9]])
    inputs = AcquisitionInputs(4, np.arange(4), difference_features=features)
    batch = compose_batch(
        STRATEGIES["d_optimal-v1"], inputs, 2, np.random.default_rng(seed), random_share=0.5
    )
    assert batch.is_random.tolist() == [True, False]
    assert features[batch.indices[0]] @ features[batch.indices[1]] == 0.0


@pytest.mark.parametrize(
    ("known", "logits"),
    [(None, None), (np.ones((2, 3)), None), (np.ones((2, 3)), np.ones((4, 2)))],
)
def test_designs_accept_labelled_rows_with_and_without_predictions(
    known: np.ndarray[tuple[int, int], np.dtype[np.float64]] | None,
    logits: np.ndarray[tuple[int, int], np.dtype[np.float64]] | None,
) -> None:
    inputs = replace(pool(), labelled_differences=known, labelled_logits=logits)
    batch = compose_batch(STRATEGIES["d_optimal-v1"], inputs, 20, np.random.default_rng(0))
    assert len(batch.indices) == 20


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_zero_and_one_is_refused(share: float) -> None:
    with pytest.raises(RoutingInputError, match="random_share is"):
        compose_batch(BALD, pool(), 5, np.random.default_rng(0), random_share=share)
