"""Which tags call for humans: how much better mixes do that ask about them, at equal size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from routing.core.arrays import FloatArray, RoutingInputError
from routing.core.ppm import checked_mixes

_N_NUISANCE = 3


@dataclass(frozen=True)
class TagEffects:
    """Hold one effect per tag.

    Attributes
    ----------
    effect, low, high : ndarray of float64, shape (T,)
        Change of performance when humans label every comparison of the tag instead of none,
        while as many are labelled in all; with its interval, in the unit of performance.
    t_value : ndarray of float64, shape (T,)
        Effect over its standard error; 0 for a tag whose share does not vary.
    """

    effect: FloatArray
    low: FloatArray
    high: FloatArray
    t_value: FloatArray


def tag_effects(
    shares: npt.ArrayLike, b: npt.ArrayLike, performance: npt.ArrayLike, *, level: float = 0.95
) -> TagEffects:
    """Measure each tag alone, beside the share of human labels and its square.

    Parameters
    ----------
    shares : array-like of shape (n_mixes, T)
        Share of each tag that humans label, in [0, 1].
    b : array-like of shape (n_mixes,)
        Share of all comparisons that humans label, in [0, 1].
    performance : array-like of shape (n_mixes,)
        Measured performance.
    level : float in (0, 1)
        Probability the intervals hold, for these comparisons and new mixes of them.

    Returns
    -------
    TagEffects
        One effect per tag.

    Raises
    ------
    RoutingInputError
        If shapes disagree, or there are no more than four mixes.

    Notes
    -----
    The coefficients of a PPM are effects with all other tags held fixed. Ridge spreads what a
    tag does over every tag that goes along with it, so that the tag itself may rank behind
    them; measured alone, the tag that defines a region ranks before those that overlap it.

    References
    ----------
    Frisch and Waugh, "Partial time regressions as compared with individual trends",
    Econometrica 1, 1933.
    """
    share, human, target = checked_mixes(shares, b, performance)
    freedom = len(target) - _N_NUISANCE - 1
    if freedom < 1:
        raise RoutingInputError(f"{len(target)} mixes are too few; pass at least five.")
    nuisance, _ = np.linalg.qr(np.column_stack([np.ones_like(human), human, human**2]))
    x = share - nuisance @ (nuisance.T @ share)
    y = target - nuisance @ (nuisance.T @ target)
    size = np.einsum("ij,ij->j", x, x)
    varies = size > 1e-9 * len(target)
    safe = np.where(varies, size, 1.0)
    effect = np.where(varies, x.T @ y / safe, 0.0)
    left_over = np.maximum(y @ y - effect**2 * size, 0.0)
    error = np.sqrt(left_over / freedom / safe)
    half = float(student.ppf(0.5 + level / 2.0, freedom)) * error
    half = np.where(varies, half, np.inf)
    t_value = np.divide(effect, error, out=np.zeros_like(effect), where=varies & (error > 0))
    return TagEffects(effect, effect - half, effect + half, t_value)
