"""Reward models on storage."""

import json
from pathlib import Path

import numpy as np
import pytest

from annotate.models import DatasetVersion, LabelRule, Project
from modeling.artifacts import (
    ArtifactError,
    LoadedRewardModel,
    artifact_load,
    artifact_write,
)
from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.models import RewardModel, TrainingRun
from modeling.storage import storage_write
from modeling.tables import ResponseFeatures, label_table, response_features
from tests.factories import make_annotator, make_comparison, make_preference, make_project

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


@pytest.fixture
def project() -> Project:
    """Ten labelled comparisons in which the longer response wins."""
    project = make_project()
    human = make_annotator(project)
    for number in range(10):
        texts = [f"Short {number}.", f"A longer response, with the number {number} and a reason."]
        make_preference(make_comparison(project, texts=texts), human, (1, 0))
    return project


@pytest.fixture
def features(project: Project) -> ResponseFeatures:
    """The project's responses."""
    return response_features(project=project)


@pytest.fixture
def model(project: Project, features: ResponseFeatures) -> RewardModel:
    """A trained model in its artifact."""
    table = label_table(project=project, features=features)
    data = table.pairwise_data(features.features, *table.human_share())
    ensemble = BradleyTerryEnsemble(n_heads=3, prior_precision=1.0)
    ensemble.fit(data, np.random.default_rng(0))
    version = DatasetVersion.objects.create(
        project=project,
        number=1,
        label_rule=LabelRule.HUMAN_MAJORITY,
        last_preference_id=1,
        last_comparison_id=1,
        n_rows=10,
        content_hash="0" * 64,
    )
    run = TrainingRun.objects.create(project=project, dataset_version=version)
    stored = artifact_write(run=run, pipeline=features.state, ensemble=ensemble, meta={"seed": 0})
    return RewardModel.objects.create(
        project=project,
        number=1,
        training_run=run,
        encoder="tfidf",
        artifact=stored.name,
        artifact_sha256=stored.sha256,
    )


def test_a_model_read_back_gives_the_same_rewards(
    model: RewardModel, features: ResponseFeatures
) -> None:
    first, second = artifact_load(model), artifact_load(model)
    rewards = first.member_rewards(features)
    assert rewards.shape == (3, features.response_ids.size)
    np.testing.assert_array_equal(rewards, second.member_rewards(features))
    assert first.meta == {"seed": 0}


def test_texts_get_the_rewards_of_their_rows(
    model: RewardModel, features: ResponseFeatures, project: Project
) -> None:
    loaded = artifact_load(model)
    comparison = project.comparisons.first()
    assert comparison is not None
    slots = list(comparison.slots.select_related("response"))
    by_text = loaded.member_rewards(
        prompts=[comparison.prompt.text] * 2, responses=[slot.response.text for slot in slots]
    )
    rows = np.searchsorted(features.response_ids, [slot.response_id for slot in slots])
    np.testing.assert_allclose(by_text, loaded.member_rewards(features)[:, rows], atol=1e-5)


def test_features_of_a_later_fit_are_encoded_as_the_model_was_trained(
    model: RewardModel, features: ResponseFeatures, project: Project
) -> None:
    make_comparison(project, texts=["Something else entirely.", "And one more."])
    later = response_features(project=project)
    assert later.state.version != features.state.version
    loaded = artifact_load(model)
    old = loaded.member_rewards(features)
    np.testing.assert_allclose(loaded.member_rewards(later)[:, : old.shape[1]], old, atol=1e-5)


def test_logits_of_swapped_pairs_are_the_negatives(
    model: RewardModel, features: ResponseFeatures
) -> None:
    loaded: LoadedRewardModel = artifact_load(model)
    first, second = np.array([0, 2, 4]), np.array([1, 3, 5])
    np.testing.assert_array_equal(
        loaded.logits(features, first, second), -loaded.logits(features, second, first)
    )


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_a_changed_file_is_refused(model: RewardModel, media: Path, file: str) -> None:
    path = media / model.artifact / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match=f"{file}.*SHA-256"):
        artifact_load(model)


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(model: RewardModel, media: Path, file: str) -> None:
    (media / model.artifact / file).unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        artifact_load(model)


def test_another_format_is_refused(model: RewardModel, media: Path) -> None:
    from hashlib import sha256

    document = json.loads((media / model.artifact / "model.json").read_text())
    changed = json.dumps({**document, "format_version": 99}).encode()
    storage_write(f"{model.artifact}/model.json", changed)
    model.artifact_sha256 = sha256(changed).hexdigest()
    with pytest.raises(ArtifactError, match="format 99"):
        artifact_load(model)


def test_no_draft_is_left_beside_the_artifact(model: RewardModel, media: Path) -> None:
    names = sorted(path.name for path in (media / model.artifact).iterdir())
    assert names == ["model.json", "model.safetensors"]


def test_a_write_that_fails_leaves_the_old_file(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage_write("x/file", b"old")

    def fail(_handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("modeling.storage.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        storage_write("x/file", b"new")
    assert [path.name for path in (media / "x").iterdir()] == ["file"]
    assert (media / "x/file").read_bytes() == b"old"
