"""Frozen text features that need no download: TF-IDF of words and characters with SVD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from modeling.core.stored import Stored
from modeling.core.types import (
    Arrays,
    Float32Array,
    FloatArray,
    InvalidInputError,
    Meta,
    as_matrix,
    require_length,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

EMPTY_TEXT = "\u2205"
"""Stands for a text without any character, so that an empty response has a feature of its own."""
WORD_PATTERN = r"(?u)\w+|[^\w\s]"
"""Words, and single punctuation marks: a code fence or a question mark tells responses apart."""
CHARACTER_NGRAMS = (2, 3)
"""Pairs and triples inside words; pairs are the words of unsegmented scripts such as Chinese."""
MAX_CHARACTERS = 4_000
"""Longer texts are cut for the n-gram counts, which cost the most and say little at that length."""


class TfidfSvdEncoder(Stored):
    """Word and character TF-IDF, projected on its leading directions.

    Parameters
    ----------
    n_components : int, default 128
        Dimensions wished; small corpora give fewer.
    max_features : int, default 50_000
        Largest vocabulary, half words and half character n-grams.
    seed : int, default 0
        Seed of the randomised decomposition.

    Attributes
    ----------
    components_ : ndarray of float32, shape (d, n_terms)
        Directions; texts are encoded as `tfidf @ components_.T`.

    References
    ----------
    Deerwester et al. 1990, "Indexing by latent semantic analysis"; Halko, Martinsson, Tropp 2011.
    """

    def __init__(self, n_components: int = 128, max_features: int = 50_000, seed: int = 0) -> None:
        if n_components < 1 or max_features < 2:
            raise InvalidInputError(
                f"n_components must be >= 1 and max_features >= 2; got {n_components}, "
                f"{max_features}."
            )
        self.n_components = n_components
        self.max_features = max_features
        self.seed = seed

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn vocabulary, inverse document frequencies and directions.

        Parameters
        ----------
        texts : sequence of str
            Corpus; empty texts and any script are fine.

        Returns
        -------
        TfidfSvdEncoder
            Itself.

        Raises
        ------
        InvalidInputError
            If there is no text.
        """
        if len(texts) == 0:
            raise InvalidInputError("texts is empty; the encoder needs at least one text.")
        prepared = _prepare(texts)
        # Terms seen once cannot tell two prompts apart; a handful of texts needs them all the same.
        min_df = 2 if len(texts) >= 200 else 1
        half = self.max_features // 2
        self._words = _vectorizer("word", max_features=half, min_df=min_df)
        self._characters = _vectorizer("char_wb", max_features=half, min_df=min_df)
        matrix = _joined(
            self._words.fit_transform(prepared), self._characters.fit_transform(_cut(prepared))
        )
        self.components_: Float32Array = _directions(matrix, self.n_components, self.seed)
        return self

    def transform(self, texts: Sequence[str]) -> Float32Array:
        """Encode texts.

        Parameters
        ----------
        texts : sequence of str
            Texts to encode, seen before or not.

        Returns
        -------
        ndarray of float32, shape (n, d)
            One row per text, of length at most about 1.
        """
        if len(texts) == 0:
            return np.empty((0, len(self.components_)), dtype=np.float32)
        prepared = _prepare(texts)
        matrix = _joined(
            self._words.transform(prepared), self._characters.transform(_cut(prepared))
        )
        return np.asarray(matrix @ self.components_.T, dtype=np.float32)

    def to_arrays(self) -> tuple[Arrays, Meta]:
        """Take the fitted state apart, without pickle.

        Returns
        -------
        arrays : dict of str to ndarray
            Directions and inverse document frequencies.
        meta : dict
            Options and vocabularies, ready for JSON.
        """
        arrays = {
            "components": self.components_,
            "word_idf": np.asarray(self._words.idf_),
            "character_idf": np.asarray(self._characters.idf_),
        }
        meta = {
            "kind": "tfidf_svd-v1",
            "n_components": self.n_components,
            "max_features": self.max_features,
            "seed": self.seed,
            "words": self._words.get_feature_names_out().tolist(),
            "characters": self._characters.get_feature_names_out().tolist(),
        }
        return arrays, meta

    stored_as = "encoder"
    stored_arrays = ("components", "word_idf", "character_idf")
    stored_meta = ("n_components", "max_features", "seed", "words", "characters")

    @classmethod
    def _restored(cls, arrays: Arrays, meta: Meta) -> Self:
        encoder = cls(*(int(meta[name]) for name in cls.stored_meta[:3]))
        encoder.components_ = as_matrix("components", arrays["components"])
        encoder._words = _vectorizer_of("word", meta["words"], arrays["word_idf"])
        encoder._characters = _vectorizer_of("char_wb", meta["characters"], arrays["character_idf"])
        return encoder


def _prepare(texts: Sequence[str]) -> list[str]:
    return [text if text.strip() else EMPTY_TEXT for text in texts]


def _cut(texts: list[str]) -> list[str]:
    return [text[:MAX_CHARACTERS] for text in texts]


def _joined(words: csr_matrix, characters: csr_matrix) -> csr_matrix:
    from scipy.sparse import hstack

    # Each block has unit rows; the factor keeps the joined rows at unit length.
    return hstack([words, characters], format="csr") * np.float32(np.sqrt(0.5))


def _directions(matrix: csr_matrix, n_components: int, seed: int) -> Float32Array:
    from sklearn.utils.extmath import randomized_svd

    size = min(n_components, *matrix.shape)
    _, singular, right = randomized_svd(matrix, size, n_iter=5, random_state=seed)
    # A corpus of few distinct texts has fewer directions than asked; the rest would be rounding.
    kept = singular > 1e-5 * singular[0]
    return np.ascontiguousarray(right[kept], dtype=np.float32)


def _vectorizer(analyzer: str, **options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    is_word = analyzer == "word"
    return TfidfVectorizer(
        analyzer=analyzer,
        token_pattern=WORD_PATTERN if is_word else None,
        ngram_range=(1, 1) if is_word else CHARACTER_NGRAMS,
        sublinear_tf=True,
        dtype=np.float32,
        **options,
    )


def _vectorizer_of(analyzer: str, terms: Sequence[str], idf: NDArray[Any]) -> Any:
    vectorizer = _vectorizer(analyzer, vocabulary=list(terms))
    vectorizer.idf_ = _checked_idf(idf, len(terms))
    return vectorizer


def _checked_idf(idf: NDArray[Any], n_terms: int) -> FloatArray | Float32Array:
    require_length("idf", idf, n_terms)
    return np.asarray(idf)
