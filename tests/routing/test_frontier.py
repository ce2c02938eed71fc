"""The frontier at a budget, in dollars and words."""

from decimal import Decimal

import pytest

from routing import choices
from routing.core.acquisition import STRATEGIES
from routing.core.policies import POLICIES
from routing.frontier import (
    at_budget,
    frontier_spec,
    interpolate,
    measured_spec,
    tag_rows,
    uncertainty_spec,
)
from routing.models import AcquisitionRound
from routing.phrases import tag_phrase
from routing.selectors import Pool
from routing.templatetags.routing_format import gain_pp, share3, signed4, signed_pp, thousandths

CURVE = {
    "human_share": [0.0, 0.5, 1.0],
    "performance": [0.50, 0.60, 0.55],
    "low": [0.49, 0.58, 0.53],
    "high": [0.51, 0.62, 0.57],
    "random_performance": [0.50, 0.525, 0.55],
}


def pool(n: int = 100, human: str = "0.50", judge: str = "0") -> Pool:
    return Pool(n, 0, Decimal(human), Decimal(judge), None)


@pytest.mark.parametrize(("x", "y"), [(-1, 2.0), (0, 2.0), (0.25, 3.0), (1, 6.0), (9, 6.0)])
def test_interpolation_is_linear_and_flat_outside(x: float, y: float) -> None:
    assert interpolate(x, [0.0, 1.0], [2.0, 6.0]) == y


def test_budget_says_who_labels_how_many_and_what_to_expect() -> None:
    found = at_budget(CURVE, pool(), budget_usd=12.60)
    assert (found.n_human, found.n_judge, found.spend_usd) == (25, 75, 12.5)
    assert found.performance == pytest.approx(0.55)
    assert found.half_width == pytest.approx(0.015)
    assert found.random_performance == pytest.approx(0.5125)


def test_several_people_per_comparison_reach_fewer_of_them() -> None:
    assert at_budget(CURVE, pool(), budget_usd=15, n_humans=3).n_human == 10


def test_budget_beyond_everything_buys_everything() -> None:
    assert at_budget(CURVE, pool(), budget_usd=1e6).n_human == 100


def test_judge_that_is_paid_makes_the_human_label_cheaper_by_its_price() -> None:
    assert at_budget(CURVE, pool(judge="0.10"), budget_usd=4.0).n_human == 10


def test_without_a_study_there_is_no_prediction() -> None:
    found = at_budget(None, pool(), budget_usd=1.0)
    assert (found.n_human, found.performance) == (2, None)


def test_empty_pool_is_no_division_by_zero() -> None:
    assert at_budget(CURVE, pool(0), budget_usd=5.0).human_share == 0.0


def test_frontier_chart_is_in_dollars_of_the_pool() -> None:
    spec = frontier_spec({"frontier": CURVE}, pool())
    router = spec["series"][0]
    assert router["points"] == [[0.0, 0.5], [25.0, 0.6], [50.0, 0.55]]
    assert router["high"] == CURVE["high"]
    assert [s["kind"] for s in spec["series"]] == ["policy", "random", "human", "judge"]


def test_free_human_labels_put_the_chart_in_shares() -> None:
    spec = frontier_spec({"frontier": CURVE}, pool(human="0"))
    assert spec["x"]["label"] == "Human share (%)"
    assert spec["series"][0]["points"][1] == [50.0, 0.6]


def test_measured_policies_are_drawn_over_the_judge_alone() -> None:
    point = {"human_share": 0.5, "gain": {"estimate": 0.01, "low": -0.02, "high": 0.04}}
    names = ("all_judge-v1", "random-v1")
    spec = measured_spec({"measured": [point | {"policy": name} for name in names]})
    assert [series["name"] for series in spec["series"]] == ["Random"]
    assert spec["series"][0]["low"] == [-0.02]
    assert spec["y"]["max"] == pytest.approx(0.042)


def test_intervals_of_features_are_placed_around_the_middle() -> None:
    row = {"name": "judges=split", "effect_pp": 1.0, "low": 0.5, "high": 2.0, "support": 9}
    placed = tag_rows({"tags": [row]})[0]
    assert (placed["left"], placed["middle"], placed["right"]) == (124.0, 148.0, 196.0)
    assert (placed["phrase"], placed["is_clear"]) == ("judges split", True)


def test_uncertainty_chart_has_one_bar_per_round_oldest_first() -> None:
    rounds = [
        AcquisitionRound(number=n, report={"uncertainty_picks": n / 10, "uncertainty_pool": 0.05})
        for n in (2, 1)
    ]
    spec = uncertainty_spec(rounds)
    assert spec is not None
    assert spec["series"][0]["points"] == [["Round 1", 0.1], ["Round 2", 0.2]]


def test_rounds_without_a_model_draw_no_chart() -> None:
    assert uncertainty_spec([AcquisitionRound(number=1, report={})]) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("len_longer=high", "high length of the longer response"),
        ("judge_order=conflict", "judge changed with the order"),
        ("meta.safety_concern=moderate", "safety concern: moderate"),
    ],
)
def test_tags_are_said_in_words(name: str, words: str) -> None:
    assert tag_phrase(name) == words


def test_offered_policies_and_strategies_are_those_of_the_core() -> None:
    assert set(choices.POLICIES) <= set(POLICIES)
    assert set(choices.STRATEGIES) == set(STRATEGIES)


def test_numbers_are_shown_with_sign_and_without_needless_zero() -> None:
    assert share3(0.742) == ".742"
    assert signed_pp(-1.2) == "\N{MINUS SIGN}1.20"
    assert signed4(0.0110) == "+0.0110"
    assert gain_pp(0.00081) == "+0.081"
    assert gain_pp(None) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.672e-5, "0.0167"),
        (0.0201, "20.1"),
        (-0.69314, "\N{MINUS SIGN}693"),
        (1.5, "1500"),
        (None, "\N{EN DASH}"),
    ],
)
def test_thousandths_are_never_written_as_powers_of_ten(value: float | None, shown: str) -> None:
    assert thousandths(value) == shown
