"""The neural ensemble: planted signals, distinct members, stopping."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from modeling.core.metrics import pairwise_accuracy
from modeling.core.mlp import MlpEnsemble, MlpOptions
from modeling.core.mlp_training import forward
from modeling.core.types import FloatArray, InvalidInputError, PairwiseData

SMALL = MlpOptions(hidden=(16, 8), max_epochs=12)
UNTRAINED = replace(SMALL, max_epochs=1, learning_rate=1e-12, weight_decay=0.0)


Planter = Callable[..., tuple[PairwiseData, FloatArray]]


def fitted(
    data: PairwiseData, seed: int = 0, options: MlpOptions = SMALL, **others: Any
) -> MlpEnsemble:
    return MlpEnsemble(3, options=options, **others).fit(data, np.random.default_rng(seed))


def curved(seed: int, n_pairs: int) -> PairwiseData:
    """Draw pairs whose reward is a square: no linear head can learn it."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((2 * n_pairs, 2)).astype(np.float32)
    reward = 3 * features[:, 0] ** 2
    first, second = np.arange(n_pairs) * 2, np.arange(n_pairs) * 2 + 1
    target = (reward[first] > reward[second]).astype(float)
    return PairwiseData(features, first, second, target, np.ones(n_pairs), np.arange(n_pairs) // 2)


def test_a_reward_that_is_not_linear_is_found() -> None:
    train, test = curved(0, 1200), curved(1, 400)
    model = fitted(train, options=MlpOptions(hidden=(32, 16), max_epochs=25))
    assert pairwise_accuracy(model.predict_proba(test), test.target) > 0.9


@pytest.mark.parametrize("options", [UNTRAINED, SMALL], ids=["at the start", "at the end"])
def test_members_are_pairwise_different(plant: Planter, options: Any) -> None:
    data, _ = plant(0)
    first_layer = fitted(data, options=options).layers_[0][0]
    assert min(np.abs(a - b).max() for a, b in combinations(first_layer, 2)) > 0.1


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_every_weight_of_every_member_moves(plant: Planter, layer: int) -> None:
    data, _ = plant(1)
    before = fitted(data, options=UNTRAINED, bootstrap=False).layers_[layer][0]
    after = fitted(data, bootstrap=False).layers_[layer][0]
    assert (np.abs(after - before) > 1e-6).mean() > 0.99


@pytest.mark.parametrize("layer", [0, 1])
def test_every_bias_that_can_matter_moves(plant: Planter, layer: int) -> None:
    data, _ = plant(1)
    assert (np.abs(fitted(data, bootstrap=False).layers_[layer][1]) > 1e-6).mean() > 0.99


def test_training_in_a_batch_of_members_equals_training_alone(plant: Planter) -> None:
    data, _ = plant(2, n_pairs=80)
    together = fitted(data, bootstrap=False).rewards(data.features)
    alone = MlpEnsemble(1, bootstrap=False, options=SMALL).fit(data, np.random.default_rng(0))
    # The first member's seed is the same whether one member or three are asked for.
    np.testing.assert_allclose(together[:1], alone.rewards(data.features), atol=1e-3)


def test_exchanging_the_responses_negates_every_logit_exactly(plant: Planter) -> None:
    data, _ = plant(3)
    model = fitted(data)
    first, second = data.features[data.first], data.features[data.second]
    np.testing.assert_array_equal(model.logits(first, second), -model.logits(second, first))


def test_the_same_seed_gives_the_same_model_and_another_does_not(plant: Planter) -> None:
    data, _ = plant(4, n_pairs=100)
    first, again, other = (fitted(data, seed).rewards(data.features) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_training_leaves_the_global_generators_alone(plant: Planter) -> None:
    data, _ = plant(4, n_pairs=60)
    before = torch.get_rng_state()
    fitted(data)
    assert torch.equal(torch.get_rng_state(), before)


def test_members_stop_where_their_own_held_out_loss_is_lowest(plant: Planter) -> None:
    data, _ = plant(5, strength=1.0)
    options = MlpOptions(hidden=(64,), max_epochs=40, learning_rate=1e-2, patience=3)
    model = fitted(data, options=options)
    assert (model.best_epoch_ < 40).all()
    assert (model.held_out_log_loss_ < np.log(2)).all()


def test_held_out_pairs_temper_overconfident_members(plant: Planter) -> None:
    data, _ = plant(6, n_pairs=150, strength=1.0)
    eager = MlpOptions(hidden=(64,), max_epochs=40, learning_rate=1e-2)
    assert fitted(data, options=eager).temperature_ > 1.2


def test_few_pairs_run_all_epochs(plant: Planter) -> None:
    data, _ = plant(7, n_pairs=60)
    model = fitted(data)
    assert model.best_epoch_.tolist() == [12, 12, 12]
    assert np.isnan(model.held_out_log_loss_).all()


def test_without_bootstrap_nothing_is_held_out(plant: Planter) -> None:
    data, _ = plant(7)
    model = fitted(data, bootstrap=False)
    assert model.temperature_ == 1.0
    assert model.best_epoch_.tolist() == [12, 12, 12]


def test_pairs_of_weight_zero_are_not_seen(plant: Planter) -> None:
    data, _ = plant(8, n_pairs=100)
    kept = np.arange(100) < 60
    flipped = replace(data, target=np.where(kept, data.target, 1 - data.target))
    first, second = (
        fitted(replace(given, weight=kept.astype(float))).rewards(data.features)
        for given in (data, flipped)
    )
    np.testing.assert_array_equal(first, second)


def test_forward_of_one_layer_by_hand() -> None:
    weight, bias = torch.tensor([[[2.0], [1.0]]]), torch.tensor([[0.5]])
    inputs = torch.tensor([[[1.0, -1.0], [0.0, 3.0]]])
    np.testing.assert_allclose(forward([(weight, bias)], inputs), [[1.5, 3.5]])


def test_predictions_do_not_depend_on_how_rows_are_cut(
    plant: Planter, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = plant(9, n_pairs=60)
    model = fitted(data)
    whole = model.rewards(data.features)
    monkeypatch.setattr("modeling.core.mlp_training.PREDICTION_ROWS", 7)
    np.testing.assert_allclose(model.rewards(data.features), whole, atol=1e-5)


def test_no_responses_have_no_rewards(plant: Planter) -> None:
    data, _ = plant(9, n_pairs=60)
    assert fitted(data).rewards(np.empty((0, 8))).shape == (3, 0)


def test_progress_counts_epochs_and_ends_at_one(plant: Planter) -> None:
    data, _ = plant(10, n_pairs=60)
    calls: list[tuple[float, dict[str, Any]]] = []
    MlpEnsemble(2, options=SMALL).fit(
        data, np.random.default_rng(0), progress=lambda share, info: calls.append((share, info))
    )
    assert [info.get("epoch") for _, info in calls] == [*range(1, 13), None]
    assert calls[-1][0] == 1.0
    assert calls[-1][1]["log_loss"] < calls[0][1]["log_loss"]


def test_an_error_in_progress_cancels_the_fit(plant: Planter) -> None:
    data, _ = plant(10, n_pairs=60)

    def cancel(share: float, info: dict[str, Any]) -> None:
        raise InterruptedError("cancelled")

    with pytest.raises(InterruptedError, match="cancelled"):
        MlpEnsemble(2, options=SMALL).fit(data, np.random.default_rng(0), progress=cancel)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no GPU here.")
def test_an_accelerator_trains_the_same_members(plant: Planter) -> None:
    data, _ = plant(14, n_pairs=80)
    here, there = (fitted(data, device=device) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(there.rewards(data.features), here.rewards(data.features), atol=0.01)


@pytest.mark.parametrize(
    ("n_features", "expected"), [(128, (256, 64)), (768, (512, 64)), (4096, (1024, 128))]
)
def test_widths_grow_with_the_features(n_features: int, expected: Any) -> None:
    assert MlpOptions().widths(n_features) == expected


@pytest.mark.parametrize(
    "options",
    [{"hidden": (0,)}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"batch_size": 0}],
)
def test_impossible_options_are_refused(options: Any) -> None:
    with pytest.raises(InvalidInputError, match="options must be positive"):
        MlpOptions(**options)


def test_no_members_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="n_heads must be at least 1; got 0"):
        MlpEnsemble(0)


def test_no_weight_at_all_is_refused(plant: Planter) -> None:
    data, _ = plant(12)
    with pytest.raises(InvalidInputError, match="no pair with positive weight"):
        fitted(replace(data, weight=np.zeros(600)))


def test_other_columns_are_refused(plant: Planter) -> None:
    data, _ = plant(12, n_pairs=60)
    model = fitted(data)
    with pytest.raises(InvalidInputError, match="features has 2 columns; the heads know 8"):
        model.rewards(np.zeros((3, 2)))
