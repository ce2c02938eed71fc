"""Text features: any script, empty texts, exact round trips."""

import json

import numpy as np
import pytest

from modeling.core.encoders import TfidfSvdEncoder
from modeling.core.types import InvalidInputError

CORPUS = [
    "Boil the pasta for nine minutes and keep a cup of the water.",
    "Boil the pasta in salted water, then add the sauce.",
    "A mutex protects shared state between threads.",
    "Threads that share state need a mutex or a lock.",
    "",
    "面条煮九分钟。",
]


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
