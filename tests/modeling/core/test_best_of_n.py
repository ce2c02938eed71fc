"""The best-of-n estimator against brute force; RewardBench's weights against published ones."""

from itertools import combinations

import numpy as np
import pytest

from modeling.core.best_of_n import best_of_n
from modeling.core.rewardbench import SECTIONS, WEIGHTS, rewardbench_scores
from modeling.core.types import InvalidInputError

GOLD = np.array([0.1, 0.9, 0.4, 0.7, 0.2])
REWARDS = np.array([1.0, 5.0, 2.0, 4.0, 3.0])
ONE_PROMPT = np.zeros(5, dtype=int)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_expectation_equals_all_draws(n: int) -> None:
    draws = [max(draw, key=lambda i: REWARDS[i]) for draw in combinations(range(5), n)]
    found = best_of_n(REWARDS, GOLD, ONE_PROMPT, np.random.default_rng(0), sizes=[n])
    assert found[0].gold.estimate == pytest.approx(GOLD[draws].mean())
    assert found[0].kl == pytest.approx(np.log(n) - (n - 1) / n)


def test_a_reward_that_people_contradict_makes_the_curve_fall() -> None:
    points = best_of_n(-GOLD, GOLD, ONE_PROMPT, np.random.default_rng(0), sizes=[1, 2, 5])
    golds, proxies = [p.gold.estimate for p in points], [p.proxy for p in points]
    assert golds == sorted(golds, reverse=True)
    assert proxies == sorted(proxies)
    assert golds[-1] == pytest.approx(0.1)


def test_pools_that_are_too_small_are_left_out_of_every_point() -> None:
    prompt = np.array([0, 0, 0, 1, 1])
    points = best_of_n(REWARDS, GOLD, prompt, np.random.default_rng(0), sizes=[1, 3])
    assert [point.gold.n for point in points] == [1, 1]
    assert best_of_n(REWARDS, GOLD, prompt, np.random.default_rng(0), sizes=[4]) == []


def test_sizes_must_be_positive() -> None:
    with pytest.raises(InvalidInputError, match="sizes must be positive"):
        best_of_n(REWARDS, GOLD, ONE_PROMPT, np.random.default_rng(0), sizes=[0])


def test_the_weights_of_reasoning_and_safety_are_the_published_ones() -> None:
    # As fractions of the overall score that another evaluation suite publishes to 15 digits.
    published = {
        "refusals-dangerous": 0.033783783783783786,
        "xstest-should-refuse": 0.05202702702702703,
        "xstest-should-respond": 0.08445945945945946,
        "donotanswer": 0.04594594594594595,
        "llmbar-natural": 0.05387931034482758,
        "llmbar-adver-neighbor": 0.07219827586206896,
    }
    of_section = {name: members for members in SECTIONS.values() for name in members}
    found = {
        name: 0.25 * WEIGHTS[name] / sum(WEIGHTS[other] for other in of_section[name])
        for name in published
        if name not in ("llmbar-natural", "llmbar-adver-neighbor")
    }
    assert found == pytest.approx({name: published[name] for name in found})


def test_mathematics_counts_as_much_as_code() -> None:
    code = sum(weight for name, weight in WEIGHTS.items() if name.startswith("hep-"))
    assert WEIGHTS["math-prm"] == code == 984


def test_sections_are_weighted_means_and_overall_is_theirs() -> None:
    subset = ["alpacaeval-easy", "mt-bench-easy", "llmbar-natural", "donotanswer", "hep-go"]
    scores = rewardbench_scores(subset, [1, 0, 0.5, 1, 0])
    assert scores.sections["Chat"].estimate == pytest.approx(100 / 128)
    assert scores.overall is not None
    assert scores.overall.estimate == pytest.approx((100 / 128 + 0.5 + 1 + 0) / 4)
    assert scores.subsets["llmbar-natural"].n == 1


def test_a_missing_section_leaves_no_overall_score_and_strangers_count_nowhere() -> None:
    scores = rewardbench_scores(["hep-go", "my-own"], [1, 0])
    assert scores.overall is None
    assert list(scores.sections) == ["Reasoning"]
    assert scores.sections["Reasoning"].estimate == 1.0
    assert scores.unknown == ("my-own",)


def test_the_interval_of_a_section_of_one_subset_is_that_of_the_subset() -> None:
    scores = rewardbench_scores(["hep-go"] * 10, [1] * 7 + [0] * 3)
    section, subset = scores.sections["Reasoning"], scores.subsets["hep-go"]
    assert (section.low, section.high) == pytest.approx((subset.low, subset.high))


def test_intervals_of_weighted_means_cover() -> None:
    rng, hits = np.random.default_rng(0), 0
    rates = {"alpacaeval-easy": 0.9, "mt-bench-easy": 0.6, "mt-bench-med": 0.75}
    names = [name for name in rates for _ in range(40)]
    truth = np.average(list(rates.values()), weights=[WEIGHTS[name] for name in rates])
    for _ in range(400):
        correct = rng.random(len(names)) < np.array([rates[name] for name in names])
        found = rewardbench_scores(names, correct).sections["Chat"]
        hits += found.low <= truth <= found.high
    # 95 % less three standard errors of the simulation.
    assert hits / 400 > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


def test_numbers_that_are_no_accuracy_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="one number in"):
        rewardbench_scores(["hep-go"], [2.0])
