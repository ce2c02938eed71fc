"""A fine-tuned model in the product: its report, its verdicts as a judge, its scores."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_django import Settings

from annotate.models import Comparison, JobState, Project
from modeling.finetuning.launch import Event
from modeling.finetuning.options import FineTuneOptions
from modeling.judges.silver import RewardModelAsker
from modeling.judges.work import WorkMaker
from modeling.models import RewardModel
from modeling.scoring import scorer_for
from modeling.services.judges import judge_create
from modeling.services.training import fine_tuning_start
from modeling.services.training_work import training_run_execute
from tests.factories import make_annotator, make_comparison, make_preference, make_project
from tests.tiny_models import tiny_causal_model

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("media"),
    # TRL and peft ask transformers under its old names.
    pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed in v6:FutureWarning"),
]

N_PROMPTS = 60
KIND, MIDDLING, RUDE = "Certainly gladly", "yes it is", "no idea ask away"


@pytest.fixture
def project(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three responses on each of 60 prompts, kindest first; a judge sees it the other way round."""
    settings.MODELS_DIR, settings.TRAINING_DIR = tmp_path / "models", tmp_path / "training"
    tiny_causal_model(tmp_path / "models" / "tiny")
    monkeypatch.setattr("modeling.finetuning.run.launch", launched_here)
    project = make_project(slug="ranked")
    people = [make_annotator(project) for _ in range(4)]
    judge = make_annotator(project, kind="judge")
    for number in range(N_PROMPTS):
        texts = [f"{text} {number}" for text in (KIND, MIDDLING, RUDE)]
        comparison = make_comparison(project, prompt=f"Question {number}", texts=texts)
        make_preference(comparison, people[number % 4], (0, 1, 2))
        make_preference(comparison, judge, (2, 1, 0))
    return project


def launched_here(folder: Path, config: dict[str, Any], *, on_events: Any) -> None:
    """Train in this process: starting another takes ten times as long as the training."""
    from modeling.finetuning.launch import events_of
    from modeling.finetuning.trainer import fine_tune

    threads = torch.get_num_threads()
    # More threads than a model of two layers can use only wait for each other.
    torch.set_num_threads(1)
    try:
        fine_tune(folder, config)
    finally:
        torch.set_num_threads(threads)
    events: list[Event] = events_of(folder)
    on_events(events)


def fine_tuned(project: Project, **options: Any) -> RewardModel:
    """A model of two layers, fine-tuned in this process."""
    given = {"base": "tiny", "epochs": 3.0, "learning_rate": 3e-3, "rank": 4, "max_tokens": 48}
    run = fine_tuning_start(
        project=project, user=None, options=FineTuneOptions(**{**given, **options})
    )
    training_run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.state == JobState.DONE, run.message
    return RewardModel.objects.get(training_run=run)


def test_a_fine_tuned_model_brings_the_report_that_heads_bring(project: Project) -> None:
    metrics = fine_tuned(project, by_source=True).metrics
    golds = [point["gold"]["estimate"] for point in metrics["best_of_n"]]
    assert [point["n"] for point in metrics["best_of_n"]] == [1, 2, 3]
    assert golds == sorted(golds)
    length = next(row for row in metrics["bias"] if row["feature"] == "log_characters")
    # The kind response is the longer one or as long as the rude one, and people choose it.
    assert length["human_rate"] == pytest.approx(length["model_rate"], abs=0.35)
    assert length["lean"]["low"] <= length["lean"]["estimate"] <= length["lean"]["high"]
    assert set(metrics["sources"]) == {"human", "judge", "hybrid", "filtered"}
    assert metrics["sources"]["human"]["accuracy"]["estimate"] > 0.8
    assert metrics["sources"]["judge"]["accuracy"]["estimate"] < 0.2
    assert metrics["sources"]["judge"]["above_human"]["high"] < 0
    assert metrics["transitivity"]["n_cyclic"] == 0


def test_a_fine_tuned_model_judges_as_it_scores(project: Project) -> None:
    model = fine_tuned(project)
    assert model.metrics["sources"] == {}
    judge = judge_create(project=project, user=None, name="silver", provider="reward_model")
    assert judge.reward_model == model
    asked = [
        ("Question 1", f"{KIND} 1", f"{RUDE} 1"),
        ("Question 2", f"{RUDE} 2", f"{KIND} 2"),
    ]
    pairs = [make_comparison(project, prompt=own[0], texts=own[1:]) for own in asked]
    found = answers(judge, pairs)
    expected = scorer_for(model).compare(*zip(*asked, strict=True))
    assert [own.combined.verdict for own in found] == ["first", "second"]
    np.testing.assert_allclose([own.combined.probability for own in found], expected, rtol=1e-5)
    assert found[0].extra["reward_spread"] is None


def answers(judge: Any, comparisons: list[Comparison]) -> list[Any]:
    """What the judge says of comparisons."""
    maker = WorkMaker(judge, judge.annotator.project)
    works = [maker.make(one) for one in comparisons]
    given = RewardModelAsker(judge).answer(works, threading.Event())  # type: ignore[arg-type]
    return [answer.given for answer in given]
