"""One battery of checks over every strategy in the registry."""

from dataclasses import replace

import numpy as np
import pytest

from routing.core.acquisition import (
    STRATEGIES,
    AcquisitionInputs,
    compose_batch,
    tie_hashes,
)
from routing.core.acquisition.neighbours import build_prompt_graph
from routing.core.arrays import RoutingInputError

ALL = sorted(STRATEGIES)
N, P = 90, 25


def pool(n: int = N, n_members: int = 4) -> AcquisitionInputs:
    r = np.random.default_rng(n)
    return AcquisitionInputs(
        n_candidates=n,
        prompt=r.integers(P, size=n),
        logits=r.standard_normal((n_members, n)),
        prompt_embeddings=r.standard_normal((P, 6)),
        acquired_count=r.integers(3, size=P),
        difference_features=r.standard_normal((n, 5)),
        tie_hash=tie_hashes([f"c{k}" for k in range(n)], seed=1, round_number=2),
        labelled_differences=r.standard_normal((7, 5)),
        labelled_logits=r.standard_normal((n_members, 7)),
        target_logits=r.standard_normal((n_members, 20)),
    )


@pytest.mark.parametrize("strategy_id", ALL)
@pytest.mark.parametrize("batch_size", [0, 1, 12, N, N + 50])
def test_a_batch_holds_exactly_as_many_different_candidates_as_asked(
    strategy_id: str, batch_size: int
) -> None:
    chosen = STRATEGIES[strategy_id].select(pool(), batch_size, np.random.default_rng(0))
    assert len(set(chosen.indices.tolist())) == len(chosen.indices) == min(batch_size, N)
    assert np.isfinite(chosen.utilities).all()
    assert not chosen.is_random.any()


@pytest.mark.parametrize("strategy_id", ALL)
def test_the_same_generator_gives_the_same_batch(strategy_id: str) -> None:
    first, again = (
        STRATEGIES[strategy_id].select(pool(), 20, np.random.default_rng(3)).indices
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("strategy_id", ALL)
@pytest.mark.parametrize("cap", [1, 2])
def test_no_prompt_exceeds_its_cap_while_others_are_left(strategy_id: str, cap: int) -> None:
    inputs = replace(pool(), per_prompt_cap=cap)
    chosen = STRATEGIES[strategy_id].select(inputs, 20, np.random.default_rng(0))
    assert np.bincount(inputs.prompt[chosen.indices]).max() <= cap
    assert (chosen.parts["relaxed"] == 0).all()


@pytest.mark.parametrize("strategy_id", ALL)
def test_caps_are_relaxed_one_by_one_when_prompts_run_out(strategy_id: str) -> None:
    inputs = AcquisitionInputs(
        6,
        np.array([0, 0, 0, 0, 1, 1]),
        logits=np.random.default_rng(0).random((3, 6)),
        prompt_embeddings=np.eye(2),
        difference_features=np.eye(6),
        per_prompt_cap=1,
    )
    chosen = STRATEGIES[strategy_id].select(inputs, 6, np.random.default_rng(0))
    assert chosen.parts["relaxed"].tolist() == [0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize("strategy_id", ALL)
def test_a_prompt_waits_for_its_turn_over_all_rounds(strategy_id: str) -> None:
    # 12 acquired over 4 open prompts: the cap is 1 + 3, so the prompt that has 9 must wait.
    inputs = AcquisitionInputs(
        40,
        np.repeat(np.arange(4), 10),
        logits=np.random.default_rng(0).random((3, 40)),
        prompt_embeddings=np.eye(4),
        difference_features=np.random.default_rng(1).random((40, 3)),
        acquired_count=np.array([9, 1, 1, 1]),
        fair_share=True,
    )
    chosen = STRATEGIES[strategy_id].select(inputs, 9, np.random.default_rng(0))
    assert np.bincount(inputs.prompt[chosen.indices], minlength=4).tolist() == [0, 3, 3, 3]


@pytest.mark.parametrize("strategy_id", ALL)
def test_a_single_candidate_and_a_single_member_are_enough(strategy_id: str) -> None:
    chosen = STRATEGIES[strategy_id].select(pool(1, n_members=1), 5, np.random.default_rng(0))
    assert chosen.indices.tolist() == [0]


@pytest.mark.parametrize("strategy_id", ALL)
def test_candidates_that_are_all_alike_still_fill_a_batch(strategy_id: str) -> None:
    inputs = AcquisitionInputs(
        15,
        np.zeros(15, np.int64),
        logits=np.ones((3, 15)),
        prompt_embeddings=np.zeros((1, 2)),
        difference_features=np.zeros((15, 2)),
    )
    chosen = STRATEGIES[strategy_id].select(inputs, 10, np.random.default_rng(0))
    assert len(set(chosen.indices.tolist())) == 10


@pytest.mark.parametrize("strategy_id", ALL)
def test_an_empty_pool_gives_an_empty_batch(strategy_id: str) -> None:
    batch = compose_batch(STRATEGIES[strategy_id], pool(0), 5, np.random.default_rng(0))
    assert batch.indices.shape == (0,)


@pytest.mark.parametrize("strategy_id", ALL)
def test_a_selection_leaves_its_inputs_as_they_were(strategy_id: str) -> None:
    inputs, untouched = pool(), pool()
    compose_batch(STRATEGIES[strategy_id], inputs, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(inputs.counts, untouched.counts)
    np.testing.assert_array_equal(inputs.logits, untouched.logits)
    np.testing.assert_array_equal(inputs.prompt, untouched.prompt)


@pytest.mark.parametrize(
    ("strategy_id", "need"), [(s.id, need) for s in STRATEGIES.values() for need in s.needs]
)
def test_a_missing_input_is_named(strategy_id: str, need: str) -> None:
    without = replace(
        pool(),
        labelled_logits=None,
        target_logits=None,
        **dict.fromkeys(need.split("|"), None),  # type: ignore[arg-type]
    )
    with pytest.raises(RoutingInputError, match=f"{strategy_id} needs"):
        STRATEGIES[strategy_id].select(without, 3, np.random.default_rng(0))


@pytest.mark.parametrize("strategy_id", ALL)
def test_a_negative_batch_is_refused(strategy_id: str) -> None:
    with pytest.raises(RoutingInputError, match="batch_size is -1"):
        STRATEGIES[strategy_id].select(pool(), -1, np.random.default_rng(0))


DETERMINISTIC = sorted(
    set(ALL) - {"random-v1", "power_bald-v1", "badge-v1", "batch_bald-v1", "bal_pm_item-v1"}
)


@pytest.mark.parametrize("strategy_id", DETERMINISTIC)
def test_the_order_of_rows_does_not_matter(strategy_id: str) -> None:
    inputs = replace(pool(), per_prompt_cap=2)
    shuffle = np.random.default_rng(9).permutation(N)
    here = STRATEGIES[strategy_id].select(inputs, 20, np.random.default_rng(0)).indices
    there = STRATEGIES[strategy_id].select(inputs.take(shuffle), 20, np.random.default_rng(0))
    np.testing.assert_array_equal(shuffle[there.indices], here)


@pytest.mark.parametrize("strategy_id", ALL)
def test_every_strategy_says_in_a_sentence_what_it_prefers(strategy_id: str) -> None:
    strategy = STRATEGIES[strategy_id]
    assert strategy.id == strategy_id
    assert strategy.title
    assert strategy.summary.endswith(".")


def test_hashes_depend_on_identifier_seed_and_round_alone() -> None:
    here = tie_hashes(["a", "b"], seed=1, round_number=1)
    there = tie_hashes(["b", "a"], seed=1, round_number=1)
    assert here.tolist() == there[::-1].tolist()
    assert here[0] != tie_hashes(["a"], seed=2, round_number=1)[0]
    assert here[0] != tie_hashes(["a"], seed=1, round_number=2)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": np.zeros(3)}, "prompt has shape"),
        ({"prompt": np.full(N, 99)}, "99; they must lie in"),
        ({"logits": np.ones((2, 5))}, "logits has shape"),
        ({"logits": np.full((2, N), np.nan)}, r"logits\[0, 0\] is nan"),
        ({"difference_features": np.ones((3, 2))}, "difference_features has shape"),
        ({"acquired_count": np.full(P, -1)}, "acquired_count holds negative"),
        ({"tie_hash": np.zeros(3, np.uint64)}, "tie_hash"),
        ({"labelled_differences": np.ones((3, 5))}, "labelled_logits needs"),
        ({"per_prompt_cap": 0}, "per_prompt_cap is 0"),
        ({"outlier_share": 1.0}, "outlier_share is 1"),
        ({"beta": -1.0}, "beta is -1"),
        ({"power": 0.0}, "power is 0"),
        ({"count_dimension": 0.0}, "count_dimension is 0"),
        ({"prior_precision": -1.0}, "prior_precision is -1"),
    ],
)
def test_bad_inputs_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(RoutingInputError, match=message):
        replace(pool(), **change)  # type: ignore[arg-type]


def test_a_graph_tells_the_number_of_prompts() -> None:
    graph = build_prompt_graph(np.eye(4))
    assert AcquisitionInputs(1, np.array([0]), prompt_graph=graph).n_prompts == 4
    assert AcquisitionInputs(2, np.array([0, 6])).n_prompts == 7
