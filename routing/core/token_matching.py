"""Greedy matching of the token states of two texts: BERTScore without its download."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from routing.core.arrays import FloatArray, as_matrix


def greedy_match_f1(first_states: npt.ArrayLike, second_states: npt.ArrayLike) -> float:
    """Return how well the tokens of two texts find each other, the same both ways round.

    Parameters
    ----------
    first_states, second_states : array-like of shape (a, d) and (b, d)
        One contextual state per token.

    Returns
    -------
    float
        Harmonic mean in [0, 1] of the mean best cosine of each text's tokens; negative means
        count as 0. A text without tokens matches nothing: 0, and 1 where neither has any.

    Raises
    ------
    RoutingInputError
        If the widths differ or a state is not finite.

    References
    ----------
    Zhang et al., "BERTScore: evaluating text generation with BERT", ICLR 2020, section 3
    (recall, precision and F1, without importance weights and baseline rescaling).
    """
    first = as_matrix("first_states", first_states)
    second = as_matrix("second_states", second_states, (None, first.shape[1]))
    if not len(first) or not len(second):
        return float(len(first) == len(second))
    cosine = _unit(first) @ _unit(second).T
    recall = max(float(cosine.max(axis=1).mean()), 0.0)
    precision = max(float(cosine.max(axis=0).mean()), 0.0)
    total = recall + precision
    return min(2.0 * recall * precision / total, 1.0) if total > 0 else 0.0


def _unit(states: FloatArray) -> FloatArray:
    norm = np.sqrt(np.einsum("ij,ij->i", states, states))[:, None]
    return np.asarray(states / np.where(norm > 0, norm, 1.0), dtype=np.float64)
