"""Frozen response features that need no download: TF-IDF with SVD, and readable counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from modeling.core.types import (
    Arrays,
    Float32Array,
    FloatArray,
    InvalidInputError,
    Meta,
    as_matrix,
    require_keys,
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

REFUSAL = re.compile(
    r"\b(?:i(?:['\u2019]?m| am) sorry|i (?:cannot|can not|can['\u2019]?t|won['\u2019]?t)"
    r"|i(?:['\u2019]?m| am) (?:not able|unable)|as an ai|as a language model"
    r"|i must decline|not appropriate)\b",
    re.IGNORECASE,
)
HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|might|could be|it depends|i think|i believe|not sure)\b",
    re.IGNORECASE,
)
LIST_LINE = re.compile(r"^\s*(?:[-*+\u2022]|\d+[.)])\s+\S")
MARKDOWN = re.compile(r"\*\*|__|^#{1,6} |\||\[[^\]]+\]\(", re.MULTILINE)
CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]+(?:\s|$)")
# One CJK character carries about as much as a word of an alphabetic script.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+", re.UNICODE)

FEATURE_NAMES = (
    "log_characters",
    "log_words",
    "mean_word_length",
    "mean_sentence_words",
    "list_line_share",
    "markdown_marks_per_line",
    "code_share",
    "digit_share",
    "uppercase_share",
    "question_marks",
    "exclamation_marks",
    "type_token_ratio",
    "repeated_line_share",
    "prompt_overlap",
    "prompt_coverage",
    "refusal_phrases",
    "hedges",
    "is_empty",
)


class TfidfSvdEncoder:
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

    @classmethod
    def from_arrays(cls, arrays: Arrays, meta: Meta) -> Self:
        """Put a fitted encoder together again.

        Parameters
        ----------
        arrays : dict of str to ndarray
            First part of `to_arrays`.
        meta : dict
            Second part of `to_arrays`.

        Returns
        -------
        TfidfSvdEncoder
            Encodes every text to the same numbers as the one taken apart.

        Raises
        ------
        InvalidInputError
            If a part is missing.
        """
        require_keys("encoder arrays", arrays, ("components", "word_idf", "character_idf"))
        options = ("n_components", "max_features", "seed")
        require_keys("encoder meta", meta, (*options, "words", "characters"))
        encoder = cls(*(int(meta[name]) for name in options))
        encoder.components_ = as_matrix("components", arrays["components"])
        encoder._words = _restored("word", meta["words"], arrays["word_idf"])
        encoder._characters = _restored("char_wb", meta["characters"], arrays["character_idf"])
        return encoder


class FeatureScaler:
    """Centre every column and give it unit standard deviation; constant columns become 0.

    Attributes
    ----------
    mean_ : ndarray of float32, shape (d,)
        Column means.
    scale_ : ndarray of float32, shape (d,)
        Factor of each column: 1 / standard deviation, 0 for constant columns.
    """

    def fit(self, features: Any) -> Self:
        """Learn mean and spread.

        Parameters
        ----------
        features : array-like of float32, shape (n, d)
            Rows to learn from.

        Returns
        -------
        FeatureScaler
            Itself.

        Raises
        ------
        InvalidInputError
            If there is no row.
        """
        matrix = as_matrix("features", features)
        if len(matrix) == 0:
            raise InvalidInputError("features has no rows; the scaler needs at least one.")
        mean = matrix.mean(axis=0, dtype=np.float64)
        spread = matrix.std(axis=0, dtype=np.float64)
        # Rounding leaves a constant column of large numbers with a spread of about 1e-7 of them.
        varies = spread > 1e-6 * np.maximum(np.abs(mean), 1e-6)
        inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
        self.mean_: Float32Array = mean.astype(np.float32)
        self.scale_: Float32Array = inverse.astype(np.float32)
        return self

    def transform(self, features: Any) -> Float32Array:
        """Scale rows.

        Parameters
        ----------
        features : array-like of float32, shape (n, d)
            Rows to scale.

        Returns
        -------
        ndarray of float32, shape (n, d)
            Scaled rows.

        Raises
        ------
        InvalidInputError
            If the number of columns differs from the fitted one.
        """
        matrix = as_matrix("features", features)
        if matrix.shape[1] != self.mean_.size:
            raise InvalidInputError(
                f"features has {matrix.shape[1]} columns; the scaler knows {self.mean_.size}."
            )
        scaled: Float32Array = (matrix - self.mean_) * self.scale_
        return scaled

    def to_arrays(self) -> tuple[Arrays, Meta]:
        """Take the fitted state apart.

        Returns
        -------
        arrays : dict of str to ndarray
            Mean and scale.
        meta : dict
            Kind and version.
        """
        return {"mean": self.mean_, "scale": self.scale_}, {"kind": "feature_scaler-v1"}

    @classmethod
    def from_arrays(cls, arrays: Arrays, meta: Meta) -> Self:
        """Put a fitted scaler together again.

        Parameters
        ----------
        arrays : dict of str to ndarray
            First part of `to_arrays`.
        meta : dict
            Second part of `to_arrays`.

        Returns
        -------
        FeatureScaler
            The same scaler.

        Raises
        ------
        InvalidInputError
            If a part is missing.
        """
        require_keys("scaler meta", meta, ("kind",))
        require_keys("scaler arrays", arrays, ("mean", "scale"))
        scaler = cls()
        scaler.mean_ = np.asarray(arrays["mean"], dtype=np.float32)
        scaler.scale_ = np.asarray(arrays["scale"], dtype=np.float32)
        return scaler


def interpretable_features(
    prompts: Sequence[str], responses: Sequence[str]
) -> tuple[Float32Array, tuple[str, ...]]:
    """Count what a reader can see: length, lists, code, overlap with the prompt, refusals.

    These columns also carry the known biases (length, formatting, refusal), so that a reward model
    on them can show a label source's bias.

    Parameters
    ----------
    prompts : sequence of str
        Prompt of each response.
    responses : sequence of str
        Response texts.

    Returns
    -------
    features : ndarray of float32, shape (n, m)
        One row per response, unscaled; all finite, empty texts included.
    names : tuple of str, length m
        Column names.

    Raises
    ------
    InvalidInputError
        If the two sequences differ in length.
    """
    require_length("responses", np.empty(len(responses)), len(prompts))
    rows = [_row(prompt, text) for prompt, text in zip(prompts, responses, strict=True)]
    matrix = np.array(rows, dtype=np.float32).reshape(len(rows), len(FEATURE_NAMES))
    return matrix, FEATURE_NAMES


def _row(prompt: str, text: str) -> tuple[float, ...]:
    words = [word.lower() for word in WORD.findall(text)]
    return (
        float(np.log1p(len(text))),
        float(np.log1p(len(words))),
        _share(sum(map(len, words)), len(words)),
        _share(len(words), len(SENTENCE_END.findall(text)) or 1),
        *_layout(text),
        *_characters(text),
        _share(len(set(words)), len(words)),
        _repeated_lines(text),
        *_overlap(prompt, words),
        float(len(REFUSAL.findall(text))),
        float(len(HEDGE.findall(text))),
        float(not text.strip()),
    )


def _layout(text: str) -> tuple[float, float, float]:
    lines = [line for line in text.splitlines() if line.strip()]
    listed = sum(bool(LIST_LINE.match(line)) for line in lines)
    code = sum(len(block) for block in CODE_BLOCK.findall(text))
    marks = len(MARKDOWN.findall(text))
    return _share(listed, len(lines)), _share(marks, len(lines)), _share(code, len(text))


def _characters(text: str) -> tuple[float, float, float, float]:
    letters = sum(character.isalpha() for character in text)
    upper = sum(character.isupper() for character in text)
    digits = sum(character.isdigit() for character in text)
    marks = float(np.log1p(text.count("?"))), float(np.log1p(text.count("!")))
    return _share(digits, len(text)), _share(upper, letters), *marks


def _repeated_lines(text: str) -> float:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return 1.0 - _share(len(set(lines)), len(lines)) if lines else 0.0


def _overlap(prompt: str, words: list[str]) -> tuple[float, float]:
    asked, said = {word.lower() for word in WORD.findall(prompt)}, set(words)
    shared = len(asked & said)
    return _share(shared, len(said)), _share(shared, len(asked))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


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


def _restored(analyzer: str, terms: Sequence[str], idf: NDArray[Any]) -> Any:
    vectorizer = _vectorizer(analyzer, vocabulary=list(terms))
    vectorizer.idf_ = _checked_idf(idf, len(terms))
    return vectorizer


def _checked_idf(idf: NDArray[Any], n_terms: int) -> FloatArray | Float32Array:
    require_length("idf", idf, n_terms)
    return np.asarray(idf)
