import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import PolynomialFeatures

from routing.core.arrays import BoolArray, FloatArray, RoutingInputError
from routing.core.mixes import mix_features, sample_mixes
from routing.core.ppm import Form, RidgePpm, greedy_gains, instance_gains
from routing.core.ppm_baselines import GradientBoostedPpm, HyperReferencePpm

FORMS: tuple[Form, ...] = ("linear", "quadratic_b", "low_rank")
Mixes = tuple[BoolArray, FloatArray, FloatArray, FloatArray]


@pytest.fixture(scope="module")
def mixes() -> Mixes:
    """Tags, shares, human shares and a noisy performance with known effects."""
    rng = np.random.default_rng(7)
    tags = rng.random((300, 6)) < np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    shares, b = mix_features(tags, sample_mixes(tags, 120, seed=7).human)
    effect = np.array([0.05, -0.03, 0.02, 0.0, 0.0, 0.04])
    performance = 0.7 + shares @ effect - 0.02 * b**2 + 0.004 * rng.standard_normal(120)
    return tags, shares, b, performance


def test_ridge_equals_scikit_learn_at_the_chosen_penalty(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    ppm = RidgePpm("linear").fit(shares, b, performance)
    design = np.column_stack([shares, b])
    scale = design.std(axis=0)
    oracle = Ridge(alpha=ppm.penalty_).fit(design / scale, performance)
    np.testing.assert_allclose(ppm.coef_, oracle.coef_ / scale, atol=1e-9)
    np.testing.assert_allclose(ppm.intercept_, oracle.intercept_, atol=1e-9)


def test_weighted_ridge_equals_scikit_learn(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    weight = np.random.default_rng(0).uniform(0.2, 3.0, len(b))
    weight /= weight.mean()
    ppm = RidgePpm("linear").fit(shares, b, performance, sample_weight=weight)
    design = np.column_stack([shares, b])
    centre = np.average(design, axis=0, weights=weight)
    scale = np.sqrt(np.average((design - centre) ** 2, axis=0, weights=weight))
    oracle = Ridge(alpha=ppm.penalty_).fit(design / scale, performance, sample_weight=weight)
    np.testing.assert_allclose(ppm.coef_, oracle.coef_ / scale, atol=1e-9)


def test_the_leave_one_out_shortcut_equals_refitting_without_each_mix(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    ppm = RidgePpm("linear").fit(shares, b, performance)
    design = np.column_stack([shares, b])
    design = (design - design.mean(axis=0)) / design.std(axis=0)
    errors = [
        performance[k]
        - Ridge(alpha=ppm.penalty_)
        .fit(np.delete(design, k, axis=0), np.delete(performance, k))
        .predict(design[[k]])[0]
        for k in range(len(b))
    ]
    assert ppm.loo_rmse_ == pytest.approx(float(np.sqrt(np.mean(np.square(errors)))), rel=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_the_all_judge_mix_is_predicted_by_the_intercept(form: Form, mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    ppm = RidgePpm(form).fit(shares, b, performance)
    assert ppm.predict(np.zeros((1, 6)), [0.0])[0] == pytest.approx(ppm.intercept_, abs=1e-12)


def test_linear_gains_add_up_to_the_prediction_of_any_set(mixes: Mixes) -> None:
    tags, shares, b, performance = mixes
    ppm = RidgePpm("linear").fit(shares, b, performance)
    human = np.random.default_rng(1).random((20, 300)) < 0.3
    total = human @ instance_gains(ppm, tags).mean
    predicted = ppm.predict(*mix_features(tags, human)) - ppm.intercept_
    np.testing.assert_allclose(total, predicted, atol=1e-12)


def test_the_top_linear_gains_beat_every_simulated_set_of_the_same_size(mixes: Mixes) -> None:
    tags, shares, b, performance = mixes
    ppm = RidgePpm("linear").fit(shares, b, performance)
    best = np.zeros((1, 300), dtype=bool)
    best[0, np.argsort(-instance_gains(ppm, tags).mean)[:80]] = True
    simulated = sample_mixes(tags, 200, seed=0, budget=80, include_pure=False).human
    top = ppm.predict(*mix_features(tags, best))[0]
    assert top >= ppm.predict(*mix_features(tags, simulated)).max()


@pytest.mark.parametrize("form", FORMS)
def test_the_first_greedy_gain_is_the_gain_of_that_comparison_alone(
    form: Form, mixes: Mixes
) -> None:
    tags, shares, b, performance = mixes
    ppm = RidgePpm(form).fit(shares, b, performance)
    order, gains = greedy_gains(ppm, tags, 1)
    alone = instance_gains(ppm, tags).mean
    assert gains[0] == pytest.approx(alone.max(), abs=1e-12)
    assert alone[order[0]] == pytest.approx(alone.max(), abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_greedy_gains_add_up_to_the_prediction_of_what_was_chosen(form: Form, mixes: Mixes) -> None:
    tags, shares, b, performance = mixes
    ppm = RidgePpm(form).fit(shares, b, performance)
    order, gains = greedy_gains(ppm, tags, 40)
    human = np.zeros((1, 300), dtype=bool)
    human[0, order] = True
    predicted = ppm.predict(*mix_features(tags, human))[0] - ppm.intercept_
    assert len(set(order.tolist())) == 40
    assert gains.sum() == pytest.approx(predicted, abs=1e-9)


def test_refreshing_less_often_takes_the_same_number(mixes: Mixes) -> None:
    tags, shares, b, performance = mixes
    order, _ = greedy_gains(RidgePpm("low_rank").fit(shares, b, performance), tags, 41, refresh=8)
    assert len(set(order.tolist())) == 41


def test_known_effects_lie_within_their_intervals(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    ppm = RidgePpm().fit(shares, b, performance)
    sd = np.sqrt(np.diag(ppm.cov_))[:6]
    effect = np.array([0.05, -0.03, 0.02, 0.0, 0.0, 0.04])
    assert (np.abs(ppm.coef_[:6] - effect) < 3 * sd).all()
    assert np.corrcoef(ppm.coef_[:6], effect)[0, 1] > 0.8


def test_intervals_hold_the_noise_free_performance_about_as_often_as_they_say() -> None:
    # 40 draws of 60 mixes: 95 % intervals must hold between 90 % and 99 % of 2,400 truths.
    rng = np.random.default_rng(3)
    held = []
    for _ in range(40):
        shares, b = rng.random((60, 5)), rng.random(60)
        truth = 0.7 + shares @ (0.05 * rng.standard_normal(5)) + 0.02 * b
        ppm = RidgePpm("linear").fit(shares, b, truth + 0.01 * rng.standard_normal(60))
        interval = ppm.predict_interval(shares, b)
        held.append(((truth >= interval.low) & (truth <= interval.high)).mean())
    assert 0.90 < np.mean(held) < 0.99


def test_an_interval_for_a_new_measurement_is_wider(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    ppm = RidgePpm().fit(shares, b, performance)
    plain = ppm.predict_interval(shares, b)
    noisy = ppm.predict_interval(shares, b, with_noise=True)
    assert ((noisy.high - noisy.low) > (plain.high - plain.low)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10_000))
def test_repeating_every_mix_narrows_the_coefficients(times: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares, b, noise = rng.random((30, 3)), rng.random(30), 0.01 * rng.standard_normal(30)
    performance = 0.7 + shares @ np.array([0.1, -0.1, 0.2]) + noise
    once = RidgePpm("linear").fit(shares, b, performance)
    often = RidgePpm("linear").fit(
        np.tile(shares, (times, 1)), np.tile(b, times), np.tile(performance, times)
    )
    assert np.trace(often.cov_) < np.trace(once.cov_)


def test_the_order_of_mixes_does_not_matter(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    shuffled = np.random.default_rng(0).permutation(len(b))
    ppm = RidgePpm("low_rank").fit(shares, b, performance)
    again = RidgePpm("low_rank").fit(shares[shuffled], b[shuffled], performance[shuffled])
    np.testing.assert_allclose(again.predict(shares, b), ppm.predict(shares, b), atol=1e-9)


def test_a_tag_that_never_varies_gets_no_weight(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    constant = np.column_stack([shares, np.zeros(len(b))])
    assert RidgePpm("linear").fit(constant, b, performance).coef_[6] == 0.0


def test_constant_performance_predicts_itself_without_error(mixes: Mixes) -> None:
    _, shares, b, _ = mixes
    ppm = RidgePpm().fit(shares, b, np.full(len(b), 0.75))
    np.testing.assert_allclose(ppm.predict(shares, b), 0.75)


def test_the_reference_form_equals_least_squares_on_polynomials(mixes: Mixes) -> None:
    tags, shares, b, performance = mixes
    counts = shares * tags.sum(axis=0)
    expand = PolynomialFeatures(degree=2, include_bias=False)
    design = expand.fit_transform(counts)
    oracle = LinearRegression().fit(design, performance)
    ppm = HyperReferencePpm(tags.sum(axis=0)).fit(shares, b, performance)
    np.testing.assert_allclose(ppm.predict(shares, b), oracle.predict(design), atol=1e-6)


def test_the_reference_form_interpolates_when_mixes_are_few(mixes: Mixes) -> None:
    tags, shares, b, performance = mixes
    few = slice(0, 15)
    ppm = HyperReferencePpm(tags.sum(axis=0)).fit(shares[few], b[few], performance[few])
    np.testing.assert_allclose(ppm.predict(shares[few], b[few]), performance[few], atol=1e-6)


def test_boosted_trees_follow_a_strong_effect() -> None:
    rng = np.random.default_rng(0)
    shares, b = rng.random((150, 3)), rng.random(150)
    ppm = GradientBoostedPpm().fit(shares, b, shares[:, 0])
    low, high = ppm.predict([[0.1, 0.5, 0.5], [0.9, 0.5, 0.5]], [0.5, 0.5])
    assert high - low > 0.5


@pytest.mark.parametrize(
    ("form", "shares", "b", "performance", "message"),
    [
        ("cubic", np.ones((5, 2)), np.ones(5), np.ones(5), "form is 'cubic'"),
        ("linear", np.ones((3, 2)), np.ones(3), np.ones(3), "too few"),
        ("linear", np.ones((4, 2)), np.ones(5), np.ones(5), "shares has shape"),
        ("linear", np.ones((5, 2)), np.ones(4), np.ones(5), "b has shape"),
        ("linear", np.ones((5, 2)), np.ones(5), np.full(5, np.nan), "performance\\[0\\]"),
    ],
)
def test_bad_fits_are_refused(
    form: Form, shares: FloatArray, b: FloatArray, performance: FloatArray, message: str
) -> None:
    with pytest.raises(RoutingInputError, match=message):
        RidgePpm(form).fit(shares, b, performance)


def test_weights_must_be_positive(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    with pytest.raises(RoutingInputError, match="sample_weight"):
        RidgePpm().fit(shares, b, performance, sample_weight=np.zeros(len(b)))


def test_a_level_outside_zero_and_one_is_refused(mixes: Mixes) -> None:
    _, shares, b, performance = mixes
    with pytest.raises(RoutingInputError, match="level is 95"):
        RidgePpm().fit(shares, b, performance).predict_interval(shares, b, level=95)


@pytest.mark.parametrize(("n_human", "refresh"), [(301, 1), (-1, 1), (5, 0)])
def test_impossible_greedy_requests_are_refused(n_human: int, refresh: int, mixes: Mixes) -> None:
    tags, shares, b, performance = mixes
    ppm = RidgePpm().fit(shares, b, performance)
    with pytest.raises(RoutingInputError, match="n_human"):
        greedy_gains(ppm, tags, n_human, refresh=refresh)
