"""Text statistics of comparisons and the frozen cut points that turn them into tags."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from routing.core.arrays import (
    BoolArray,
    FloatArray,
    RoutingInputError,
    as_matrix,
    require_same_length,
)
from routing.core.text_similarity import (
    bag_cosine,
    edit_similarity,
    entities,
    jaccard,
    rouge_l,
    tokenise,
)

STATISTIC_NAMES: Final = (
    "rouge_l",
    "edit_similarity",
    "entity_overlap",
    "cosine",
    "length_weighted_similarity",
    "prompt_length",
    "len_shorter",
    "len_longer",
    "len_difference",
)
MAX_TOKENS: Final = 400
_FORMAT: Final = 1
_BIN_WORDS: Final = {2: ("low", "high"), 3: ("low", "middle", "high")}


@dataclass(frozen=True)
class TextStatistics:
    """Hold text statistics, float64 of shape (n, 9), and the name of each column."""

    values: FloatArray
    names: tuple[str, ...]


def text_statistics(
    prompts: Sequence[str],
    first_texts: Sequence[str],
    second_texts: Sequence[str],
    *,
    first_embeddings: npt.ArrayLike | None = None,
    second_embeddings: npt.ArrayLike | None = None,
) -> TextStatistics:
    """Compute nine statistics of each comparison, all unchanged when A and B swap places.

    Parameters
    ----------
    prompts, first_texts, second_texts : sequence of str, length n
        Prompt and the two responses of each comparison.
    first_embeddings, second_embeddings : array-like of shape (n, d), optional
        Embeddings of the responses for `cosine`; a bag-of-words cosine stands in without them.

    Returns
    -------
    TextStatistics
        Similarities in [0, 1] (`cosine` in [-1, 1]); lengths in tokens.

    Raises
    ------
    RoutingInputError
        If lengths differ or only one of the two embedding matrices is given.

    Notes
    -----
    `rouge_l` and `edit_similarity` read the first 400 tokens of each response, which bounds
    their quadratic cost; every other statistic reads the whole text.

    References
    ----------
    Miranda et al., "Hybrid Preferences: Learning to Route Instances for Human vs. AI
    Feedback", ACL 2025, appendix F (the statistics; definitions here are symmetric).
    """
    n = require_same_length(
        ("prompts", "first_texts", "second_texts"), prompts, first_texts, second_texts
    )
    values = np.empty((n, len(STATISTIC_NAMES)), dtype=np.float64)
    cosine = _embedding_cosine(first_embeddings, second_embeddings, n)
    for row, texts in enumerate(zip(prompts, first_texts, second_texts, strict=True)):
        values[row] = _one_comparison(*texts, None if cosine is None else float(cosine[row]))
    return TextStatistics(values, STATISTIC_NAMES)


def _one_comparison(
    prompt: str, first: str, second: str, cosine: float | None
) -> tuple[float, ...]:
    a, b = tokenise(first), tokenise(second)
    head_a, head_b = a[:MAX_TOKENS], b[:MAX_TOKENS]
    shorter, longer = sorted((len(a), len(b)))
    similarity = bag_cosine(Counter(a), Counter(b)) if cosine is None else cosine
    penalty = math.exp(1.0 - longer / shorter) if shorter else 0.0
    return (
        rouge_l(head_a, head_b),
        edit_similarity(head_a, head_b),
        jaccard(entities(first), entities(second)),
        similarity,
        similarity * penalty,
        float(len(tokenise(prompt))),
        float(shorter),
        float(longer),
        float(longer - shorter),
    )


def _embedding_cosine(
    first: npt.ArrayLike | None, second: npt.ArrayLike | None, n: int
) -> FloatArray | None:
    if first is None and second is None:
        return None
    if first is None or second is None:
        raise RoutingInputError("Pass both first_embeddings and second_embeddings, or neither.")
    a = as_matrix("first_embeddings", first, (n, None))
    b = as_matrix("second_embeddings", second, (n, a.shape[1]))
    norm = np.sqrt(np.einsum("ij,ij->i", a, a)) * np.sqrt(np.einsum("ij,ij->i", b, b))
    dot = np.einsum("ij,ij->i", a, b)
    cosine = np.divide(dot, norm, out=np.zeros(n), where=norm > 0)
    return np.asarray(np.clip(cosine, -1.0, 1.0))


class FrozenBins:
    """Cut points learnt once on seed comparisons and used unchanged at fit and serve time.

    A bin holds its lower end and not its upper one; the first and the last bin are open
    outwards, so a value outside the range seen in `fit` is clamped into them. The reference
    implementation re-ranked lengths inside each human subset, which erases their signal.

    Attributes
    ----------
    names_ : tuple of str
        Statistic per column.
    cut_points_ : ndarray of float64, shape (m, n_bins - 1)
        Inner cut points per statistic, non-decreasing.
    tag_names : tuple of str
        Name of every column of `transform`, such as ``rouge_l=low``.
    version : str
        Hash of names and cut points, to be stored with every decision made from them.
    """

    names_: tuple[str, ...]
    cut_points_: FloatArray

    def fit(
        self,
        values: npt.ArrayLike,
        names: Sequence[str],
        *,
        quantiles: Sequence[float] = (1 / 3, 2 / 3),
    ) -> FrozenBins:
        """Learn cut points at quantiles of each statistic.

        Parameters
        ----------
        values : array-like of shape (n, m)
            Statistics of the seed comparisons.
        names : sequence of str, length m
            Name of each statistic.
        quantiles : sequence of float, increasing in (0, 1)
            Where to cut.

        Returns
        -------
        FrozenBins
            Itself.

        Raises
        ------
        RoutingInputError
            If shapes disagree, values are not finite or quantiles are not increasing.

        Notes
        -----
        Where a quantile equals the minimum (half the values are 0, say), the cut moves to the
        next larger value, so that the lowest bin is not empty.
        """
        matrix = as_matrix("values", values, (None, len(names)))
        levels = np.asarray(quantiles, dtype=np.float64)
        inside = ((levels > 0) & (levels < 1)).all() and (np.diff(levels) > 0).all()
        if not len(levels) or not inside:
            raise RoutingInputError(f"quantiles {quantiles} must increase inside (0, 1).")
        if not len(matrix):
            raise RoutingInputError("values has no rows; pass at least one seed comparison.")
        self.names_ = tuple(names)
        self.cut_points_ = np.stack([_cut_points(column, levels) for column in matrix.T])
        return self

    def transform(self, values: npt.ArrayLike) -> BoolArray:
        """Return the tag of each statistic of each comparison.

        Parameters
        ----------
        values : array-like of shape (n, m)
            Statistics in the column order of `fit`.

        Returns
        -------
        ndarray of bool, shape (n, n_bins * m)
            Exactly one true entry per comparison and statistic.

        Raises
        ------
        RoutingInputError
            If the number of columns differs from `fit` or a value is not finite.
        """
        matrix = as_matrix("values", values, (None, len(self.names_)))
        n_bins = self.cut_points_.shape[1] + 1
        codes = (matrix[:, :, None] >= self.cut_points_[None]).sum(axis=2)
        tags = codes[:, :, None] == np.arange(n_bins)
        return np.asarray(tags.reshape(len(matrix), -1), dtype=np.bool_)

    @property
    def tag_names(self) -> tuple[str, ...]:
        """Name of every column of `transform`.

        Returns
        -------
        tuple of str
            Names such as ``rouge_l=low``.
        """
        n_bins = self.cut_points_.shape[1] + 1
        words = _BIN_WORDS.get(n_bins, tuple(f"bin_{k}" for k in range(n_bins)))
        return tuple(f"{name}={word}" for name in self.names_ for word in words)

    @property
    def version(self) -> str:
        """Hash of names and cut points.

        Returns
        -------
        str
            Sixteen hexadecimal digits.
        """
        text = json.dumps([self.names_, self.cut_points_.tolist()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready copy of the fitted state.

        Returns
        -------
        dict
            Keys ``format``, ``version``, ``names`` and ``cut_points``.
        """
        return {
            "format": _FORMAT,
            "version": self.version,
            "names": list(self.names_),
            "cut_points": self.cut_points_.tolist(),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> FrozenBins:
        """Rebuild fitted bins from `to_dict`.

        Parameters
        ----------
        state : mapping
            What `to_dict` returned, possibly after a round trip through JSON.

        Returns
        -------
        FrozenBins
            Bins with the same cut points, bit for bit.

        Raises
        ------
        RoutingInputError
            If the format is unknown or the stored hash does not match.
        """
        if state.get("format") != _FORMAT:
            raise RoutingInputError(
                f"Bins have format {state.get('format')!r}; this version reads {_FORMAT}."
            )
        bins = cls()
        bins.names_ = tuple(state["names"])
        cuts = as_matrix("cut_points", state["cut_points"], (len(bins.names_), None))
        bins.cut_points_ = cuts
        if bins.version != state["version"]:
            raise RoutingInputError("Bins were changed after they were stored; fit them again.")
        return bins


def _cut_points(column: FloatArray, levels: FloatArray) -> FloatArray:
    cuts = np.quantile(column, levels)
    above = column[column > column.min()]
    return np.where(cuts <= column.min(), above.min(), cuts) if len(above) else cuts
