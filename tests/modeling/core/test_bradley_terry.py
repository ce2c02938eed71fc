"""The linear ensemble: planted rewards, symmetry, calibration, bootstrap, round trip."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.core.ensemble import bootstrap_weights
from modeling.core.heads import fit_heads
from modeling.core.metrics import log_loss
from modeling.core.types import FloatArray, InvalidInputError, PairwiseData

Planter = Callable[..., tuple[PairwiseData, FloatArray]]


def fitted(data: PairwiseData, seed: int = 0, **options: Any) -> BradleyTerryEnsemble:
    return BradleyTerryEnsemble(**options).fit(data, np.random.default_rng(seed))


def test_a_planted_reward_is_found(plant: Planter) -> None:
    data, weights = plant(0, n_pairs=3000)
    found = fitted(data).weights_.mean(axis=0)
    assert np.corrcoef(found, weights)[0, 1] > 0.98


def test_held_out_log_loss_comes_close_to_the_truth(plant: Planter) -> None:
    data, weights = plant(0, n_pairs=3000)
    truth = log_loss(expit(data.differences @ weights), data.target)
    model = fitted(data)
    assert model.held_out_log_loss_ == pytest.approx(truth, abs=0.02)
    assert model.converged_


def test_exchanging_the_responses_negates_every_logit_exactly(plant: Planter) -> None:
    data, _ = plant(1)
    model = fitted(data)
    first, second = data.features[data.first], data.features[data.second]
    np.testing.assert_array_equal(model.logits(first, second), -model.logits(second, first))
    np.testing.assert_array_equal(
        model.predict_proba(first, second), 1.0 - model.predict_proba(second, first)
    )


def test_pairs_and_their_features_give_the_same_logits(plant: Planter) -> None:
    data, _ = plant(1)
    model = fitted(data)
    by_features = model.logits(data.features[data.first], data.features[data.second])
    np.testing.assert_allclose(model.logits(data), by_features, atol=1e-5)


def test_a_constant_added_to_all_features_changes_no_probability(plant: Planter) -> None:
    data, _ = plant(2)
    model = fitted(data)
    first, second = data.features[data.first], data.features[data.second]
    shifted = model.predict_proba(first + 3.0, second + 3.0)
    np.testing.assert_allclose(shifted, model.predict_proba(first, second), atol=1e-5)


def test_probability_is_the_mean_of_tempered_members(plant: Planter) -> None:
    data, _ = plant(3)
    model = fitted(data)
    rewards = model.rewards(data.features).astype(np.float64)
    logits = (rewards[:, data.first] - rewards[:, data.second]) / model.temperature_
    np.testing.assert_allclose(model.predict_proba(data), expit(logits).mean(axis=0), atol=1e-12)


def test_members_differ_and_without_bootstrap_they_do_not(plant: Planter) -> None:
    data, _ = plant(4)
    spread = fitted(data).weights_.std(axis=0).max()
    same = fitted(data, bootstrap=False, n_heads=3).weights_.std(axis=0).max()
    assert spread > 0.02
    assert same < 1e-6


def test_without_bootstrap_a_member_is_the_plain_head(plant: Planter) -> None:
    data, _ = plant(4)
    model = fitted(data, bootstrap=False, n_heads=1, prior_precision=2.0)
    head = fit_heads(data.differences, data.target[:, None], prior_precision=2.0)
    np.testing.assert_allclose(model.weights_[0], head.weights_[:, 0], atol=1e-4)
    assert model.prior_precision_ == 2.0


def test_the_same_seed_gives_the_same_model_and_another_does_not(plant: Planter) -> None:
    data, _ = plant(5)
    first, again, other = (fitted(data, seed).weights_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_fitting_again_forgets_the_earlier_fit(plant: Planter) -> None:
    data, _ = plant(5)
    other, _ = plant(6, n_features=3)
    model = BradleyTerryEnsemble()
    model.fit(other, np.random.default_rng(1))
    model.fit(data, np.random.default_rng(1))
    np.testing.assert_array_equal(model.weights_, fitted(data, 1).weights_)


def test_writing_the_pairs_the_other_way_round_changes_no_reward(plant: Planter) -> None:
    data, _ = plant(7)
    swapped = fitted(data.swapped()).rewards(data.features)
    np.testing.assert_allclose(swapped, fitted(data).rewards(data.features), atol=2e-3)


@pytest.mark.parametrize("rule", ["cv", "evidence"])
def test_noise_gets_a_stronger_prior_than_signal(plant: Planter, rule: str) -> None:
    data, _ = plant(8, n_features=30, strength=3.0)
    noise = replace(data, target=np.random.default_rng(0).integers(2, size=600).astype(float))
    with_signal = fitted(data, prior_precision=rule).prior_precision_
    assert fitted(noise, prior_precision=rule).prior_precision_ > 10 * with_signal


def test_evidence_works_from_one_prompt(plant: Planter) -> None:
    data, _ = plant(9, n_prompts=1, n_pairs=40)
    model = fitted(data, prior_precision="evidence")
    assert model.temperature_ == 1.0
    assert np.isnan(model.held_out_log_loss_)


def test_cross_validation_of_one_prompt_is_refused_with_a_remedy(plant: Planter) -> None:
    data, _ = plant(9, n_prompts=1)
    with pytest.raises(InvalidInputError, match="needs at least two prompts; label another"):
        fitted(data)


def test_a_handful_of_pairs_can_be_fitted(plant: Planter) -> None:
    data, _ = plant(10, n_pairs=4, n_prompts=3)
    probability = fitted(data).predict_proba(data)
    assert np.isfinite(probability).all()


def test_pairs_of_weight_zero_are_not_seen(plant: Planter) -> None:
    data, _ = plant(11)
    kept = np.arange(600) < 300
    flipped = replace(data, target=np.where(kept, data.target, 1 - data.target))
    weight = kept.astype(float)
    first = fitted(replace(data, weight=weight)).weights_
    second = fitted(replace(flipped, weight=weight)).weights_
    np.testing.assert_array_equal(first, second)


def test_no_weight_at_all_is_refused(plant: Planter) -> None:
    data, _ = plant(11)
    with pytest.raises(InvalidInputError, match="no pair with positive weight"):
        fitted(replace(data, weight=np.zeros(600)))


def test_progress_rises_from_stage_to_stage(plant: Planter) -> None:
    data, _ = plant(12)
    calls: list[tuple[float, dict[str, Any]]] = []
    BradleyTerryEnsemble().fit(
        data, np.random.default_rng(0), progress=lambda share, info: calls.append((share, info))
    )
    shares = [share for share, _ in calls]
    stages = list(dict.fromkeys(info["stage"] for _, info in calls))
    assert stages == ["prior", "temperature", "members", "done"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(np.isfinite(info["log_loss"]) for _, info in calls)


def test_an_error_in_progress_cancels_the_fit(plant: Planter) -> None:
    data, _ = plant(12)

    def cancel(share: float, info: dict[str, Any]) -> None:
        raise InterruptedError(info["stage"])

    with pytest.raises(InterruptedError, match="prior"):
        BradleyTerryEnsemble().fit(data, np.random.default_rng(0), progress=cancel)


@pytest.mark.parametrize("n_prompts", [1, 50])
def test_a_model_survives_json_and_arrays_exactly(plant: Planter, n_prompts: int) -> None:
    data, _ = plant(13, n_prompts=n_prompts)
    model = fitted(data, prior_precision=1.5, n_heads=3)
    arrays, meta = model.to_arrays()
    restored = BradleyTerryEnsemble.from_arrays(arrays, json.loads(json.dumps(meta)))
    np.testing.assert_array_equal(restored.predict_proba(data), model.predict_proba(data))
    np.testing.assert_equal(restored.held_out_log_loss_, model.held_out_log_loss_)
    assert restored.to_arrays()[1] == meta


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="ensemble arrays lacks weights"):
        BradleyTerryEnsemble.from_arrays({}, {})


def test_other_columns_are_refused(plant: Planter) -> None:
    data, _ = plant(13)
    model = fitted(data)
    with pytest.raises(InvalidInputError, match="features has 2 columns; the heads know 8"):
        model.rewards(np.zeros((3, 2)))


@pytest.mark.parametrize("second", [None, np.zeros((4, 8))])
def test_first_and_second_must_pair(plant: Planter, second: Any) -> None:
    data, _ = plant(13)
    model = fitted(data)
    with pytest.raises(InvalidInputError, match="first and second must have one shape"):
        model.logits(data.features, second)


@pytest.mark.parametrize("options", [{"n_heads": 0}, {"n_folds": 1}, {"prior_precision": "best"}])
def test_impossible_options_are_refused(options: Any) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        BradleyTerryEnsemble(**options)


def test_bootstrap_weights_go_by_prompt_and_leave_a_third_out() -> None:
    prompt = np.repeat(np.arange(500), 4)
    weights = bootstrap_weights(prompt, np.ones((2000, 20), bool), np.random.default_rng(0))
    by_prompt = weights.reshape(500, 4, 20)
    np.testing.assert_array_equal(by_prompt, by_prompt[:, :1].repeat(4, axis=1))
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.025)
    assert weights.mean() == pytest.approx(1.0, abs=0.05)


def test_bootstrap_never_leaves_a_member_empty() -> None:
    available = np.zeros((3, 200), bool)
    available[0] = True
    weights = bootstrap_weights(np.arange(3), available, np.random.default_rng(0))
    assert (weights[0] > 0).all()
    assert (weights[1:] == 0).all()
