"""BERTScore on a tiny encoder: the published sum, chunks, cache and the study's columns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pytest_django.fixtures import Settings
from transformers import AutoModel, AutoTokenizer

from annotate.models import Annotator, Comparison, Project
from routing import bert_scores as module
from routing.bert_scores import bert_scores, has_token_states
from routing.tables import feature_table
from tests.tiny_models import tiny_encoder_model

ENCODER = "transformers:tiny-bert:mean:-1"
FIRST = ["the sky is blue", "boil the egg ten and one", "", "no idea"]
SECOND = ["boil the sky", "the egg is blue no idea ten", "the egg", "no idea"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_encoder_model(folder / "tiny-bert")
    return folder


@pytest.fixture(autouse=True)
def models_dir(settings: Settings, models: Path) -> None:
    settings.MODELS_DIR = models


def alone(folder: Path, text: str) -> torch.Tensor:
    """States of one text without padding, at unit length."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model = AutoModel.from_pretrained(str(folder)).eval()
    with torch.inference_mode():
        tokens = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        states = model(**tokens).last_hidden_state[0]
    return torch.nn.functional.normalize(states, dim=-1)


def test_scores_are_those_of_texts_read_one_by_one(models: Path) -> None:
    found = bert_scores(ENCODER, FIRST, SECOND)
    for place in (0, 1):
        a, b = (alone(models / "tiny-bert", texts[place]) for texts in (FIRST, SECOND))
        cosine = a @ b.T
        recall, precision = cosine.amax(1).mean(), cosine.amax(0).mean()
        expected = 2 * recall * precision / (recall + precision)
        assert found[place] == pytest.approx(float(expected), abs=1e-5)
    assert found[2:].tolist() == pytest.approx([0.0, 1.0])


def test_scores_forget_the_order_and_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = bert_scores(ENCODER, FIRST, SECOND)
    monkeypatch.setattr(module, "_PAIRS", 1)
    np.testing.assert_allclose(bert_scores(ENCODER, SECOND, FIRST), found, atol=1e-5)


@pytest.mark.parametrize(("encoder", "reads"), [(ENCODER, True), ("tfidf", False), ("", False)])
def test_only_models_of_a_folder_have_token_states(encoder: str, reads: bool) -> None:
    assert has_token_states(encoder) is reads


def test_a_configured_encoder_adds_a_column_that_is_computed_once(
    small: Project, judge: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.array(Comparison.objects.filter(project=small).values_list("pk", flat=True))
    plain = feature_table(project=small, judge=judge, comparison_ids=ids)
    table = feature_table(project=small, judge=judge, comparison_ids=ids, encoder=ENCODER)
    assert table.names == (*plain.names, "bert_score")
    np.testing.assert_array_equal(table.statistics[:, :-1], plain.statistics)
    assert ((table.statistics[:, -1] > 0) & (table.statistics[:, -1] <= 1)).all()
    monkeypatch.delattr("routing.tables.bert_scores")
    again = feature_table(project=small, judge=judge, comparison_ids=ids, encoder=ENCODER)
    np.testing.assert_array_equal(again.statistics, table.statistics)
