"""Nearest-neighbour estimators of differential entropy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.special import digamma, gammaln

from routing.core.arrays import FloatArray, RoutingInputError, as_matrix


def log_unit_ball_volume(dimension: int) -> float:
    """Return the log volume of the ball of radius 1.

    Parameters
    ----------
    dimension : int
        Dimension d, 1 or more.

    Returns
    -------
    float
        ln(pi^(d/2) / Gamma(d/2 + 1)).
    """
    return 0.5 * dimension * float(np.log(np.pi)) - float(gammaln(dimension / 2.0 + 1.0))


def kozachenko_leonenko(points: npt.ArrayLike, *, n_neighbours: int = 3) -> float:
    """Estimate the entropy of the density that points were drawn from.

    Parameters
    ----------
    points : array-like of shape (N, d)
        Points, all different.
    n_neighbours : int, default 3
        Neighbour whose distance is used, itself not counted; less than N.

    Returns
    -------
    float
        Differential entropy in nats.

    Raises
    ------
    RoutingInputError
        If there are too few points, or copies of a point leave a distance of 0.

    Notes
    -----
    Uses radii with the volume of the unit-radius ball. Twice the radius with that volume, as
    eq. 4 of Melo et al. is printed, is d ln 2 too high.

    References
    ----------
    Kozachenko and Leonenko, Problems of Information Transmission 23, 1987; form of Kraskov
    et al., Physical Review E 69, 2004, eq. 20.
    """
    matrix = as_matrix("points", points)
    n, d = matrix.shape
    radii = _radii(matrix, matrix, n_neighbours)
    return _mean_log(radii, d) + float(digamma(n) - digamma(n_neighbours))


def ksg_marginal(
    points: npt.ArrayLike, reference: npt.ArrayLike, *, n_neighbours: int = 13
) -> float:
    """Estimate the entropy of few points with the local scale taken from many.

    Parameters
    ----------
    points : array-like of shape (N, d)
        Points whose entropy is wanted, such as labelled prompts.
    reference : array-like of shape (M, d)
        All points, those of `points` included, such as all prompts.
    n_neighbours : int, default 13
        Neighbour among the reference whose distance is used, itself not counted.

    Returns
    -------
    float
        Differential entropy in nats.

    Raises
    ------
    RoutingInputError
        If dimensions differ, there are too few points or distances of 0.

    References
    ----------
    Kraskov et al., Physical Review E 69, 2004, eq. 22; Melo et al., NeurIPS 2024, eq. 10.
    """
    matrix = as_matrix("points", points)
    n, d = matrix.shape
    radii = _radii(matrix, as_matrix("reference", reference, (None, d)), n_neighbours)
    # Strictly inside: the neighbour that sets the radius does not count, or points equal to
    # the reference would disagree with `kozachenko_leonenko`.
    inner = np.nextafter(radii, 0.0)
    inside = cKDTree(matrix).query_ball_point(matrix, inner, return_length=True) - 1
    return _mean_log(radii, d) + float(digamma(n) - digamma(inside + 1.0).mean())


def _radii(points: FloatArray, reference: FloatArray, n_neighbours: int) -> FloatArray:
    if not 1 <= n_neighbours < len(reference):
        raise RoutingInputError(
            f"n_neighbours is {n_neighbours} of {len(reference)} points; pass 1 to "
            f"{len(reference) - 1}."
        )
    distance = cKDTree(reference).query(points, k=[n_neighbours + 1])[0][:, 0]
    if (distance == 0).any():
        raise RoutingInputError("Copies of a point leave a radius of 0; remove duplicates.")
    return np.asarray(distance, dtype=np.float64)


def _mean_log(radii: FloatArray, dimension: int) -> float:
    return dimension * float(np.log(radii).mean()) + log_unit_ball_volume(dimension)
