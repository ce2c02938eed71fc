"""Replays: the command without a database, the job and its page, and where they refuse."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from annotate.errors import ApplicationError, ConflictError
from annotate.models import JobState, Project
from routing.acquisition.recorded import decided_pairs, recorded_pairs
from routing.acquisition.replay import ReplaySettings, replay, split_strategies
from routing.services.acquisition_replays import acquisition_replay_start
from routing.tasks import acquisition_replay_execute
from tests.routing.conftest import planted_rows


@pytest.fixture
def recorded(tmp_path: Path, settings: Settings) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    path = tmp_path / "recorded.jsonl"
    rows = planted_rows(40, 4, 0)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SMALL = {"batch_size": 10, "initial": 20, "rounds": 2, "seeds": 2, "verbosity": 0}


def test_the_command_writes_curves_ratios_and_seconds(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    call_command("replay_acquisition", recorded, output=out, strategies="bald,random", **SMALL)
    result = json.loads(out.read_text())
    assert result["n_comparisons"] == 160
    assert set(result["strategies"]) == {"random-v1", "bald-v1"}
    curve = result["strategies"]["bald-v1"]
    assert curve["n_labels"] == [20, 30, 40]
    assert [len(curve["accuracy"][end]) for end in ("mean", "low", "high")] == [3, 3, 3]
    assert all(0 < value < 1.5 for value in curve["log_loss"]["mean"])
    assert set(result["labels_to_match_random"]["bald-v1"]) >= {"ratio", "low", "high"}
    assert result["seconds"] > 0


def test_every_strategy_starts_from_the_same_labels(recorded: Path) -> None:
    pairs = recorded_pairs(recorded)
    chosen = ReplaySettings(split_strategies("bald,epig_direction"), 10, 20, rounds=1, seeds=2)
    curves = replay(pairs, chosen)
    starts = {name: losses[:, 0].tolist() for name, losses in curves.log_loss.items()}
    assert starts["random-v1"] == starts["bald-v1"] == starts["epig_direction-v1"]


def test_the_same_seeds_give_the_same_curves(recorded: Path) -> None:
    chosen = ReplaySettings(split_strategies("epig_linear"), 10, 20, rounds=2, seeds=1)
    first, again = (replay(recorded_pairs(recorded), chosen) for _ in range(2))
    np.testing.assert_array_equal(
        first.log_loss["epig_linear-v1"], again.log_loss["epig_linear-v1"]
    )


def test_under_a_prior_that_allows_nothing_every_loss_is_a_coins(recorded: Path) -> None:
    chosen = ReplaySettings((), 10, 20, rounds=1, seeds=1, logit_scale=1e-6)
    losses = replay(recorded_pairs(recorded), chosen).log_loss["random-v1"]
    np.testing.assert_allclose(losses, math.log(2), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["bootstrap", "mlp"])
def test_ensembles_can_stand_in_for_the_normal_posterior(recorded: Path, posterior: str) -> None:
    chosen = ReplaySettings(
        split_strategies("bald,d_optimal,epig_linear"), 10, 30, rounds=1, seeds=1,
        posterior=posterior,
    )  # fmt: skip
    curves = replay(recorded_pairs(recorded), chosen)
    assert all(math.isfinite(value) for value in curves.log_loss["bald-v1"].ravel())


def test_ties_and_undecided_comparisons_make_no_pair() -> None:
    assert list(decided_pairs(2, [(0, 0)])) == []
    assert list(decided_pairs(2, [(0, 1), (1, 0)])) == []
    assert list(decided_pairs(3, [(0, 1, 1), (0, 1, 2)])) == [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strategies": "luck"}, "Unknown strategy 'luck'"),
        ({"rounds": 90}, "Take fewer rounds"),
        ({"seeds": 0}, "seeds is 0"),
        ({"test_share": 1.0}, "between 0 and 1"),
        ({"logit_scale": 0.0}, "logit_scale is above 0"),
    ],
)
def test_the_command_refuses_with_a_sentence(
    recorded: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("replay_acquisition", recorded, **SMALL | {"strategies": "bald"} | options)


def test_missing_and_small_files_are_refused(tmp_path: Path, settings: Settings) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    with pytest.raises(CommandError, match="There is no file"):
        call_command("replay_acquisition", tmp_path / "nothing.jsonl")
    few = tmp_path / "few.jsonl"
    few.write_text("".join(json.dumps(row) + "\n" for row in planted_rows(5, 2, 0)))
    with pytest.raises(CommandError, match="needs 40 comparisons that people decided"):
        call_command("replay_acquisition", few, verbosity=0)
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": 1}\n')
    with pytest.raises(CommandError, match="row 1, field responses"):
        call_command("replay_acquisition", broken, verbosity=0)


# --- The job and its page ------------------------------------------------------------------------

QUICK: dict[str, Any] = {
    "strategies": ["bald-v1"], "batch_size": 5, "initial": 20, "rounds": 2, "seeds": 2,
}  # fmt: skip


def test_a_project_is_replayed_and_shown(load: Any, ada: User, client: Client) -> None:
    project: Project = load(40, 2, 4)
    row = acquisition_replay_start(project=project, user=ada, **QUICK)
    acquisition_replay_execute(row.pk)
    row.refresh_from_db()
    assert row.state == JobState.DONE, row.message
    assert row.result["n_comparisons"] == 72
    client.force_login(ada)
    page = client.get(reverse("routing:acquisition-replay", args=[project.slug]))
    assert "Lead over random" in page.content.decode()
    api = client.get(f"/api/v1/projects/{project.slug}/acquisition-replays/{row.number}").json()
    assert api["result"]["labels_to_match_random"].keys() == {"bald-v1"}


def test_too_few_labels_fail_the_replay_with_a_sentence(small: Project) -> None:
    row = acquisition_replay_start(project=small, user=None, **QUICK)
    acquisition_replay_execute(row.pk)
    row.refresh_from_db()
    assert row.state == JobState.FAILED
    assert "A replay needs 40 comparisons" in row.message


def test_a_second_replay_waits_for_the_first(small: Project) -> None:
    acquisition_replay_start(project=small, user=None, **QUICK)
    with pytest.raises(ConflictError, match="A replay is under way"):
        acquisition_replay_start(project=small, user=None, **QUICK)


@pytest.mark.parametrize(
    "values", [{"strategies": []}, {"strategies": ["luck"]}, {"seeds": 0}, {"posterior": "tarot"}]
)
def test_bad_values_are_refused(small: Project, values: dict[str, Any]) -> None:
    with pytest.raises(ApplicationError):
        acquisition_replay_start(project=small, user=None, **QUICK | values)


def test_only_owners_replay(small: Project, ada: User, ben: User, client: Client) -> None:
    page = reverse("routing:acquisition-replay", args=[small.slug])
    url = f"/api/v1/projects/{small.slug}/acquisition-replays"
    assert client.get(page).status_code == 302
    client.force_login(ben)
    assert client.get(page).status_code == 403
    assert client.post(url, QUICK, content_type="application/json").status_code == 403
    client.force_login(ada)
    assert client.get(page).status_code == 200
    assert client.post(url, QUICK, content_type="application/json").status_code == 202
    assert client.post(f"{url}/1/cancel").status_code == 202
    form = {
        "strategies": "bald-v1", "posterior": "laplace", "encoder": "tfidf", "initial_size": 20,
        "batch_size": 5, "rounds": 2, "seeds": 2, "test_percent": 35,
    }  # fmt: skip
    start = reverse("routing:acquisition-replay-start", args=[small.slug])
    assert client.post(start, form).status_code == 302
    assert client.post(start, form | {"rounds": 0}).status_code == 422
    assert client.post(start, form).status_code == 422
    progress = reverse("routing:acquisition-replay-progress", args=[small.slug, 2])
    assert client.get(progress).status_code == 200
    client.post(reverse("routing:acquisition-replay-cancel", args=[small.slug, 2]))
    assert small.acquisition_replays.get(number=2).state == JobState.CANCELLED
