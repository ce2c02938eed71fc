import numpy as np
import pytest
from scipy.stats import spearmanr

from routing.core.arrays import FloatArray, Interval, RoutingInputError
from routing.core.ppm_baselines import GradientBoostedPpm
from routing.core.validation import (
    PpmValidation,
    cross_validate,
    has_signal,
    noise_floor,
    replicate_rows,
)


def mixes(effect: float, n: int = 120) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(0)
    shares, b = rng.random((n, 4)), rng.random(n)
    return shares, b, 0.7 + effect * shares[:, 0] + 0.01 * rng.standard_normal(n)


def verdict_inputs(low: float, rmse: float, spread: float) -> PpmValidation:
    return PpmValidation(Interval(0.5, low, 0.8), rmse, spread, np.zeros(3), 3)


def test_a_planted_effect_is_found_and_its_error_is_the_noise() -> None:
    validation = cross_validate(*mixes(0.2), rng=np.random.default_rng(1))
    assert validation.spearman.low > 0.9
    assert validation.rmse_pp == pytest.approx(1.0, abs=0.25)
    assert has_signal(validation, noise_floor_pp=1.0).has_signal


def test_noise_alone_is_called_no_signal() -> None:
    verdict = has_signal(cross_validate(*mixes(0.0), rng=np.random.default_rng(1)))
    assert not verdict.has_signal
    assert verdict.reason.startswith("No signal: ")


def test_the_reported_correlation_and_errors_follow_from_the_predictions() -> None:
    shares, b, performance = mixes(0.1)
    v = cross_validate(shares, b, performance, rng=np.random.default_rng(2))
    assert v.spearman.estimate == pytest.approx(spearmanr(v.predicted, performance).statistic)
    error = 100 * np.sqrt(np.mean((v.predicted - performance) ** 2))
    assert v.rmse_pp == pytest.approx(float(error))
    assert v.spread_pp == pytest.approx(100 * float(np.std(performance, ddof=1)))


def test_held_out_mixes_do_not_leak_into_their_prediction() -> None:
    shares, b, performance = mixes(0.2, n=40)
    here = cross_validate(shares, b, performance, rng=np.random.default_rng(0), n_folds=40)
    changed = performance.copy()
    changed[7] += 0.5
    there = cross_validate(shares, b, changed, rng=np.random.default_rng(0), n_folds=40)
    assert here.predicted[7] == there.predicted[7]


def test_the_same_generator_gives_the_same_validation() -> None:
    first, again = (cross_validate(*mixes(0.1), rng=np.random.default_rng(5)) for _ in range(2))
    assert first.spearman == again.spearman


def test_any_model_can_be_validated() -> None:
    validation = cross_validate(
        *mixes(0.3), rng=np.random.default_rng(0), make_ppm=GradientBoostedPpm, n_folds=3
    )
    assert validation.spearman.estimate > 0.8


def test_the_noise_floor_is_the_pooled_spread_within_mixes() -> None:
    # Variances 2 and 8 in percentage points squared: the pooled deviation is sqrt(5).
    replicates = np.array([[0.70, 0.72], [0.80, 0.84]])
    assert noise_floor(replicates) == pytest.approx(5**0.5)


def test_the_noise_floor_recovers_known_noise() -> None:
    rng = np.random.default_rng(0)
    levels = rng.random((50, 1))
    assert noise_floor(levels + 0.01 * rng.standard_normal((50, 20))) == pytest.approx(1, abs=0.1)


def test_replicates_draw_rows_with_replacement() -> None:
    rows = replicate_rows(100, 5, np.random.default_rng(0))
    assert rows.shape == (5, 100)
    assert len(set(rows[0].tolist())) < 100


@pytest.mark.parametrize(
    ("low", "rmse", "spread", "floor", "signal", "words"),
    [
        (0.2, 1.0, 2.0, 0.5, True, "Signal"),
        (0.2, 1.0, 2.0, None, True, "Signal"),
        (0.0, 1.0, 2.0, 0.5, False, "includes 0"),
        (0.2, 2.0, 2.0, 0.5, False, "no smaller than the spread"),
        (0.2, 1.0, 2.0, 2.0, False, "within the noise floor"),
    ],
)
def test_the_verdict_names_the_first_obstacle(
    low: float, rmse: float, spread: float, floor: float | None, signal: bool, words: str
) -> None:
    verdict = has_signal(verdict_inputs(low, rmse, spread), floor)
    assert verdict.has_signal is signal
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("rmse", "spread", "explained"), [(1.0, 2.0, 0.75), (3.0, 2.0, 0.0), (0.0, 0.0, 0.0)]
)
def test_the_explained_share_stays_between_zero_and_one(
    rmse: float, spread: float, explained: float
) -> None:
    assert verdict_inputs(0.1, rmse, spread).explained == pytest.approx(explained)


def test_constant_predictions_have_no_correlation() -> None:
    shares, b, _ = mixes(0.1)
    validation = cross_validate(shares, b, np.full(120, 0.7), rng=np.random.default_rng(0))
    assert validation.spearman.estimate == 0.0


@pytest.mark.parametrize(("n", "n_folds"), [(7, 5), (20, 1)])
def test_too_little_to_validate_is_refused(n: int, n_folds: int) -> None:
    with pytest.raises(RoutingInputError, match="at least eight mixes and two folds"):
        cross_validate(*mixes(0.1, n=n), rng=np.random.default_rng(0), n_folds=n_folds)


def test_one_replicate_gives_no_noise_floor() -> None:
    with pytest.raises(RoutingInputError, match="two replicates"):
        noise_floor(np.ones((3, 1)))
