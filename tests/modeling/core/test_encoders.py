"""Text features: any script, empty texts, exact round trips."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.core.encoders import (
    FEATURE_NAMES,
    FeatureScaler,
    TfidfSvdEncoder,
    interpretable_features,
)
from modeling.core.types import InvalidInputError

CORPUS = [
    "Boil the pasta for nine minutes and keep a cup of the water.",
    "Boil the pasta in salted water, then add the sauce.",
    "A mutex protects shared state between threads.",
    "Threads that share state need a mutex or a lock.",
    "",
    "面条煮九分钟。",
]


def feature(name: str, response: str, prompt: str = "") -> float:
    matrix, names = interpretable_features([prompt], [response])
    return float(matrix[0, names.index(name)])


def test_texts_about_one_subject_lie_closer_together() -> None:
    pasta, pasta_too, mutex = TfidfSvdEncoder().fit(CORPUS).transform(CORPUS)[:3]
    assert pasta @ pasta_too > 3 * abs(pasta @ mutex)


def test_full_rank_encoding_keeps_all_inner_products() -> None:
    encoder = TfidfSvdEncoder().fit(CORPUS)
    encoded = encoder.transform(CORPUS)
    np.testing.assert_allclose((encoded**2).sum(axis=1), 1.0, atol=1e-5)


def test_chinese_texts_share_features_by_their_characters() -> None:
    encoder = TfidfSvdEncoder().fit(["面条煮九分钟", "面条很好吃", "线程共享状态", "hello there"])
    noodles, noodles_too, threads, _ = encoder.transform(
        ["面条煮九分钟", "面条很好吃", "线程共享状态", "hello there"]
    )
    assert noodles @ noodles_too > noodles @ threads + 0.05


@pytest.mark.parametrize(
    "texts", [[""], ["", "  "], ["a"], ["!!!", "?"], ["\x00", "\x00"], ["你好"], ["🙂", "🙂🙂"]]
)
def test_the_smallest_corpora_are_encoded(texts: list[str]) -> None:
    encoded = TfidfSvdEncoder().fit(texts).transform([*texts, "unseen words"])
    assert encoded.shape[0] == len(texts) + 1
    assert np.isfinite(encoded).all()


def test_dimensions_shrink_to_what_the_corpus_has() -> None:
    assert TfidfSvdEncoder(n_components=4).fit(CORPUS).transform(CORPUS).shape == (6, 4)
    assert TfidfSvdEncoder().fit(CORPUS * 3).transform(CORPUS).shape[1] <= 6


def test_an_empty_response_has_a_feature_of_its_own() -> None:
    encoded = TfidfSvdEncoder().fit(CORPUS).transform(["", "zzzz qqqq"])
    assert np.linalg.norm(encoded[0]) > 0.9
    assert np.linalg.norm(encoded[1]) < 0.5


def test_a_large_corpus_drops_terms_seen_once() -> None:
    texts = [f"common words number{i}" for i in range(200)]
    _, meta = TfidfSvdEncoder().fit(texts).to_arrays()
    assert "common" in meta["words"]
    assert "number7" not in meta["words"]


def test_an_encoder_survives_json_and_arrays_exactly() -> None:
    encoder = TfidfSvdEncoder(n_components=3, seed=4).fit(CORPUS)
    arrays, meta = encoder.to_arrays()
    restored = TfidfSvdEncoder.from_arrays(arrays, json.loads(json.dumps(meta)))
    unseen = [*CORPUS, "keep a lock on the pasta", "分钟"]
    np.testing.assert_array_equal(restored.transform(unseen), encoder.transform(unseen))
    assert restored.seed == 4


def test_the_same_seed_gives_the_same_features() -> None:
    first, second = (TfidfSvdEncoder(2, seed=1).fit(CORPUS).transform(CORPUS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_no_texts_to_transform_give_no_rows() -> None:
    encoder = TfidfSvdEncoder(n_components=2).fit(CORPUS)
    assert encoder.transform([]).shape == (0, 2)


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="texts is empty"):
        TfidfSvdEncoder().fit([])


def test_useless_options_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="n_components must be >= 1"):
        TfidfSvdEncoder(n_components=0)


def test_an_encoder_with_a_lost_vocabulary_entry_is_refused() -> None:
    arrays, meta = TfidfSvdEncoder().fit(CORPUS).to_arrays()
    meta["words"] = meta["words"][1:]
    with pytest.raises(InvalidInputError, match="idf has"):
        TfidfSvdEncoder.from_arrays(arrays, meta)


def test_an_encoder_with_a_lost_array_is_refused() -> None:
    _, meta = TfidfSvdEncoder().fit(CORPUS).to_arrays()
    with pytest.raises(InvalidInputError, match="encoder arrays lacks components"):
        TfidfSvdEncoder.from_arrays({}, meta)


def test_scaled_columns_have_mean_zero_and_unit_spread() -> None:
    features = np.random.default_rng(0).normal(5.0, 3.0, size=(400, 4)).astype(np.float32)
    scaled = FeatureScaler().fit(features).transform(features)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 3.3, 1e7])
def test_a_constant_column_becomes_zero(constant: float) -> None:
    features = np.full((1000, 1), constant, dtype=np.float32)
    scaled = FeatureScaler().fit(features).transform(features)
    np.testing.assert_array_equal(scaled, 0.0)


def test_a_scaler_survives_its_arrays_exactly() -> None:
    features = np.random.default_rng(0).random((9, 3)).astype(np.float32)
    scaler = FeatureScaler().fit(features)
    restored = FeatureScaler.from_arrays(*scaler.to_arrays())
    np.testing.assert_array_equal(restored.transform(features), scaler.transform(features))


def test_a_scaler_refuses_other_columns() -> None:
    scaler = FeatureScaler().fit([[1.0, 2.0]])
    with pytest.raises(InvalidInputError, match="features has 1 columns; the scaler knows 2"):
        scaler.transform([[1.0]])


def test_a_scaler_needs_a_row() -> None:
    with pytest.raises(InvalidInputError, match="features has no rows"):
        FeatureScaler().fit(np.empty((0, 3)))


@pytest.mark.parametrize(
    ("name", "response", "expected"),
    [
        ("log_characters", "abc", np.log(4)),
        ("log_words", "one two", np.log(3)),
        ("mean_word_length", "to four", 3.0),
        ("mean_sentence_words", "One two. Three four.", 2.0),
        ("list_line_share", "Steps:\n- a\n2. b\n\nend", 0.5),
        ("markdown_marks_per_line", "# Title\n**bold** text", 1.5),
        ("code_share", "`ab` xxxx", 4 / 9),
        ("code_share", "```\nunclosed", 1.0),
        ("digit_share", "a1b2", 0.5),
        ("uppercase_share", "ABcd 12", 0.5),
        ("question_marks", "a? b?", np.log(3)),
        ("exclamation_marks", "wow!", np.log(2)),
        ("type_token_ratio", "the cat The dog", 0.75),
        ("repeated_line_share", "same\nsame\nother\n", 1 / 3),
        ("refusal_phrases", "I\u2019m sorry, but as an AI I cannot help.", 3.0),
        ("hedges", "Perhaps it might work", 2.0),
        ("is_empty", "  \n", 1.0),
    ],
)
def test_readable_features_by_hand(name: str, response: str, expected: Any) -> None:
    assert feature(name, response) == pytest.approx(expected, rel=1e-5)


def test_overlap_with_the_prompt_counts_distinct_words() -> None:
    prompt, response = "red green blue", "Red red violet"
    assert feature("prompt_overlap", response, prompt) == pytest.approx(1 / 2)
    assert feature("prompt_coverage", response, prompt) == pytest.approx(1 / 3)


def test_chinese_characters_count_as_words() -> None:
    assert feature("log_words", "你好") == pytest.approx(np.log(3))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=60)), max_size=4))
def test_any_text_has_finite_features(rows: Any) -> None:
    prompts, responses = [row[0] for row in rows], [row[1] for row in rows]
    matrix, names = interpretable_features(prompts, responses)
    assert names == FEATURE_NAMES
    assert matrix.shape == (len(rows), len(names))
    assert np.isfinite(matrix).all()


def test_prompts_and_responses_must_pair() -> None:
    with pytest.raises(InvalidInputError, match="responses has 1 rows; the others have 2"):
        interpretable_features(["a", "b"], ["c"])
