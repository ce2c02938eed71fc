"""Arrays that pass between selectors and the numeric core, checked once where they enter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Json = Any
"""What `json.dumps` accepts; artifacts keep it beside their arrays."""

Arrays = dict[str, NDArray[Any]]
Meta = dict[str, Json]
Progress = Callable[[float, dict[str, Json]], None]
"""Called with the fraction done in [0, 1] and a small dict; raises to cancel the work."""


class InvalidInputError(ValueError):
    """An array or option that the core cannot work with; the message says what was passed."""


class ConvergenceError(InvalidInputError):
    """An iterative fit that did not reach its tolerance; the message says how to go on."""


@dataclass(frozen=True, eq=False)
class PairwiseData:
    """Labelled response pairs over one shared feature matrix.

    Pairs are kept in canonical order with a target, never as chosen and rejected, so that a model
    cannot learn anything from the order.

    Attributes
    ----------
    features : ndarray of float32, shape (n_responses, d)
        One row per response.
    first, second : ndarray of int64, shape (n,)
        Rows of `features` that each pair compares.
    target : ndarray of float64, shape (n,)
        P(first preferred), in [0, 1]; a tie is 0.5.
    weight : ndarray of float64, shape (n,)
        Non-negative weight of each pair.
    prompt : ndarray of int64, shape (n,)
        Group code of the pair's prompt; splits and bootstraps go by it.

    Raises
    ------
    InvalidInputError
        If shapes disagree, an index is outside the matrix, a value is not finite, a target is
        outside [0, 1] or a weight is negative.
    """

    features: Float32Array
    first: IntArray
    second: IntArray
    target: FloatArray
    weight: FloatArray
    prompt: IntArray

    def __post_init__(self) -> None:
        """Convert to the documented types and refuse what does not fit."""
        set_field = object.__setattr__
        set_field(self, "features", as_matrix("features", self.features))
        set_field(self, "first", as_integers("first", self.first))
        set_field(self, "second", as_integers("second", self.second))
        set_field(self, "target", as_probabilities("target", self.target))
        set_field(self, "weight", as_weights("weight", self.weight))
        set_field(self, "prompt", as_integers("prompt", self.prompt))
        lengths = {"second": self.second, "target": self.target}
        lengths |= {"weight": self.weight, "prompt": self.prompt}
        for name, array in lengths.items():
            require_length(name, array, self.first.size)
        require_indices("first", self.first, len(self.features))
        require_indices("second", self.second, len(self.features))

    @cached_property
    def differences(self) -> Float32Array:
        """Feature differences, first minus second.

        Returns
        -------
        ndarray of float32, shape (n, d)
            Computed once.
        """
        return self.features[self.first] - self.features[self.second]

    @property
    def n_pairs(self) -> int:
        """Count the labelled pairs.

        Returns
        -------
        int
            n.
        """
        return int(self.first.size)

    @property
    def n_prompts(self) -> int:
        """Count the distinct prompts.

        Returns
        -------
        int
            Number of groups that splits and bootstraps can deal out.
        """
        return int(np.unique(self.prompt).size)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> PairwiseData:
        """Keep the pairs at `index`, over the same feature matrix.

        Parameters
        ----------
        index : ndarray of int64 or bool
            Positions, or a mask over the pairs.

        Returns
        -------
        PairwiseData
            The chosen pairs.
        """
        return PairwiseData(
            features=self.features,
            first=self.first[index],
            second=self.second[index],
            target=self.target[index],
            weight=self.weight[index],
            prompt=self.prompt[index],
        )

    def swapped(self) -> PairwiseData:
        """Exchange first and second everywhere.

        Returns
        -------
        PairwiseData
            The same preferences written the other way round.
        """
        return PairwiseData(
            features=self.features,
            first=self.second,
            second=self.first,
            target=1.0 - self.target,
            weight=self.weight,
            prompt=self.prompt,
        )


def as_matrix(name: str, value: Any) -> Float32Array:
    """Read a finite float32 matrix.

    Parameters
    ----------
    name : str
        Name used in the message.
    value : array-like, shape (n, d)
        What was passed.

    Returns
    -------
    ndarray of float32, shape (n, d)
        The same numbers.

    Raises
    ------
    InvalidInputError
        If it is not two-dimensional or holds a value that is not finite.
    """
    array = np.ascontiguousarray(value, dtype=np.float32)
    if array.ndim != 2:
        raise InvalidInputError(f"{name} must be a matrix (n, d); got shape {array.shape}.")
    _require_finite(name, array)
    return array


def as_vector(name: str, value: Any) -> FloatArray:
    """Read a finite float64 vector.

    Parameters
    ----------
    name : str
        Name used in the message.
    value : array-like, shape (n,)
        What was passed.

    Returns
    -------
    ndarray of float64, shape (n,)
        The same numbers.

    Raises
    ------
    InvalidInputError
        If it is not one-dimensional or holds a value that is not finite.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 1:
        raise InvalidInputError(f"{name} must be one-dimensional; got shape {array.shape}.")
    _require_finite(name, array)
    return array


def as_probabilities(name: str, value: Any) -> FloatArray:
    """Read a vector of numbers in [0, 1].

    Parameters
    ----------
    name : str
        Name used in the message.
    value : array-like, shape (n,)
        What was passed.

    Returns
    -------
    ndarray of float64, shape (n,)
        The same numbers.

    Raises
    ------
    InvalidInputError
        If a value lies outside [0, 1].
    """
    array = as_vector(name, value)
    _require_rows(name, array, (array < 0) | (array > 1), "must lie in [0, 1]")
    return array


def as_weights(name: str, value: Any) -> FloatArray:
    """Read a vector of non-negative numbers.

    Parameters
    ----------
    name : str
        Name used in the message.
    value : array-like, shape (n,)
        What was passed.

    Returns
    -------
    ndarray of float64, shape (n,)
        The same numbers.

    Raises
    ------
    InvalidInputError
        If a value is negative.
    """
    array = as_vector(name, value)
    _require_rows(name, array, array < 0, "must not be negative")
    return array


def as_integers(name: str, value: Any) -> IntArray:
    """Read a vector of whole numbers as int64.

    Parameters
    ----------
    name : str
        Name used in the message.
    value : array-like of int or bool, shape (n,)
        What was passed.

    Returns
    -------
    ndarray of int64, shape (n,)
        The same numbers.

    Raises
    ------
    InvalidInputError
        If it is not one-dimensional or its type is not an integer type.
    """
    array = np.asarray(value)
    if array.ndim != 1:
        raise InvalidInputError(f"{name} must be one-dimensional; got shape {array.shape}.")
    if array.size and array.dtype.kind not in "iub":
        raise InvalidInputError(f"{name} must hold integers; got {array.dtype}.")
    return array.astype(np.int64)


def require_length(name: str, array: NDArray[Any], n_rows: int) -> None:
    """Refuse an array whose first axis is not `n_rows` long.

    Parameters
    ----------
    name : str
        Name used in the message.
    array : ndarray
        What was passed.
    n_rows : int
        Length that the other arrays have.

    Raises
    ------
    InvalidInputError
        If the lengths differ.
    """
    if len(array) != n_rows:
        raise InvalidInputError(f"{name} has {len(array)} rows; the others have {n_rows}.")


def require_indices(name: str, array: IntArray, n_rows: int) -> None:
    """Refuse indices outside 0..n_rows-1.

    Parameters
    ----------
    name : str
        Name used in the message.
    array : ndarray of int64, shape (n,)
        Row numbers.
    n_rows : int
        Number of rows that they point into.

    Raises
    ------
    InvalidInputError
        If an index lies outside.
    """
    _require_rows(name, array, (array < 0) | (array >= n_rows), f"must lie in 0..{n_rows - 1}")


def require_keys(kind: str, mapping: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Refuse stored state that lacks a part.

    Parameters
    ----------
    kind : str
        What is being read, for the message.
    mapping : Mapping
        Arrays or JSON read from an artifact.
    keys : tuple of str
        Parts that must be there.

    Raises
    ------
    InvalidInputError
        If a part is missing.
    """
    missing = [key for key in keys if key not in mapping]
    if missing:
        raise InvalidInputError(f"{kind} lacks {', '.join(missing)}; has {sorted(mapping)}.")


def _require_finite(name: str, array: NDArray[Any]) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1))[0])
        raise InvalidInputError(f"{name} must be finite; row {row} holds NaN or infinity.")


def _require_rows(name: str, array: NDArray[Any], bad: BoolArray, rule: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InvalidInputError(f"{name} {rule}; row {row} is {array[row]}.")
