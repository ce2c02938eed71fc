"""Whom the quality alarms flag: real raters with known attention tests, and simulated annotators.

`python benchmarks/annotator_quality.py [--quick] [--output OUT.json]`. Reads `pandalm.jsonl` (three
humans on every comparison) and `wmt23_ende_*.jsonl` (ten raters, seconds, attention tests) from
the folder in TANDEM_DATA.
"""

import argparse
import json
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from annotate.quality_signals import (  # noqa: E402  (a script finds its package itself)
    ALARM_ODDS,
    Answer,
    agreement_signals,
    collusion_signals,
    gold_signals,
    position_signal,
    run_signal,
    speed_signals,
    wilson,
)

N_LABELS = 30
N_CONTEXT = 120
OUTCOMES = ("first", "second", "tie")
SEED = 20_240_601
CAREFUL_MEDIAN_S = 170
Comparisons = list[dict[str, Any]]
Worker = Callable[[int, random.Random], Answer]


@dataclass(frozen=True)
class Tally:
    """How many simulated annotators were flagged, by which alarm, after how many labels."""

    n: int
    n_flagged: int
    by_alarm: dict[str, int]
    n_labels_median: float | None

    def as_json(self) -> dict[str, Any]:
        """Add the share with its interval."""
        share = wilson(self.n_flagged, self.n)
        interval = [round(share.low, 4), round(share.high, 4)]
        return {**vars(self), "share": round(share.value or 0, 4), "interval": interval}


def load(name: str) -> Comparisons:
    """Read a set of comparisons, or stop with a sentence where it is absent."""
    folder = Path(os.environ.get("TANDEM_DATA", str(ROOT.parent / "shared" / "data")))
    path = folder / name
    if not path.is_file():
        sys.exit(f"{path} is not there; set TANDEM_DATA to the folder of the real sets.")
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def outcome_of(preference: Any) -> str:
    """A two-response preference as the word that the signals read."""
    return "tie" if preference == "tie" else OUTCOMES[preference]


def shown(answer: Answer, rng: random.Random) -> Answer:
    """The answer with the order in which a fair coin showed the responses."""
    outcome, swapped = answer.outcomes[0], rng.random() < 0.5
    if outcome not in ("first", "second"):
        return replace(answer, shown_first=None, shown_answer=outcome)
    is_left = (outcome == "first") != swapped
    return replace(answer, shown_first=float(is_left), shown_answer="AB"[not is_left])


def real_answers(rows: Sequence[dict[str, Any]], rng: random.Random) -> list[Answer]:
    """The humans' answers as annotators 0, 1, 2 in random shown order."""
    return [
        shown(Answer(who, place, (outcome_of(human["preference"]),)), rng)
        for place, row in enumerate(rows)
        for who, human in enumerate(row["human"])
    ]


def alarms_of(answers: Sequence[Answer], who: int) -> set[str]:
    """The alarms that an annotator's answers raise among everybody's."""
    own = [answer for answer in answers if answer.annotator == who]
    clicks = Counter(answer.shown_answer for answer in answers)
    shares = {click: n / len(answers) for click, n in clicks.items()}
    run = run_signal([answer.shown_answer for answer in own], shares)
    position = position_signal([a.shown_first for a in own if a.shown_first is not None])
    agreement = agreement_signals(answers).get(who)
    pairs = [p for p in collusion_signals(answers) if who in (p.first, p.second)]
    raised = {
        "straight_line": run.is_alarm or position.is_alarm,
        "agreement": agreement is not None and agreement.is_alarm,
        "collusion": any(pair.signal.is_alarm for pair in pairs),
    }
    return {name for name, is_raised in raised.items() if is_raised}


def first_alarm(context: Sequence[Answer], own: Sequence[list[Answer]]) -> tuple[int, set[str]]:
    """Look after every label: when the first alarm came (0: never), and which came by the end."""
    who = own[0][0].annotator
    for n in range(1, N_LABELS + 1):
        given = [answer for answers in own for answer in answers[:n]]
        raised = alarms_of([*context, *given], who)
        if raised:
            return n, raised | alarms_of([*context, *(a for answers in own for a in answers)], who)
    return 0, set()


def tallied(found: Sequence[tuple[int, set[str]]]) -> dict[str, Any]:
    """Sum up the first alarms of many simulated annotators."""
    when = [n for n, _ in found if n]
    by_alarm = Counter(name for _, raised in found for name in raised)
    middle = median(when) if when else None
    return Tally(len(found), len(when), dict(by_alarm), middle).as_json()


def honest(rows: Comparisons, human: int, slips: float, rng: random.Random) -> tuple[int, set[str]]:
    """A real human's own labels, some replaced by slips, judged against the other two."""
    answers = real_answers(rows, rng)
    context = [answer for answer in answers if answer.annotator != human]
    own = [a for a in answers if a.annotator == human][:N_LABELS]
    slipped = [
        shown(replace(a, outcomes=(rng.choice(OUTCOMES),)), rng) if rng.random() < slips else a
        for a in own
    ]
    return first_alarm(context, [slipped])


def random_clicker(place: int, rng: random.Random) -> Answer:
    """Clicks left, right or tie without reading."""
    return shown(Answer(10, place, (rng.choice(OUTCOMES),)), rng)


def first_clicker(place: int, rng: random.Random) -> Answer:
    """Always prefers what stands on the left."""
    outcome = rng.choice(OUTCOMES[:2])
    return Answer(10, place, (outcome,), shown_first=1.0, shown_answer="A")


def alone(rows: Comparisons, worker: Worker, rng: random.Random) -> tuple[int, set[str]]:
    """One dishonest annotator beside the three humans."""
    own = [worker(place, rng) for place in range(N_LABELS)]
    return first_alarm(real_answers(rows, rng), [own])


def colluding(
    rows: Comparisons, copied: float, rng: random.Random
) -> tuple[tuple[int, set[str]], set[str]]:
    """Two annotators who share answers that nobody thought about, beside the three humans."""
    lead = [random_clicker(place, rng) for place in range(N_LABELS)]
    follow = [
        shown(replace(a if rng.random() < copied else random_clicker(a.comparison, rng),
                      annotator=11), rng)
        for a in lead
    ]  # fmt: skip
    context = real_answers(rows, rng)
    innocent = alarms_of([*context, *lead, *follow], rng.randrange(3))
    return first_alarm(context, [lead, follow]), innocent


def simulated(rows: Comparisons, n_honest: int, n_dishonest: int) -> dict[str, Any]:
    """Figures for every kind of simulated annotator on the three-human set."""
    rng = random.Random(SEED)

    def sample() -> Comparisons:
        return rng.sample(rows, N_CONTEXT)

    pairs = [colluding(sample(), 1.0, rng) for _ in range(n_dishonest)]
    loose = [colluding(sample(), 0.9, rng) for _ in range(n_dishonest)]
    beside = [innocent for _, innocent in pairs + loose]
    return {
        "honest": tallied([honest(sample(), n % 3, 0.0, rng) for n in range(n_honest)]),
        "honest_with_10_percent_slips": tallied(
            [honest(sample(), n % 3, 0.1, rng) for n in range(n_honest)]
        ),
        # Looked at once, after all of their labels: there is no first alarm to date.
        "honest_beside_a_colluding_pair": {
            **tallied([(int(bool(raised)), raised) for raised in beside]),
            "n_labels_median": None,
        },
        "random_clicker": tallied(
            [alone(sample(), random_clicker, rng) for _ in range(n_dishonest)]
        ),
        "first_option_clicker": tallied(
            [alone(sample(), first_clicker, rng) for _ in range(n_dishonest)]
        ),
        "colluding_pair": tallied([first for first, _ in pairs]),
        "colluding_pair_copying_90_percent": tallied([first for first, _ in loose]),
    }


def raters() -> list[dict[str, Any]]:
    """The ten raters of the real sets: speed, attention tests, and who is flagged."""
    rows = load("wmt23_ende_pairs.jsonl")
    tests, pace, seconds = _by_rater(rows)
    golds, speeds = gold_signals(tests), speed_signals(pace)
    found = []
    for who in sorted(tests):
        gold, speed, share = golds[who], speeds[who], wilson(sum(tests[who]), len(tests[who]))
        raised = [n for n, s in (("gold", gold), ("speed", speed)) if s.is_alarm]
        found.append({
            "rater": who, "n_labels": len(seconds[who]), "median_s": round(median(seconds[who]), 1),
            "n_tests": share.n, "n_missed": share.n - round(share.hits),
            "found_interval": [round(share.low, 3), round(share.high, 3)],
            "gold_odds": round(gold.odds, 1), "gold_null": round(gold.allowed, 3),
            "speed_z": None if speed.z is None else round(speed.z, 2), "alarms": raised,
        })  # fmt: skip
    return found


def _by_rater(
    rows: Comparisons,
) -> tuple[dict[int, list[bool]], dict[int, list[float]], dict[int, list[float]]]:
    tests: defaultdict[int, list[bool]] = defaultdict(list)
    pace: defaultdict[int, list[float]] = defaultdict(list)
    seconds: defaultdict[int, list[float]] = defaultdict(list)
    for row, human in _labels(rows):
        who = int(human["annotator"].removeprefix("ende-rater"))
        tests[who] += [test["result"] == "found" for test in human.get("attention_tests") or []]
        words = sum(len(r["text"].split()) for r in row["responses"]) + len(row["prompt"].split())
        pace[who].append(human["seconds"] / words)
        seconds[who].append(human["seconds"])
    return dict(tests), dict(pace), dict(seconds)


def _labels(rows: Comparisons) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for row in rows:
        for human in row["human"]:
            yield row, human


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer simulated annotators")
    default = ROOT / "benchmarks" / "results" / "annotator_quality.json"
    parser.add_argument("--output", type=Path, default=default)
    arguments = parser.parse_args()
    n_honest, n_dishonest = (60, 20) if arguments.quick else (300, 100)
    figures: dict[str, Any] = {
        "alarm_odds": ALARM_ODDS,
        "n_labels": N_LABELS,
        "seed": SEED,
        "simulated": simulated(load("pandalm.jsonl"), n_honest, n_dishonest),
        "raters": raters(),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for name, tally in figures["simulated"].items():
        print(f"{name:36} {tally['n_flagged']:4} of {tally['n']:4} flagged  {tally['interval']}  "
              f"first at label {tally['n_labels_median']}  {tally['by_alarm']}")  # fmt: skip
    for rater in figures["raters"]:
        print(f"rater {rater['rater']:2}  {rater['median_s']:6} s  missed {rater['n_missed']:2} of "
              f"{rater['n_tests']:2}  odds {rater['gold_odds']:8}  {rater['alarms']}")  # fmt: skip


if __name__ == "__main__":
    main()
