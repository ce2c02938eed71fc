"""The fewest labels that any choice could need, if the last layer's model were the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routing.core.arrays import BoolArray, FloatArray

MAX_STEPS = 500
N_DRAWS = 20
# Gap to the certificate, relative to the value, at which a search stops.
TOLERANCE = 1e-3
# Parts of a step that are tried; the first that gains enough is taken.
STEP_PARTS = 0.5 ** np.arange(12)


@dataclass(frozen=True, eq=False)
class Design:
    """A pool and what one label of each of its comparisons says about the weights.

    Attributes
    ----------
    features : ndarray of float64, shape (n, m)
        Feature differences of the pool.
    information : ndarray of float64, shape (n,)
        p (1 - p) of each, under the best model there is.
    moment : ndarray of float64, shape (m, m)
        Mean over held-out comparisons of p (1 - p) x x'.
    precision : float
        Prior precision of each weight.
    held : ndarray of bool, shape (n,)
        Comparisons that every strategy starts from.
    """

    features: FloatArray
    information: FloatArray
    moment: FloatArray
    precision: float
    held: BoolArray

    def covariance(self, share: FloatArray) -> FloatArray:
        """Covariance of the weights when this share of each comparison is labelled."""
        scaled = self.features * (share * self.information)[:, None]
        prior = self.precision * np.eye(self.features.shape[1])
        return np.asarray(np.linalg.inv(prior + scaled.T @ self.features))

    def loss(self, share: FloatArray) -> float:
        """Expected held-out loss that not knowing the weights costs, in nats."""
        return 0.5 * float(np.sum(self.covariance(share) * self.moment))

    def slope(self, share: FloatArray) -> FloatArray:
        """Change of that loss per label of each comparison; 0 or less."""
        spread = self.features @ self.covariance(share)
        reach = np.einsum("ij,ij->i", spread @ self.moment, spread)
        return np.asarray(-0.5 * self.information * reach)


def random_loss(
    design: Design, n_labels: int, rng: np.random.Generator, n_draws: int = 20
) -> float:
    """Mean expected loss of random sets of labels on top of what is held."""
    return float(np.mean([design.loss(_drawn(design, n_labels, rng)) for _ in range(n_draws)]))


def least_loss(design: Design, n_labels: int) -> float:
    """Return what no set of `n_labels` labels can get below.

    Sets are relaxed to shares between 0 and 1, on which the loss is convex; the bound is the
    tangent's least value, so that it holds wherever the search stops (Frank and Wolfe 1956; Jaggi
    2013, section 2).
    """
    free = n_labels - int(design.held.sum())
    share = np.where(design.held, 1.0, free / max(int((~design.held).sum()), 1))
    best = -np.inf
    for _ in range(MAX_STEPS):
        value, slope = design.loss(share), design.slope(share)
        step = _steepest(design, slope, free) - share
        gap = -float(slope @ step)
        best = max(best, value - gap)
        if value - best < TOLERANCE * value:
            break
        gains = (part for part in STEP_PARTS if _pays(design, share, step, part, value, gap))
        share = share + next(gains, STEP_PARTS[-1]) * step
    return best


def least_labels(design: Design, target: float, most: int) -> int:
    """Return the fewest labels, up to `most`, with which some set might have a loss of `target`."""
    low, high = int(design.held.sum()), most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if least_loss(design, middle) <= target else (middle + 1, high)
    return low


def _drawn(design: Design, n_labels: int, rng: np.random.Generator) -> FloatArray:
    share = design.held.astype(np.float64)
    free = n_labels - int(design.held.sum())
    share[rng.choice(np.flatnonzero(~design.held), free, replace=False)] = 1.0
    return share


def _steepest(design: Design, slope: FloatArray, free: int) -> FloatArray:
    """Return the set that the tangent likes best."""
    share = design.held.astype(np.float64)
    share[np.argsort(np.where(design.held, np.inf, slope), kind="stable")[:free]] = 1.0
    return share


def _pays(
    design: Design, share: FloatArray, step: FloatArray, part: float, value: float, gap: float
) -> bool:
    return design.loss(share + part * step) < value - 0.3 * part * gap
