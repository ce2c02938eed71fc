from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from routing.core.arrays import FloatArray, RoutingInputError
from routing.core.budget import Budget
from routing.core.mixes import mix_features, sample_mixes
from routing.core.policies import (
    POLICIES,
    RoutingInputs,
    fallback_policy,
    get_policy,
)
from routing.core.ppm import RidgePpm, instance_gains
from routing.core.ppm_baselines import HyperReferencePpm
from routing.core.spending import route

N = 240
ALL = sorted(POLICIES)


@pytest.fixture(scope="module")
def inputs() -> RoutingInputs:
    rng = np.random.default_rng(0)
    tags = rng.random((N, 6)) < 0.3
    shares, b = mix_features(tags, sample_mixes(tags, 60, seed=0).human)
    performance = 0.7 + shares @ np.array([0.05, -0.05, 0.02, 0.0, 0.0, 0.0]) + 0.01 * b
    return RoutingInputs(
        n_comparisons=N,
        extra_cost_usd=rng.uniform(0.2, 2.0, N),
        tags=tags,
        ppm=RidgePpm().fit(shares, b, performance),
        reference_ppm=HyperReferencePpm(tags.sum(axis=0)).fit(shares, b, performance),
        judge_probability=rng.random(N),
        p_disagree=rng.random(N),
        p_disagree_by_criterion=rng.random(N),
        influence=rng.standard_normal(N),
        deferral_threshold=0.6,
    )


@pytest.mark.parametrize("policy_id", ALL)
@pytest.mark.parametrize(
    "budget", [Budget(usd=60.0), Budget(n_human=70), Budget(human_share=0.3), Budget(usd=0.0)]
)
def test_no_policy_exceeds_its_budget(
    policy_id: str, budget: Budget, inputs: RoutingInputs
) -> None:
    routing = route(policy_id, inputs, budget, np.random.default_rng(1), audit_share=0.1)
    assert inputs.extra_cost_usd is not None
    spent = {
        "usd": inputs.extra_cost_usd[routing.to_human].sum(),
        "n_human": routing.to_human.sum(),
        "human_share": routing.to_human.mean(),
    }
    over = [name for name in spent if spent[name] > (getattr(budget, name) or np.inf) + 1e-9]
    assert over == []


@pytest.mark.parametrize("policy_id", ALL)
def test_every_policy_obeys_the_same_contract(policy_id: str, inputs: RoutingInputs) -> None:
    policy = get_policy(policy_id)
    utility = policy.score(replace(inputs, n_human_target=50), np.random.default_rng(0))
    assert policy.id == policy_id
    assert policy.summary.endswith(".")
    assert utility.shape == (N,)
    assert np.isfinite(utility).all()


@pytest.mark.parametrize("policy_id", ALL)
def test_the_same_generator_gives_the_same_decisions(policy_id: str, inputs: RoutingInputs) -> None:
    first, again = (
        route(policy_id, inputs, Budget(usd=50.0), np.random.default_rng(4)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.to_human, again.to_human)
    np.testing.assert_array_equal(first.propensity, again.propensity)


@pytest.mark.parametrize(
    ("policy_id", "needed"), [(p.id, name) for p in POLICIES.values() for name in p.needs]
)
def test_a_missing_input_is_named(policy_id: str, needed: str, inputs: RoutingInputs) -> None:
    without = replace(inputs, **{needed: None})  # type: ignore[arg-type]
    with pytest.raises(RoutingInputError, match=f"{policy_id} needs .*{needed}"):
        route(policy_id, without, Budget(n_human=5), np.random.default_rng(0))


@pytest.mark.parametrize("policy_id", ALL)
def test_the_audit_is_always_at_humans_and_has_its_propensity(
    policy_id: str, inputs: RoutingInputs
) -> None:
    routing = route(
        policy_id, inputs, Budget(human_share=0.3), np.random.default_rng(2), audit_share=0.1
    )
    assert routing.is_audit.sum() == 24
    assert routing.to_human[routing.is_audit].all()
    assert (routing.propensity[routing.to_human] >= 0.1 - 1e-12).all()
    assert (routing.propensity <= 1).all()


def test_only_the_audit_goes_to_humans_when_the_judge_labels_everything(
    inputs: RoutingInputs,
) -> None:
    routing = route("all_judge-v1", inputs, Budget(human_share=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(routing.to_human, routing.is_audit)
    assert routing.is_audit.sum() == 12
    np.testing.assert_allclose(routing.propensity, 0.05)


def test_a_full_budget_sends_everything_to_humans(inputs: RoutingInputs) -> None:
    routing = route("all_human-v1", inputs, Budget(human_share=1.0), np.random.default_rng(0))
    assert routing.to_human.all()
    assert (routing.propensity == 1).all()


def test_audit_weights_recover_the_mean_of_the_pool(inputs: RoutingInputs) -> None:
    # Averaging audited values over many draws must give the pool mean, policy or not.
    value = np.arange(N, dtype=float)
    draws = [
        value[
            route(
                "disagreement-v1",
                inputs,
                Budget(n_human=90),
                np.random.default_rng(seed),
                audit_share=0.2,
            ).is_audit
        ].mean()
        for seed in range(200)
    ]
    assert np.mean(draws) == pytest.approx(value.mean(), abs=2.5)


def test_a_budget_too_small_for_the_audit_shortens_it(inputs: RoutingInputs) -> None:
    routing = route(
        "random-v1", inputs, Budget(n_human=6), np.random.default_rng(0), audit_share=0.5
    )
    assert routing.is_audit.sum() == 6
    assert routing.to_human.sum() == 6


@pytest.mark.parametrize(
    ("policy_id", "expected"),
    [
        ("disagreement-v1", lambda i: i.p_disagree),
        ("uncertainty-v1", lambda i: -np.abs(i.judge_probability - 0.5)),
        ("influence-v1", lambda i: i.influence),
        ("ppm_topk-v1", lambda i: instance_gains(i.ppm, i.tags).mean),
    ],
)
def test_at_equal_prices_the_best_of_the_signal_go_to_humans(
    policy_id: str, expected: Callable[[RoutingInputs], FloatArray], inputs: RoutingInputs
) -> None:
    routing = route(
        policy_id, inputs, Budget(n_human=40), np.random.default_rng(0), audit_share=0.0
    )
    signal = expected(inputs)
    assert routing.to_human.sum() == 40
    assert signal[routing.to_human].min() >= signal[~routing.to_human].max()


def test_dearer_comparisons_need_a_larger_utility(inputs: RoutingInputs) -> None:
    routing = route(
        "disagreement-v1", inputs, Budget(usd=40.0), np.random.default_rng(0), audit_share=0.0
    )
    assert inputs.p_disagree is not None
    assert inputs.extra_cost_usd is not None
    ratio = inputs.p_disagree / inputs.extra_cost_usd
    # Skipping what does not fit may buy a few cheap ones further down; the top is complete.
    top = np.argsort(-ratio)[: routing.to_human.sum() - 5]
    assert routing.to_human[top].all()


def test_conformal_deferral_sends_only_what_is_above_the_threshold(
    inputs: RoutingInputs,
) -> None:
    routing = route(
        "conformal-v1",
        inputs,
        Budget(human_share=1.0),
        np.random.default_rng(0),
        audit_share=0.0,
        fill=False,
    )
    assert inputs.p_disagree is not None
    np.testing.assert_array_equal(routing.to_human, inputs.p_disagree > 0.6)


def test_a_judge_without_a_verdict_is_the_most_uncertain() -> None:
    inputs = RoutingInputs(3, judge_probability=np.array([0.9, np.nan, 0.2]))
    routing = route(
        "uncertainty-v1", inputs, Budget(n_human=1), np.random.default_rng(0), audit_share=0.0
    )
    assert routing.to_human.tolist() == [False, True, False]


def test_a_policy_may_stop_where_it_expects_no_gain(inputs: RoutingInputs) -> None:
    routing = route(
        "influence-v1",
        inputs,
        Budget(human_share=1.0),
        np.random.default_rng(0),
        audit_share=0.0,
        fill=False,
    )
    assert inputs.influence is not None
    np.testing.assert_array_equal(routing.to_human, inputs.influence > 0)
    assert not routing.is_fill.any()


@pytest.mark.parametrize("policy_id", ["conformal-v1", "influence-v1", "ppm_topk-v1"])
def test_the_rest_of_the_budget_goes_where_people_would_differ(
    policy_id: str, inputs: RoutingInputs
) -> None:
    budget, rng = Budget(n_human=200), np.random.default_rng
    stopped = route(policy_id, inputs, budget, rng(0), audit_share=0.0, fill=False)
    spent = route(policy_id, inputs, budget, rng(0), audit_share=0.0)
    assert stopped.to_human.sum() < spent.to_human.sum() == 200
    np.testing.assert_array_equal(spent.is_fill, spent.to_human & ~stopped.to_human)
    assert inputs.p_disagree is not None
    kept = inputs.p_disagree[~spent.to_human]
    assert inputs.p_disagree[spent.is_fill].min() >= kept.max()
    assert (spent.propensity[spent.is_fill] == 1.0).all()


def test_without_a_model_of_disagreement_the_rest_is_drawn_by_lot(inputs: RoutingInputs) -> None:
    plain = replace(inputs, p_disagree=None)
    routing = route(
        "influence-v1", plain, Budget(n_human=200), np.random.default_rng(0), audit_share=0.0
    )
    assert inputs.influence is not None
    n_wanted = int((inputs.influence > 0).sum())
    assert routing.is_fill.sum() == 200 - n_wanted
    # Everything that the policy did not want had the same chance.
    expected = (200 - n_wanted) / (N - n_wanted)
    np.testing.assert_allclose(routing.propensity[inputs.influence <= 0], expected)


@pytest.mark.parametrize("policy_id", ["all_judge-v1", "random-v1"])
def test_some_policies_have_no_rest_to_spend(policy_id: str, inputs: RoutingInputs) -> None:
    routing = route(policy_id, inputs, Budget(usd=60.0), np.random.default_rng(0))
    assert not routing.is_fill.any()


def test_equal_utilities_are_not_settled_by_the_order_of_import() -> None:
    inputs = RoutingInputs(100, p_disagree=np.full(100, 0.5))
    routing = route(
        "disagreement-v1", inputs, Budget(n_human=50), np.random.default_rng(0), audit_share=0.0
    )
    assert 10 < routing.to_human[:50].sum() < 40


def test_random_routing_does_not_prefer_cheap_comparisons() -> None:
    cost = np.repeat([1.0, 3.0], 200)
    inputs = RoutingInputs(400, extra_cost_usd=cost)
    shares = [
        route("random-v1", inputs, Budget(usd=400.0), np.random.default_rng(seed), audit_share=0.0)
        .to_human[:200]
        .mean()
        for seed in range(20)
    ]
    # 400 dollars at a mean price of 2 buy half of each kind.
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)


def test_random_propensity_is_the_bought_share() -> None:
    routing = route(
        "random-v1",
        RoutingInputs(100),
        Budget(n_human=30),
        np.random.default_rng(0),
        audit_share=0.1,
    )
    # 10 audits and 20 of the other 90: 0.1 + 0.9 * 20 / 90.
    np.testing.assert_allclose(routing.propensity, 0.3)


def test_gains_are_recorded_where_a_model_exists_and_unknown_elsewhere(
    inputs: RoutingInputs,
) -> None:
    assert inputs.ppm is not None
    known = route("random-v1", inputs, Budget(n_human=9), np.random.default_rng(0))
    gains = instance_gains(inputs.ppm, np.asarray(inputs.tags))
    np.testing.assert_array_equal(known.gain_mean, gains.mean)
    np.testing.assert_array_equal(known.gain_low, gains.low)
    unknown = route("random-v1", RoutingInputs(N), Budget(n_human=9), np.random.default_rng(0))
    assert np.isnan(unknown.gain_mean).all()


def test_the_cautious_policy_subtracts_one_standard_deviation(inputs: RoutingInputs) -> None:
    assert inputs.ppm is not None
    gains = instance_gains(inputs.ppm, np.asarray(inputs.tags), level=0.6826894921370859)
    utility = POLICIES["ppm_lower-v1"].score(inputs, np.random.default_rng(0))
    np.testing.assert_allclose(utility, gains.low, atol=1e-12)


@pytest.mark.parametrize("policy_id", ["ppm_simulated-v1", "hyper_reference-v1"])
def test_simulated_mixes_have_the_size_of_the_budget(policy_id: str, inputs: RoutingInputs) -> None:
    routing = route(
        policy_id, inputs, Budget(n_human=60), np.random.default_rng(0), audit_share=0.0
    )
    assert routing.to_human.sum() == 60


def test_the_fallback_is_disagreement_where_there_is_a_model_of_it(
    inputs: RoutingInputs,
) -> None:
    assert fallback_policy(inputs) == "disagreement-v1"
    assert fallback_policy(RoutingInputs(3)) == "random-v1"


def test_a_dollar_budget_needs_prices() -> None:
    with pytest.raises(RoutingInputError, match="needs extra_cost_usd"):
        route("random-v1", RoutingInputs(3), Budget(usd=1.0), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("policy_id", "audit_share", "message"),
    [("best-v9", 0.0, "No policy 'best-v9'"), ("random-v1", 2.0, "audit_share is 2")],
)
def test_bad_requests_are_refused(policy_id: str, audit_share: float, message: str) -> None:
    with pytest.raises(RoutingInputError, match=message):
        route(
            policy_id,
            RoutingInputs(3),
            Budget(n_human=1),
            np.random.default_rng(0),
            audit_share=audit_share,
        )


@pytest.mark.parametrize("field", ["tags", "judge_probability", "p_disagree", "influence"])
def test_arrays_of_another_length_are_named(field: str) -> None:
    value = np.ones((2, 2), bool) if field == "tags" else np.full(2, 0.5)
    with pytest.raises(RoutingInputError, match=field):
        RoutingInputs(3, **{field: value})  # type: ignore[arg-type]


def test_an_empty_pool_is_routed_to_nobody() -> None:
    routing = route("random-v1", RoutingInputs(0), Budget(n_human=5), np.random.default_rng(0))
    assert routing.to_human.shape == (0,)
