"""Routing policies: one registry, one interface, frozen and versioned identifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from scipy.special import entr, ndtri

from routing.core.arrays import (
    BoolArray,
    Estimate,
    FloatArray,
    RoutingInputError,
    as_vector,
)
from routing.core.mixes import mix_features, sample_mixes
from routing.core.ppm import Ppm, RidgePpm, instance_gains

_N_SIMULATED: Final = 500
_NORMAL_95: Final = float(ndtri(0.975))


@dataclass(frozen=True)
class RoutingInputs:
    """Hold what policies may look at; each policy names the fields it needs.

    Attributes
    ----------
    n_comparisons : int
        Size n of the pool.
    extra_cost_usd : ndarray of float64, shape (n,), optional
        Price of the human label minus that of the judge's.
    tags : ndarray of bool, shape (n, T), optional
        Tags, in the tag order of the PPM.
    ppm : RidgePpm, optional
        Fitted performance-prediction model.
    reference_ppm : Ppm, optional
        Fitted reference model (least squares on raw counts).
    judge_probability : ndarray of float64, shape (n,), optional
        Judge's P(first preferred), averaged over orders and judges; NaN where it gave none.
    p_disagree : ndarray of float64, shape (n,), optional
        Calibrated probability that a human disagrees with the judge.
    p_disagree_by_criterion : ndarray of float64, shape (n,), optional
        The same, shifted by criterion (`routing.core.criteria`).
    influence : ndarray of float64, shape (n,), optional
        Expected gain of a human label, from `routing.core.influence`.
    deferral_threshold : float, optional
        Keep the judge where `p_disagree` is at most this.
    n_human_target : int, optional
        Size of simulated mixes; `route` fills it in from the budget.
    """

    n_comparisons: int
    extra_cost_usd: FloatArray | None = None
    tags: BoolArray | None = None
    ppm: RidgePpm | None = None
    reference_ppm: Ppm | None = None
    judge_probability: FloatArray | None = None
    p_disagree: FloatArray | None = None
    p_disagree_by_criterion: FloatArray | None = None
    influence: FloatArray | None = None
    deferral_threshold: float | None = None
    n_human_target: int | None = None

    def __post_init__(self) -> None:
        """Check that every given array has one entry per comparison."""
        for name in ("extra_cost_usd", "p_disagree", "p_disagree_by_criterion", "influence"):
            if getattr(self, name) is not None:
                as_vector(name, getattr(self, name), self.n_comparisons)
        for name in ("tags", "judge_probability"):
            value = getattr(self, name)
            if value is not None and len(value) != self.n_comparisons:
                raise RoutingInputError(
                    f"{name} has {len(value)} rows; pass one per comparison ({self.n_comparisons})."
                )


Rule = Callable[[RoutingInputs, np.random.Generator], FloatArray]


@dataclass(frozen=True)
class Policy:
    """Name a way to decide who labels a comparison.

    Attributes
    ----------
    id : str
        Identifier stored with every decision; the rule behind it never changes.
    title : str
        Short name to show.
    summary : str
        One sentence on what it prefers to send to humans.
    needs : tuple of str
        Fields of `RoutingInputs` that must be given.
    rule : callable
        Returns utilities from inputs and a generator.
    is_random : bool
        Whether selection itself is random; utilities are then not divided by price, since
        that would favour cheap comparisons.
    is_filled : bool
        Whether the rest of a budget that the rule does not want is spent as well.
    """

    id: str
    title: str
    summary: str
    needs: tuple[str, ...]
    rule: Rule
    is_random: bool = False
    is_filled: bool = True

    def score(self, inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
        """Return the utility of a human label per comparison; only positive ones are bought.

        Parameters
        ----------
        inputs : RoutingInputs
            What is known about the pool.
        rng : numpy.random.Generator
            Source of randomness of random policies.

        Returns
        -------
        ndarray of float64, shape (n,)
            Utilities.

        Raises
        ------
        RoutingInputError
            If a needed input is missing.
        """
        missing = [name for name in self.needs if getattr(inputs, name) is None]
        if missing:
            raise RoutingInputError(f"Policy {self.id} needs {', '.join(missing)}; pass them.")
        return np.asarray(self.rule(inputs, rng), dtype=np.float64)


def get_policy(policy_id: str) -> Policy:
    """Return a policy by its identifier.

    Parameters
    ----------
    policy_id : str
        Key of `POLICIES`.

    Returns
    -------
    Policy
        The policy.

    Raises
    ------
    RoutingInputError
        If there is none of this name.
    """
    if policy_id not in POLICIES:
        raise RoutingInputError(f"No policy {policy_id!r}; choose from {sorted(POLICIES)}.")
    return POLICIES[policy_id]


def fallback_policy(inputs: RoutingInputs) -> str:
    """Return the policy to use when the PPM has no signal.

    Parameters
    ----------
    inputs : RoutingInputs
        What is known about the pool.

    Returns
    -------
    str
        ``disagreement-v1`` where a disagreement model exists, else ``random-v1``.
    """
    return "random-v1" if inputs.p_disagree is None else "disagreement-v1"


def gains_of(inputs: RoutingInputs) -> Estimate:
    """Predict what a human label of each comparison gains.

    Parameters
    ----------
    inputs : RoutingInputs
        What is known about the pool.

    Returns
    -------
    Estimate
        Gains with a 95 % interval, in the unit of performance; NaN without a PPM and tags.
    """
    if inputs.ppm is None or inputs.tags is None:
        unknown = np.full(inputs.n_comparisons, np.nan)
        return Estimate(unknown, unknown, unknown)
    return instance_gains(inputs.ppm, inputs.tags)


def _random(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return 1.0 - rng.random(inputs.n_comparisons)


def _all_human(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return np.ones(inputs.n_comparisons)


def _all_judge(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return np.zeros(inputs.n_comparisons)


def _uncertainty(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    chance = np.nan_to_num(np.asarray(inputs.judge_probability, dtype=np.float64), nan=0.5)
    # The floor lets a budget that outlasts the uncertain ones buy some of the others.
    return np.asarray(entr(chance) + entr(1.0 - chance) + 1e-9, dtype=np.float64)


def _disagreement(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return np.asarray(inputs.p_disagree, dtype=np.float64)


def _criterion(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return np.asarray(inputs.p_disagree_by_criterion, dtype=np.float64)


def _conformal(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    chance = np.asarray(inputs.p_disagree, dtype=np.float64)
    defers = chance > np.asarray(inputs.deferral_threshold, dtype=np.float64)
    # A floor keeps a deferred comparison with probability 0 in the set that is bought.
    return np.where(defers, np.maximum(chance, 1e-9), 0.0)


def _influence(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return np.asarray(inputs.influence, dtype=np.float64)


def _ppm_topk(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return gains_of(inputs).mean


def _ppm_lower(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    gain = gains_of(inputs)
    return gain.mean - (gain.high - gain.mean) / _NORMAL_95


def _ppm_simulated(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return _best_simulated(inputs, cast(Ppm, inputs.ppm), rng)


def _hyper_reference(inputs: RoutingInputs, rng: np.random.Generator) -> FloatArray:
    return _best_simulated(inputs, cast(Ppm, inputs.reference_ppm), rng)


def _best_simulated(inputs: RoutingInputs, ppm: Ppm, rng: np.random.Generator) -> FloatArray:
    """Return 1 for the members of the simulated mix of best predicted performance, else 0."""
    tags = np.asarray(inputs.tags, dtype=np.bool_)
    seed = int(rng.integers(2**63))
    mixes = sample_mixes(
        tags, _N_SIMULATED, seed=seed, include_pure=False, budget=inputs.n_human_target
    )
    best = int(ppm.predict(*mix_features(tags, mixes.human)).argmax())
    return np.asarray(mixes.human[best], dtype=np.float64)


def _registry(*policies: Policy) -> Mapping[str, Policy]:
    return {policy.id: policy for policy in policies}


POLICIES: Final[Mapping[str, Policy]] = _registry(
    Policy(
        "random-v1",
        "Random",
        "Comparisons drawn at random; the yardstick.",
        (),
        _random,
        is_random=True,
    ),
    Policy(
        "all_human-v1",
        "All human",
        "Everything the budget pays for, the cheapest first.",
        (),
        _all_human,
    ),
    Policy("all_judge-v1", "All judge", "Nothing but the audit.", (), _all_judge, is_filled=False),
    Policy(
        "uncertainty-v1",
        "Judge uncertainty",
        "Where judges are split, change with the order, or gave no verdict.",
        ("judge_probability",),
        _uncertainty,
    ),
    Policy(
        "disagreement-v1",
        "Predicted disagreement",
        "Where a human is likely to disagree with the judge.",
        ("p_disagree",),
        _disagreement,
    ),
    Policy(
        "criterion-v1",
        "Disagreement by criterion",
        "Where a human is likely to disagree with the judge on this criterion.",
        ("p_disagree_by_criterion",),
        _criterion,
    ),
    Policy(
        "arms-v1",
        "Several judges and people",
        "The judge or group of people whose label is most likely right for the money.",
        ("p_disagree",),
        _disagreement,
    ),
    Policy(
        "conformal-v1",
        "Conformal deferral",
        "Where the judge's label cannot be kept within the guaranteed error.",
        ("p_disagree", "deferral_threshold"),
        _conformal,
    ),
    Policy(
        "ppm_topk-v1",
        "Predicted gain",
        "Where the performance-prediction model expects the largest gain.",
        ("ppm", "tags"),
        _ppm_topk,
    ),
    Policy(
        "ppm_lower-v1",
        "Predicted gain, cautious",
        "Where the predicted gain less one standard deviation is largest.",
        ("ppm", "tags"),
        _ppm_lower,
    ),
    Policy(
        "ppm_simulated-v1",
        "Best simulated mix",
        "The mix of best predicted performance out of 500 of this size.",
        ("ppm", "tags"),
        _ppm_simulated,
    ),
    Policy(
        "influence-v1",
        "Label influence",
        "Where a human label is expected to improve the reward model most.",
        ("influence",),
        _influence,
    ),
    Policy(
        "hyper_reference-v1",
        "Published baseline",
        "The best of 500 simulated mixes by unregularised least squares on raw counts.",
        ("reference_ppm", "tags"),
        _hyper_reference,
    ),
)
