"""Array aliases, small result types and the input checks shared by the routing core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
HashArray = npt.NDArray[np.uint64]


class RoutingInputError(ValueError):
    """Say which argument of a routing function was refused, and what to pass instead."""


@dataclass(frozen=True)
class Interval:
    """Hold one estimate and the two ends of its interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """Hold estimates and the ends of their intervals, three float64 arrays of one shape."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray


def as_vector(name: str, values: npt.ArrayLike, length: int | None = None) -> FloatArray:
    """Return `values` as a finite float64 vector.

    Parameters
    ----------
    name : str
        Argument name used in the message of an error.
    values : array-like of shape (length,)
        Numbers to check.
    length : int, optional
        Required length; any length when None.

    Returns
    -------
    ndarray of float64, shape (length,)
        The checked vector.

    Raises
    ------
    RoutingInputError
        If the shape is wrong or an entry is not finite.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or (length is not None and len(vector) != length):
        wanted = "(n,)" if length is None else f"({length},)"
        raise RoutingInputError(f"{name} has shape {vector.shape}; pass shape {wanted}.")
    bad = np.flatnonzero(~np.isfinite(vector))
    if len(bad):
        raise RoutingInputError(
            f"{name}[{bad[0]}] is {vector[bad[0]]}; pass finite numbers ({len(bad)} are not)."
        )
    return vector


def as_matrix(
    name: str, values: npt.ArrayLike, shape: tuple[int | None, int | None] = (None, None)
) -> FloatArray:
    """Return `values` as a finite float64 matrix.

    Parameters
    ----------
    name : str
        Argument name used in the message of an error.
    values : array-like of shape (rows, columns)
        Numbers to check.
    shape : tuple of (int or None, int or None)
        Required rows and columns; None leaves one free.

    Returns
    -------
    ndarray of float64, shape (rows, columns)
        The checked matrix.

    Raises
    ------
    RoutingInputError
        If the shape is wrong or an entry is not finite.
    """
    matrix = np.asarray(values, dtype=np.float64)
    fits = matrix.ndim == 2 and all(
        want is None or want == got for want, got in zip(shape, matrix.shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if side is None else side for side in shape)
        raise RoutingInputError(f"{name} has shape {matrix.shape}; pass shape {wanted}.")
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, column = bad[0]
        raise RoutingInputError(
            f"{name}[{row}, {column}] is {matrix[row, column]}; pass finite numbers "
            f"({len(bad)} are not)."
        )
    return matrix


def as_mask(name: str, values: npt.ArrayLike, n_columns: int | None = None) -> BoolArray:
    """Return `values` as a boolean matrix.

    Parameters
    ----------
    name : str
        Argument name used in the message of an error.
    values : array-like of shape (rows, n_columns)
        Booleans, or numbers that are all 0 or 1.
    n_columns : int, optional
        Required number of columns; any number when None.

    Returns
    -------
    ndarray of bool, shape (rows, n_columns)
        The checked matrix.

    Raises
    ------
    RoutingInputError
        If the shape is wrong or an entry is neither 0 nor 1.
    """
    matrix = np.asarray(values)
    if matrix.ndim != 2 or (n_columns is not None and matrix.shape[1] != n_columns):
        wanted = "(rows, columns)" if n_columns is None else f"(rows, {n_columns})"
        raise RoutingInputError(f"{name} has shape {matrix.shape}; pass shape {wanted}.")
    if matrix.dtype != np.bool_ and not np.isin(matrix, (0, 1)).all():
        raise RoutingInputError(f"{name} holds values other than 0 and 1; pass booleans.")
    return matrix.astype(np.bool_, copy=False)


def require_same_length(
    names: Sequence[str], *arrays: Sequence[object] | npt.NDArray[np.generic]
) -> int:
    """Return the common length of `arrays`.

    Parameters
    ----------
    names : sequence of str
        Argument names used in the message of an error, one per array.
    *arrays : sized
        Arguments that must have one length.

    Returns
    -------
    int
        The common length.

    Raises
    ------
    RoutingInputError
        If two lengths differ.
    """
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) != 1:
        told = ", ".join(f"{n} has {k}" for n, k in zip(names, lengths, strict=True))
        raise RoutingInputError(f"Lengths differ: {told}; pass one entry per comparison.")
    return lengths[0]
