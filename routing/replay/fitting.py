"""Everything that policies learn, fitted to some prompts and applied to others."""

from dataclasses import dataclass

import numpy as np

from modeling.core.heads import fit_heads
from modeling.core.metrics import group_split
from routing.core.arrays import BoolArray, FloatArray
from routing.core.criteria import CriterionCalibration
from routing.core.deferral import DisagreementModel, deferral_threshold, disagreement_features
from routing.core.influence import TrustedSet, expected_label_change, label_influence
from routing.core.mixes import mix_features, mix_targets, sample_mixes
from routing.core.policies import RoutingInputs
from routing.core.ppm import Ppm, RidgePpm
from routing.core.ppm_baselines import HyperReferencePpm
from routing.replay.pool import Pool
from routing.study.evidence import PRIOR, evidence_columns, held_out_margins, margins_of

_N_MIXES = 120
_DEV_SHARE = 0.4


@dataclass(frozen=True)
class Learner:
    """What is to be learnt; performance models cost most and are left out where nobody asks."""

    needs_ppm: bool
    max_error: float
    seed: int

    def apply(self, fitted: Pool, served: Pool, rng: np.random.Generator) -> RoutingInputs:
        """Fit to one pool and describe another; no prompt may be in both."""
        known, new = _disagreement_columns(fitted, served, rng)
        model = DisagreementModel().fit(known, fitted.disagrees, fitted.prompt, rng)
        chance = model.predict_proba(new)
        held_out = model.out_of_fold_
        criteria = CriterionCalibration().fit(held_out, fitted.disagrees, fitted.criterion)
        ppm, reference = self._performance(fitted, rng) if self.needs_ppm else (None, None)
        return RoutingInputs(
            n_comparisons=served.n,
            tags=served.tags,
            ppm=ppm,
            reference_ppm=reference,
            judge_probability=served.judge_probability,
            p_disagree=chance,
            p_disagree_by_criterion=criteria.transform(chance, served.criterion),
            influence=_influence(fitted, served, chance),
            deferral_threshold=deferral_threshold(
                held_out, fitted.disagrees, max_error=self.max_error
            ),
        )

    def _performance(self, fitted: Pool, rng: np.random.Generator) -> tuple[RidgePpm, Ppm]:
        parts = group_split(fitted.prompt, [1 - _DEV_SHARE, _DEV_SHARE], rng)
        train, dev = (fitted.take(rows) for rows in parts)
        mixes = sample_mixes(train.tags, _N_MIXES, seed=self.seed).human
        values = performance_of(train_on(train, mixes), dev)
        shares, b = mix_features(train.tags, mixes)
        counts = train.tags.sum(axis=0)
        return (
            RidgePpm().fit(shares, b, values),
            HyperReferencePpm(counts).fit(shares, b, values),
        )


def train_on(pool: Pool, human: BoolArray) -> FloatArray:
    """One reward head per mix, on the bought label where a person is asked; shape (d, mixes)."""
    targets, weights = mix_targets(human, pool.bought, pool.judge)
    fit = fit_heads(pool.differences, targets, weights, prior_precision=PRIOR)
    return np.asarray(fit.weights_, dtype=np.float64)


def performance_of(heads: FloatArray, pool: Pool) -> FloatArray:
    """Geometric mean of the probability that each head gives to people's labels."""
    return np.asarray(np.exp(head_log_likelihoods(heads, pool).mean(axis=0)), dtype=np.float64)


def head_log_likelihoods(heads: FloatArray, pool: Pool) -> FloatArray:
    """Log-probability of the human label shares by each head, shape (n, heads), in nats."""
    z = pool.differences.astype(np.float64) @ heads
    return np.asarray(pool.share[:, None] * z - np.logaddexp(0.0, z), dtype=np.float64)


def head_hits(heads: FloatArray, pool: Pool) -> FloatArray:
    """Whether each head prefers the side that most people took; NaN on ties, (n, heads)."""
    z = pool.differences.astype(np.float64) @ heads
    agreed = np.sign(pool.share - 0.5)[:, None] * np.sign(z)
    return np.where(pool.share[:, None] == 0.5, np.nan, 0.5 + 0.5 * agreed)


def _disagreement_columns(
    fitted: Pool, served: Pool, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    known = _columns(
        fitted,
        held_out_margins(fitted.differences, fitted.bought, fitted.prompt, rng),
        held_out_margins(fitted.differences, fitted.judge, fitted.prompt, rng),
    )
    new = _columns(
        served,
        margins_of(fitted.differences, fitted.bought, served.differences),
        margins_of(fitted.differences, fitted.judge, served.differences),
    )
    return known, new


def _columns(pool: Pool, human_margin: FloatArray, judge_margin: FloatArray) -> FloatArray:
    evidence = evidence_columns(pool.judge, human_margin, judge_margin, pool.log_length)
    return disagreement_features(pool.judge_probability, pool.order_flip, pool.tags, evidence)


def _influence(fitted: Pool, served: Pool, chance: FloatArray) -> FloatArray:
    """Expected gain of each human label, measured on the labels that were fitted to."""
    label = np.sign(np.nan_to_num(served.judge, nan=0.5) - 0.5)
    trusted = TrustedSet(
        fitted.differences, np.sign(fitted.bought - 0.5), np.zeros(fitted.n, dtype=np.int64)
    )
    return label_influence(
        served.differences,
        label,
        trusted,
        expected_label_change(
            label, chance, margins_of(fitted.differences, fitted.bought, served.differences)
        ),
        # A Bradley-Terry head has a quarter of the curvature of least squares.
        prior_precision=4.0 * PRIOR / served.n,
    )
