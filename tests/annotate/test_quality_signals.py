import json
import math
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.quality_signals import (
    ALARM_ODDS,
    Answer,
    agreement_signals,
    agreement_values,
    capitals,
    collusion_signals,
    gold_signals,
    pair_agreement,
    position_signal,
    repeat_signal,
    run_signal,
    speed_signals,
    wilson,
)

OUTCOMES = ("first", "second", "tie")


# Bounds as R's prop.test(correct = FALSE) prints them.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(8, 10, 0.4901625, 0.9433178), (0, 10, 0.0, 0.2775328), (50, 100, 0.4038315, 0.5961685)],
)
def test_wilson_intervals_are_those_of_r(hits: int, n: int, low: float, high: float) -> None:
    share = wilson(hits, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-6)


def test_nothing_counted_says_nothing() -> None:
    share = wilson(0, 0)
    assert (share.value, share.low, share.high) == (None, 0.0, 1.0)


def test_the_bet_on_zeros_and_ones_is_the_likelihood_ratio() -> None:
    # Three misses against m = 0.8 with q = 0.4: (0.6 / 0.2)^3.
    assert list(capitals([0, 0, 0], 0.8, [0.4])) == pytest.approx([1, 3, 9, 27])


@given(st.lists(st.floats(0, 1), max_size=60))
def test_a_bet_cannot_lose_more_than_it_has(values: list[float]) -> None:
    assert min(capitals(values, 0.6, (0.2, 0.4))) >= 0


@given(st.lists(st.floats(0, 1), max_size=60), st.randoms())
def test_what_a_bet_has_made_at_the_end_does_not_depend_on_the_order(
    values: list[float], rng: random.Random
) -> None:
    *_, made = capitals(values, 0.6, (0.2, 0.4))
    *_, again = capitals(rng.sample(values, len(values)), 0.6, (0.2, 0.4))
    assert again == pytest.approx(made, rel=1e-6)


def test_a_fair_coin_raises_a_position_alarm_in_less_than_one_case_of_fifty() -> None:
    rng = random.Random(3)
    alarms = sum(
        position_signal([float(rng.random() < 0.5) for _ in range(200)]).is_alarm
        for _ in range(400)
    )
    assert alarms / 400 <= 1 / ALARM_ODDS


@pytest.mark.parametrize("side", [0.0, 1.0])
def test_always_the_same_side_is_an_alarm_within_fifteen_labels(side: float) -> None:
    assert position_signal([side] * 15).is_alarm
    assert not position_signal([side] * 5).is_alarm


def test_the_run_bound_is_n_times_p_to_the_length() -> None:
    run = run_signal(["A"] * 3 + ["B"] + ["A"] * 10, {"A": 0.3, "B": 0.7})
    assert (run.length, run.n) == (10, 14)
    assert run.p_bound == pytest.approx(14 * 0.5**10)
    assert run.is_alarm


def test_a_run_of_the_usual_click_is_no_alarm() -> None:
    assert not run_signal(["tie"] * 20, {"tie": 0.9}).is_alarm


def test_missing_known_answers_that_others_find_is_an_alarm() -> None:
    signals = gold_signals({1: [True] * 20, 2: [True] * 20, 3: [True, False] * 10})
    assert [who for who, signal in signals.items() if signal.is_alarm] == [3]


def test_hard_known_answers_are_nobodys_fault() -> None:
    signals = gold_signals({who: [True, False] * 10 for who in range(5)})
    assert not any(signal.is_alarm for signal in signals.values())


def test_contradicting_oneself_is_an_alarm() -> None:
    assert repeat_signal([0.0] * 8).is_alarm
    assert not repeat_signal([1.0, 1.0, 0.0] * 5).is_alarm


def test_somebody_twenty_times_faster_is_too_fast_whatever_the_tails() -> None:
    rng = random.Random(5)
    slow = {who: [rng.lognormvariate(0, 1) for _ in range(40)] for who in range(4)}
    signals = speed_signals({**slow, 9: [0.05 * rng.lognormvariate(0, 1) for _ in range(40)]})
    assert [who for who, signal in signals.items() if signal.is_alarm] == [9]


def test_one_break_for_lunch_does_not_hide_speed() -> None:
    own = [0.01] * 19 + [5_000.0]
    assert speed_signals({1: own, 2: [1.0] * 20, 3: [1.2] * 20, 4: [0.9] * 20})[1].is_alarm


def test_nobody_is_fast_alone() -> None:
    assert speed_signals({1: [0.1] * 30})[1].z is None


def test_agreement_leaves_out_ones_own_vote_and_ties_among_the_others() -> None:
    answers = [
        Answer(1, 7, ("first",)), Answer(2, 7, ("first",)), Answer(3, 7, ("second",)),
        Answer(1, 8, ("tie",)),
    ]  # fmt: skip
    # For 1 and 2 the others are split one to one; for 3 they say "first".
    assert agreement_values(answers) == {3: {7: 0.0}}


def test_rankings_agree_pair_by_pair() -> None:
    first = Answer(1, 1, ("first", "first", "second"))
    second = Answer(2, 1, ("first", "second", "second"))
    assert pair_agreement(first, second) == pytest.approx(2 / 3)
    assert pair_agreement(first, Answer(3, 1, ("", "", ""))) is None


def simulated(rng: random.Random, n: int, wrong: float) -> Callable[[int], list[Answer]]:
    truth = [rng.choice(OUTCOMES) for _ in range(n)]

    def answers(who: int) -> list[Answer]:
        said = [rng.choice(OUTCOMES) if rng.random() < wrong else word for word in truth]
        return [Answer(who, place, (word,)) for place, word in enumerate(said)]

    return answers


def test_a_random_clicker_among_honest_people_is_found_by_agreement() -> None:
    rng = random.Random(11)
    honest = simulated(rng, 40, 0.1)
    clicker = [Answer(9, place, (rng.choice(OUTCOMES),)) for place in range(30)]
    signals = agreement_signals([*honest(1), *honest(2), *honest(3), *clicker])
    assert [who for who, signal in signals.items() if signal.is_alarm] == [9]


def test_two_who_copy_answers_that_nobody_else_gives_are_found() -> None:
    rng = random.Random(12)
    honest = simulated(rng, 40, 0.1)
    lead = [Answer(8, place, (rng.choice(OUTCOMES),)) for place in range(40)]
    follow = [Answer(9, a.comparison, a.outcomes) for a in lead]
    pairs = collusion_signals([*honest(1), *honest(2), *honest(3), *lead, *follow])
    assert [(p.first, p.second) for p in pairs if p.signal.is_alarm] == [(8, 9)]


def test_honest_people_who_agree_because_they_are_right_do_not_collude() -> None:
    honest = simulated(random.Random(13), 200, 0.05)
    pairs = collusion_signals([*honest(1), *honest(2), *honest(3)])
    assert len(pairs) == 3
    assert not any(pair.signal.is_alarm for pair in pairs)


def rater_tests(folder: Path) -> dict[int, list[bool]]:
    found: defaultdict[int, list[bool]] = defaultdict(list)
    with (folder / "wmt23_ende_pairs.jsonl").open(encoding="utf-8") as lines:
        labels = [label for line in lines for label in json.loads(line)["human"]]
    for label in labels:
        who = int(label["annotator"].removeprefix("ende-rater"))
        found[who] += [test["result"] == "found" for test in label.get("attention_tests") or []]
    return dict(found)


def test_of_the_real_raters_the_two_who_missed_most_tests_are_flagged(real_data: Path) -> None:
    signals = gold_signals(rater_tests(real_data))
    assert len(signals) == 10
    assert sorted(who for who, signal in signals.items() if signal.is_alarm) == [4, 9]


def test_real_people_disagree_without_being_flagged(real_data: Path) -> None:
    with (real_data / "pandalm.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    answers = [
        Answer(who, place, ("tie" if p == "tie" else OUTCOMES[p],))
        for place, row in enumerate(rows)
        for who, p in enumerate(human["preference"] for human in row["human"])
    ]
    signals = agreement_signals(answers)
    assert not any(signal.is_alarm for signal in signals.values())
    assert not any(pair.signal.is_alarm for pair in collusion_signals(answers))
    assert all(math.isclose(s.share.value or 0, 0.95, abs_tol=0.02) for s in signals.values())
