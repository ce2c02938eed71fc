import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from routing.core.arrays import BoolArray, FloatArray, IntArray, RoutingInputError
from routing.core.deferral import (
    DisagreementModel,
    deferral_threshold,
    disagreement_features,
    keeps_judge,
)


def pilot(n: int = 1200, seed: int = 0) -> tuple[FloatArray, BoolArray, IntArray, FloatArray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    truth = expit(1.5 * x[:, 0] - 1.0)
    return x, rng.random(n) < truth, np.arange(n) // 3, truth


def test_probabilities_are_calibrated_and_follow_the_signal() -> None:
    x, disagrees, group, truth = pilot()
    model = DisagreementModel().fit(x, disagrees, group, np.random.default_rng(0))
    assert model.out_of_fold_.mean() == pytest.approx(disagrees.mean(), abs=0.02)
    assert np.abs(model.out_of_fold_ - truth).mean() < 0.05
    assert roc_auc_score(disagrees, model.predict_proba(x)) > 0.75


def test_no_comparison_is_scored_by_a_model_that_saw_its_prompt() -> None:
    # Labels depend on the prompt alone; identity columns would reveal them within a prompt.
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 5)
    disagrees = (rng.random(60) < 0.5)[group]
    model = DisagreementModel().fit(np.eye(60)[group], disagrees, group, rng)
    assert roc_auc_score(disagrees, model.out_of_fold_) < 0.65


@pytest.mark.parametrize(
    ("disagrees", "rate"), [(np.zeros(100, bool), 1 / 102), (np.ones(100, bool), 101 / 102)]
)
def test_one_sided_pilots_fall_back_to_the_smoothed_rate(disagrees: BoolArray, rate: float) -> None:
    model = DisagreementModel().fit(
        np.ones((100, 1)), disagrees, np.arange(100), np.random.default_rng(0)
    )
    np.testing.assert_allclose(model.predict_proba(np.zeros((2, 1))), rate)
    np.testing.assert_allclose(model.out_of_fold_, rate)


def test_a_tiny_pilot_falls_back_to_the_smoothed_rate() -> None:
    x, disagrees, group, _ = pilot(20)
    model = DisagreementModel().fit(x, disagrees, group, np.random.default_rng(0))
    np.testing.assert_allclose(model.predict_proba(x), (disagrees.sum() + 1) / 22)


def test_the_same_generator_gives_the_same_probabilities() -> None:
    x, disagrees, group, _ = pilot(300)
    first, again = (
        DisagreementModel().fit(x, disagrees, group, np.random.default_rng(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.out_of_fold_, again.out_of_fold_)


@pytest.mark.parametrize(
    ("features", "group", "n_folds"),
    [(np.ones((3, 1)), [0, 1], 5), (np.ones((3, 1)), [0, 1, 2], 1)],
)
def test_pilots_that_cannot_be_split_are_refused(
    features: FloatArray, group: list[int], n_folds: int
) -> None:
    with pytest.raises(RoutingInputError, match="groups"):
        DisagreementModel(n_folds).fit(features, [0, 1, 0], group, np.random.default_rng(0))


def test_the_threshold_of_a_hand_computed_calibration_set() -> None:
    # With n = 9 and 0.3 the wrong ones kept may number 0.3 * 10 - 1 = 2; the third is at 0.6.
    chance = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    wrong = np.array([0, 1, 0, 1, 0, 1, 1, 1, 1])
    threshold = deferral_threshold(chance, wrong, max_error=0.3)
    assert 0.5 < threshold < 0.6
    assert keeps_judge(chance, threshold).sum() == 5


def test_ties_at_the_threshold_are_all_deferred() -> None:
    threshold = deferral_threshold(np.full(20, 0.4), np.arange(20) < 10, max_error=0.2)
    assert not keeps_judge(np.full(3, 0.4), threshold).any()


@pytest.mark.parametrize("max_error", [0.05, 0.1, 0.2])
def test_the_expected_error_stays_within_the_guarantee(max_error: float) -> None:
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(400):
        chance = rng.random((2, 80))
        # The probabilities are badly calibrated on purpose: the guarantee must not need them.
        wrong = rng.random((2, 80)) < 0.6 * chance**2 + 0.1
        threshold = deferral_threshold(chance[0], wrong[0], max_error=max_error)
        errors.append((keeps_judge(chance[1], threshold) & wrong[1]).mean())
    assert max_error / 2 < np.mean(errors) < max_error + 3 * np.std(errors) / 20


@pytest.mark.parametrize(("n", "wrong", "expected"), [(5, 0, -np.inf), (50, 0, np.inf)])
def test_too_few_keep_nothing_and_a_perfect_judge_keeps_everything(
    n: int, wrong: int, expected: float
) -> None:
    threshold = deferral_threshold(np.full(n, 0.3), np.full(n, wrong), max_error=0.1)
    assert threshold == expected


@pytest.mark.parametrize("max_error", [0.0, 1.0, -0.1])
def test_an_error_outside_zero_and_one_is_refused(max_error: float) -> None:
    with pytest.raises(RoutingInputError, match="max_error"):
        deferral_threshold([0.5], [0], max_error=max_error)


def test_signals_say_when_a_verdict_is_missing() -> None:
    features = disagreement_features([0.9, np.nan], [0.0, np.nan], [5.0, 6.0])
    np.testing.assert_allclose(features, [[np.log(9), 0, 0, 0, 5], [0, 1, 0.5, 1, 6]], atol=1e-12)


def test_swapping_responses_leaves_the_signals_unchanged() -> None:
    here = disagreement_features([0.8, 0.3], [0.0, 1.0])
    there = disagreement_features([0.2, 0.7], [0.0, 1.0])
    np.testing.assert_allclose(here, there)
