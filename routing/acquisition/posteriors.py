"""What labels say about the last layer, in the three shapes that strategies can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import cho_solve
from scipy.special import expit

from annotate.errors import ApplicationError
from modeling.core.anchored import AnchoredFit, anchored_posterior, chosen_logit_scale
from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.core.ensemble import RewardEnsemble
from modeling.core.mlp import MlpEnsemble
from modeling.core.types import PairwiseData
from routing.acquisition.features import Sides
from routing.choices import LAPLACE_POSTERIOR, MLP_POSTERIOR, POSTERIORS
from routing.core.acquisition.gaussian import GaussianPosterior
from routing.core.arrays import FloatArray, IntArray

N_BOOTSTRAP = 8
N_MLP = 5


@dataclass(frozen=True, eq=False)
class Labelled:
    """Comparisons that somebody labelled: features, soft labels, weights and prompts."""

    sides: Sides
    target: FloatArray
    weight: FloatArray
    prompt: IntArray

    def take(self, rows: IntArray) -> Labelled:
        """The same for some of the comparisons."""
        parts = (self.target[rows], self.weight[rows], self.prompt[rows])
        return Labelled(self.sides.take(rows), *parts)


@dataclass(frozen=True, eq=False)
class Belief:
    """A posterior: normal over the last layer, or the members of an ensemble."""

    gaussian: GaussianPosterior | None
    rewards: Callable[[FloatArray], FloatArray] | None
    logit_scale: float | None = None

    def predict_proba(self, sides: Sides) -> FloatArray:
        """P(first preferred) of each comparison, averaged over what is not known."""
        if self.gaussian is not None:
            return self.gaussian.predict_proba(sides.differences)
        return np.asarray(expit(self.members(sides)).mean(axis=0))

    def members(self, sides: Sides) -> FloatArray:
        """Logit of each comparison by each member of an ensemble."""
        assert self.rewards is not None
        return self.rewards(sides.first) - self.rewards(sides.second)

    def columns(self, candidates: Sides, labelled: Sides, targets: Sides) -> dict[str, Any]:
        """What ``AcquisitionInputs`` holds of the posterior."""
        if self.gaussian is not None:
            return {"posterior": self.gaussian}
        return {
            "logits": self.members(candidates),
            "labelled_logits": self.members(labelled),
            "target_logits": self.members(targets),
        }


def belief_of(
    labelled: Labelled,
    *,
    kind: str = LAPLACE_POSTERIOR,
    typical_square: float,
    rng: np.random.Generator,
    logit_scale: float | None = None,
) -> Belief:
    """Fit a posterior of the named kind, under the prior of ``logit_scale`` or a chosen one."""
    if kind not in POSTERIORS:
        raise ApplicationError(
            f"Unknown posterior {kind!r}; use one of {', '.join(POSTERIORS)}.", field="posterior"
        )
    if kind == MLP_POSTERIOR:
        # Members that see all labels and differ by their seed, as published.
        return _of_ensemble(MlpEnsemble(n_heads=N_MLP, bootstrap=False), labelled, rng)
    x, rest = labelled.sides.differences, (labelled.target, labelled.weight, labelled.prompt)
    if kind == LAPLACE_POSTERIOR:
        fitted = anchored_posterior(
            x, *rest, typical_square=typical_square, logit_scale=logit_scale
        )
        return Belief(gaussian_of(fitted), None, fitted.logit_scale)
    # The prior decides here too: by evidence or folds of few labels, members are far too sure.
    scale = logit_scale or chosen_logit_scale(x, *rest, typical_square=typical_square)
    members = BradleyTerryEnsemble(N_BOOTSTRAP, prior_precision=typical_square / scale**2)
    return replace(_of_ensemble(members, labelled, rng), logit_scale=scale)


def _of_ensemble(
    ensemble: BradleyTerryEnsemble | MlpEnsemble, labelled: Labelled, rng: np.random.Generator
) -> Belief:
    fitted = ensemble.fit(_pairwise(labelled), rng)
    return Belief(None, lambda rows: _rewards(fitted, rows))


def gaussian_of(fitted: AnchoredFit) -> GaussianPosterior:
    """Hand a Laplace posterior to the strategies."""
    posterior = fitted.posterior
    covariance = cho_solve((posterior.precision_cholesky, True), np.eye(posterior.mean.size))
    return GaussianPosterior(
        posterior.mean, (covariance + covariance.T) / 2.0, fitted.prior_precision
    )


def _pairwise(labelled: Labelled) -> PairwiseData:
    n = len(labelled.target)
    return PairwiseData(
        features=np.vstack([labelled.sides.first, labelled.sides.second]).astype(np.float32),
        first=np.arange(n),
        second=np.arange(n, 2 * n),
        target=labelled.target,
        weight=labelled.weight,
        prompt=labelled.prompt,
    )


def _rewards(ensemble: RewardEnsemble, features: FloatArray) -> FloatArray:
    every = ensemble.rewards(features.astype(np.float32)).astype(np.float64)
    return np.asarray(every / ensemble.temperature_)
