"""`evaluate_reward_models` on files written by hand, and on a real set where it is there."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from modeling.recorded import read_recorded

pytestmark = pytest.mark.usefixtures("media")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write native lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def comparison(number: int, **fields: Any) -> dict[str, Any]:
    """A comparison that the kind response wins, in an order that says nothing."""
    kind, rude = f"Gladly, of course: {number}.", f"No idea, ask away: {number}."
    first = number % 2
    texts = [rude, kind] if first else [kind, rude]
    responses = [{"id": "ab"[i], "text": text, "model": None} for i, text in enumerate(texts)]
    human = [{"annotator": "ann", "preference": first}]
    row = {"id": f"c{number}", "prompt": f"Question {number}?", "responses": responses}
    return {**row, "human": human, "llm": [{"judge": "j", "preference": 1 - first}], **fields}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "kind.jsonl", [comparison(number) for number in range(40)])


def evaluated(file: Path, **options: Any) -> tuple[dict[str, Any], str]:
    """The JSON and the table."""
    output, screen = file.parent / "out.json", StringIO()
    call_command(
        "evaluate_reward_models", str(file), output=output, stdout=screen, verbosity=0, seeds=2,
        **{"likelihoods": "bradley_terry,davidson", **options},
    )  # fmt: skip
    return json.loads(output.read_text(encoding="utf-8")), screen.getvalue()


def test_the_json_names_models_and_baselines_with_intervals(file: Path) -> None:
    result, screen = evaluated(file)
    assert result["n_comparisons"] == 40
    assert set(result["models"]) == {"bradley_terry/tfidf"}
    assert set(result["baselines"]) == {"length", "constant"}
    for cell in (*result["models"].values(), *result["baselines"].values()):
        for name in ("accuracy", "log_loss", "ece"):
            assert set(cell[name]) == {"mean", "low", "high"}
    assert "bradley_terry/tfidf" in screen


def test_a_planted_preference_is_found_and_beats_chance(file: Path) -> None:
    result, _ = evaluated(file)
    assert result["models"]["bradley_terry/tfidf"]["accuracy"]["mean"] > 0.9
    assert result["models"]["bradley_terry/tfidf"]["log_loss"]["mean"] < 0.5


def test_judges_are_learned_from_and_tested_on_people(file: Path) -> None:
    result, _ = evaluated(file, labels="judge", likelihoods="bradley_terry")
    assert result["models"]["bradley_terry/tfidf"]["accuracy"]["mean"] < 0.1
    assert result["tested_on"] == "held-out human labels, split by prompt"


def test_a_likelihood_without_labels_is_left_out_with_its_reason(file: Path) -> None:
    result, screen = evaluated(file)
    assert result["left_out"] == {"davidson": "It needs ties; there are 0 of at least 10."}
    assert "davidson: left out. It needs ties" in screen


def test_equal_seeds_give_equal_figures(file: Path) -> None:
    assert evaluated(file)[0] == evaluated(file)[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihoods": "hinge"}, "likelihood must be one of"),
        ({"encoders": "bert"}, "Unknown encoder 'bert'"),
        ({"seeds": 0}, "--seeds must be at least 1"),
    ],
)
def test_impossible_options_are_refused(file: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command(
            "evaluate_reward_models", str(file), output=file.parent / "o.json", verbosity=0,
            **options,
        )  # fmt: skip


def test_a_file_that_is_not_there_or_not_readable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no file"):
        call_command("evaluate_reward_models", str(tmp_path / "no.jsonl"), output=tmp_path / "o")
    broken = write(tmp_path / "broken.jsonl", [comparison(1, human=[{"preference": 5}])])
    with pytest.raises(CommandError, match="row 1, field human"):
        call_command("evaluate_reward_models", str(broken), output=tmp_path / "o", verbosity=0)


def test_every_kind_of_label_is_read(tmp_path: Path) -> None:
    responses = [{"id": name, "text": f"text {name}", "model": None} for name in "abc"]
    ranked = {
        "annotator": "r",
        "preference": [2, [0, 1]],
        "aspects": {"overall": {"rating": [10, 20, 90]}, "style": {"rating": [5, 5, 1]}},
    }
    rows = [
        comparison(1, human=[{"annotator": "x", "preference": "both_bad"}], llm=[]),
        comparison(2, human=[{"annotator": "x", "preference": 0, "strength": 2}], llm=[]),
        comparison(3, human=[{"annotator": "x", "preference": "tie"}], llm=[]),
        {"id": "k", "prompt": "p", "responses": responses, "human": [ranked], "llm": []},
    ]
    human = read_recorded(write(tmp_path / "all.jsonl", rows)).human
    assert human.thumbs.good.tolist() == [0, 0]
    assert len(human.rankings.rankings) == 1
    assert human.ratings.value.tolist() == [10.0, 20.0, 90.0]
    overall = human.pairs.take(human.pairs.criterion == 0)
    np.testing.assert_array_equal(overall.target, [1.0, 0.5, 0.5, 0.0, 0.0])
    np.testing.assert_array_equal(overall.strength, [2.0, 0.0, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(overall.weight, [1.0, 1.0, 0.5, 0.5, 0.5])
    by_style = human.pairs.take(human.pairs.criterion == 1)
    np.testing.assert_array_equal(by_style.target, [0.5, 1.0, 1.0])


def bench_row(number: int, subset: str) -> dict[str, Any]:
    """A row in RewardBench's columns whose chosen response is the kind one."""
    return {
        "prompt": f"Bench {number}?",
        "chosen": f"Gladly, of course: {number}.",
        "chosen_model": "otter",
        "rejected": f"No idea, ask away: {number}.",
        "rejected_model": "lynx",
        "subset": subset,
        "id": number,
    }


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A pair of every section, and one of a subset that RewardBench does not have."""
    subsets = ["alpacaeval-easy", "llmbar-natural", "donotanswer", "hep-go", "my-own"]
    rows = [bench_row(number, subsets[number % 5]) for number in range(20)]
    return write(tmp_path / "bench.jsonl", rows)


def test_rewardbench_is_scored_by_its_sections(file: Path, bench: Path) -> None:
    result, screen = evaluated(file, rewardbench=bench, likelihoods="bradley_terry")
    found = result["rewardbench"]["bench"]
    cell = found["models"]["bradley_terry/tfidf"]
    assert found["n_pairs"] == 20
    assert set(cell["sections"]) == {"Chat", "Chat Hard", "Safety", "Reasoning"}
    assert cell["subsets"]["hep-go"]["n"] == 4
    assert cell["subsets_without_section"] == ["my-own"]
    assert cell["overall"]["mean"] > 0.9
    assert cell["overall"]["low"] < cell["overall"]["mean"]
    assert "Chat Hard" in screen


def test_models_are_tested_on_sets_that_they_never_saw(file: Path, tmp_path: Path) -> None:
    rude_wins = [
        comparison(n, prompt=f"Elsewhere {n}?", human=human_for(1 - n % 2)) for n in range(20)
    ]
    known = [comparison(number) for number in range(3)]
    away = write(tmp_path / "away.jsonl", [*rude_wins, *known])
    result, screen = evaluated(file, ood=[away], likelihoods="bradley_terry")
    found = result["ood"]["away"]
    assert (found["n_pairs"], found["n_shared_left_out"]) == (20, 3)
    assert found["models"]["bradley_terry/tfidf"]["accuracy"]["mean"] < 0.1
    assert result["models"]["bradley_terry/tfidf"]["accuracy"]["mean"] > 0.9
    assert set(found["baselines"]) == {"length", "constant"}
    assert "Out of distribution: away, 20 pairs on 20 prompts; 3 on prompts" in screen


def human_for(side: int) -> list[dict[str, Any]]:
    """One person's verdict."""
    return [{"annotator": "ann", "preference": side}]


def test_sets_from_elsewhere_do_not_change_the_figures_at_home(file: Path, bench: Path) -> None:
    alone, _ = evaluated(file)
    beside, _ = evaluated(file, rewardbench=bench)
    assert {name: beside[name] for name in alone} == alone


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([bench_row(n, "hep-go") for n in range(9)], "has 9 pairs with human labels"),
        (
            [{**bench_row(0, "hep-go"), "chosen": ["a"], "rejected": ["b", "c", "d"]}],
            "row 1: has 4 responses",
        ),
    ],
)
def test_a_bench_that_cannot_be_scored_is_refused(
    file: Path, tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        evaluated(file, rewardbench=write(tmp_path / "b.jsonl", rows))


@pytest.mark.slow
def test_the_three_human_set_gives_the_length_rule_its_known_accuracy() -> None:
    path = Path(os.environ.get("TANDEM_DATA") or "../shared/data") / "pandalm.jsonl"
    if not path.exists():
        pytest.skip(f"the three-human set is not at {path}; set TANDEM_DATA to its folder")
    recorded = read_recorded(path)
    votes = recorded.human.pairs
    decided, longer = votes.target != 0.5, recorded.longer(votes)
    told = decided & (longer != 0.5)
    # Humans prefer the longer response in 67.5 % of the majority's decisions.
    assert (longer[told] == votes.target[told]).mean() == pytest.approx(0.675, abs=0.015)
