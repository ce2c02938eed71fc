"""The published study by one command: people's votes in MultiPref's schema, GPT-4's beside them."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

N_PROMPTS, PER_PROMPT = 40, 2
OPTIONS: dict[str, Any] = {
    "policies": "random,uncertainty,disagreement",
    "budgets": "0.25",
    "seeds": 2,
    "mixes": 20,
    "verbosity": 0,
}


def annotation(evaluator: str, overall: str) -> dict[str, Any]:
    return {
        "evaluator": evaluator,
        "helpful_pref": overall,
        "helpful_checked_reasons": ["More informative"],
        "helpful_confidence": "fairly-confident",
        "truthful_pref": "Tie",
        "truthful_confidence": "not-confident",
        "harmless_pref": "Tie",
        "harmless_confidence": "absolutely-confident",
        "overall_pref": overall,
        "overall_confidence": "fairly-confident",
        "time_spent": 283,
        "timestamp": "2024-05-08T10:00:00",
    }


def multipref_row(prompt: int, number: int, better: str) -> dict[str, Any]:
    """One comparison: three of four people prefer the better side, an expert slightly."""
    other = "B" if better == "A" else "A"
    texts = {better: "clear correct useful " * 6, other: "vague wrong rude " * 6}
    return {
        "comparison_id": f"c{prompt}-{number}",
        "prompt_id": f"p{prompt}",
        "text": f"Question {prompt} about {'law' if prompt % 2 else 'cooking'}?",
        "model_a": "tulu-2-7b",
        "completion_a": f"{texts['A']} {prompt} {number}",
        "model_b": "gpt-4-turbo-2024-04-09",
        "completion_b": f"{texts['B']} {number} {prompt}",
        "source": "sharegpt",
        "category": "Open QA",
        "subject_study": "Administration & Law" if prompt % 2 else "Other",
        "highest_level_degree": "Graduate degree",
        "normal_worker_annotations": [
            annotation("jovial_shirley", f"{better}-is-clearly-better"),
            annotation("quiet_omar", f"{other}-is-slightly-better"),
        ],
        "expert_worker_annotations": [
            annotation("calm_ada", f"{better}-is-slightly-better"),
            annotation("keen_ivo", f"{better}-is-clearly-better"),
        ],
    }


@pytest.fixture
def files(tmp_path: Path, settings: Settings) -> tuple[Path, Path]:
    """Votes, and labels of a judge that is wrong on law nine times in ten."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    rng = random.Random(0)
    votes, labels = [], []
    for prompt in range(N_PROMPTS):
        for number in range(PER_PROMPT):
            better = rng.choice("AB")
            wrong = prompt % 2 and rng.random() < 0.9
            said = ("B" if better == "A" else "A") if wrong else better
            votes.append(multipref_row(prompt, number, better))
            labels.append(
                {
                    "id": f"c{prompt}-{number}",
                    "pref_human": f"{better}-is-clearly-better",
                    "pref_gpt4": f"{said}-is-clearly-better",
                    "subject_of_expertise": ["Law"] if prompt % 2 else ["Culinary arts"],
                    "safety_concern": "safe",
                    "rouge": 0.25,
                }
            )
    paths = tmp_path / "multipref.jsonl", tmp_path / "multipref-features.jsonl"
    for path, rows in zip(paths, (votes, labels), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return paths


def test_one_command_repeats_the_study(files: tuple[Path, Path], tmp_path: Path) -> None:
    output, page = tmp_path / "out.json", tmp_path / "out.html"
    call_command(
        "replay_routing", files[0], judge_labels=files[1], output=output, html=page, **OPTIONS
    )
    told = json.loads(output.read_text())
    assert (told["n_comparisons"], told["n_prompts"]) == (80, 40)
    assert (told["judges"], told["judge"]) == (["gpt4"], "gpt4")
    assert told["truth"]["n_measured_by_others"] == 80
    # Where the dissenter is bought the others agree; of the other three two do: always a truth.
    human = told["policies"]["all_human"]["0.25"]["label_accuracy"]["mean"]
    assert human == pytest.approx(0.75, abs=0.1)
    routed = told["policies"]["disagreement"]["0.25"]
    by_lot = told["policies"]["random"]["0.25"]
    assert routed["label_accuracy"]["mean"] > by_lot["label_accuracy"]["mean"] + 0.05
    assert routed["human_share"] == by_lot["human_share"] == 0.25
    assert "gpt4" in page.read_text()


def test_the_descriptions_beside_the_labels_become_features(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out.json"
    call_command("replay_routing", files[0], judge_labels=files[1], output=output, **OPTIONS)
    named = {row["name"] for row in json.loads(output.read_text())["ppm"]["top_features"]}
    assert named & {"meta.subject_of_expertise=Law", "meta.subject_study=Administration & Law"}


def test_without_the_judges_file_it_says_what_is_missing(files: tuple[Path, Path]) -> None:
    with pytest.raises(CommandError, match="no judge labels"):
        call_command("replay_routing", files[0], **OPTIONS)
