"""One study from labels to numbers: mixes, heads, performance-prediction model, frontier, test."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from modeling.core.metrics import group_split
from routing.choices import NEEDS_PPM
from routing.core.arrays import BoolArray, Float32Array, Interval
from routing.core.budget import Budget, Frontier, frontier
from routing.core.deferral import DisagreementModel
from routing.core.effects import TagEffects, tag_effects
from routing.core.mixes import mix_features, sample_mixes
from routing.core.policies import RoutingInputs
from routing.core.ppm import RidgePpm, instance_gains
from routing.core.ppm_baselines import HyperReferencePpm
from routing.core.spending import route
from routing.core.validation import (
    PpmValidation,
    SignalVerdict,
    cross_validate,
    has_signal,
    noise_floor,
    replicate_rows,
)
from routing.study.heads import (
    Measured,
    Part,
    choose_prior,
    log_likelihoods,
    measure,
    performances,
    train_heads,
)
from routing.study.reliability import split_half_correlation

Report = Callable[[float, str], None]

SPLIT = (0.5, 0.25, 0.25)
MEASURED_SHARES = (0.1, 0.25, 0.5, 0.75)
MEASURED_POLICIES = ("ppm_topk-v1", "disagreement-v1", "uncertainty-v1", "random-v1")
_N_RANDOM = 12
_N_REPLICATED = 8
_N_REPLICATES = 8


@dataclass(frozen=True)
class Point:
    """What one policy reached on the test prompts at one share of human labels."""

    policy: str
    human_share: float
    measured: Measured


@dataclass(frozen=True)
class StudyNumbers:
    """Everything a study found out, still as arrays."""

    ppm: RidgePpm
    effects: TagEffects
    reference: HyperReferencePpm
    validation: PpmValidation
    b_only_rmse_pp: float
    noise_floor_pp: float
    halves: Interval
    verdict: SignalVerdict
    frontier: Frontier
    points: tuple[Point, ...]
    prior_precision: float
    sizes: tuple[int, int, int]
    dev_accuracy: tuple[float, float]


def run_study(part: Part, *, n_mixes: int, seed: int, report: Report) -> StudyNumbers:
    """Train a head per mix, predict performance from the mix and test what it would route.

    Prompts are split three ways: heads train on the first part, their performance on the second
    drives the model, and the third is only reported.
    """
    rng = np.random.default_rng(seed)
    train, dev, test = (part.take(rows) for rows in group_split(part.prompt, SPLIT, rng))
    report(0.05, "Choosing the prior of the reward heads")
    prior = choose_prior(train, rng)
    report(0.1, f"Training {n_mixes} reward heads")
    mixes = sample_mixes(train.tags, n_mixes, seed=seed).human
    heads = train_heads(train, mixes, prior=prior)
    performance = performances(heads, dev)
    report(0.6, "Training the same mixes again for the noise floor")
    floor = _noise_floor(train, dev, mixes, prior, rng)
    report(0.75, "Fitting and cross-validating the performance-prediction model")
    shares, b = mix_features(train.tags, mixes)
    ppm = RidgePpm().fit(shares, b, performance)
    validation = cross_validate(shares, b, performance, rng=np.random.default_rng(seed))
    plain = cross_validate(np.zeros((len(b), 1)), b, performance, rng=np.random.default_rng(seed))
    halves = split_half_correlation(log_likelihoods(heads, dev), dev.prompt, b, rng)
    report(0.85, "Measuring policies on the test prompts")
    gains = instance_gains(ppm, train.tags).mean
    points = _measured_points(train, test, ppm, prior, rng)
    return StudyNumbers(
        ppm=ppm,
        effects=tag_effects(shares, b, performance),
        reference=HyperReferencePpm(train.tags.sum(axis=0)).fit(shares, b, performance),
        validation=validation,
        b_only_rmse_pp=plain.rmse_pp,
        noise_floor_pp=floor,
        halves=halves,
        verdict=_verdict(validation, plain, floor, halves),
        frontier=frontier(
            ppm, train.tags, gains, np.ones(len(gains)), shrinkage=validation.explained
        ),
        points=points,
        prior_precision=prior,
        sizes=(len(train.human), len(dev.human), len(test.human)),
        dev_accuracy=_pure_accuracy(heads, dev, rng),
    )


def _noise_floor(
    train: Part, dev: Part, mixes: BoolArray, prior: float, rng: np.random.Generator
) -> float:
    """Train a few spread-out mixes again on resampled rows; return the spread in points."""
    n_chosen = min(_N_REPLICATED, len(mixes))
    by_size = np.argsort(mixes.sum(axis=1), kind="stable")
    chosen = by_size[np.linspace(0, len(mixes) - 1, n_chosen).astype(np.int64)]
    rows = replicate_rows(len(train.human), n_chosen * _N_REPLICATES, rng)
    counts = np.stack([np.bincount(r, minlength=len(train.human)) for r in rows])
    repeated = np.repeat(mixes[chosen], _N_REPLICATES, axis=0)
    heads = train_heads(train, repeated, prior=prior, multiplicity=counts)
    return noise_floor(performances(heads, dev).reshape(n_chosen, _N_REPLICATES))


def _verdict(
    validation: PpmValidation, plain: PpmValidation, floor: float, halves: Interval
) -> SignalVerdict:
    """Ask for a signal about which comparisons, on other prompts too, not only about how many."""
    verdict = has_signal(validation, floor)
    if not verdict.has_signal:
        return verdict
    if validation.rmse_pp >= plain.rmse_pp:
        return SignalVerdict(
            has_signal=False,
            reason="No signal about which comparisons need people: the share of human labels alone "
            f"predicts as well ({plain.rmse_pp:.2f} pp error against {validation.rmse_pp:.2f} pp).",
        )
    if halves.low <= 0.0:
        return SignalVerdict(
            has_signal=False,
            reason="No signal that holds on other prompts: between halves of the dev prompts the "
            f"mixes rank with correlation {halves.estimate:.2f} ({halves.low:.2f} to "
            f"{halves.high:.2f}), which includes 0. More prompts with both labels would tell.",
        )
    return verdict


def _pure_accuracy(heads: Float32Array, dev: Part, rng: np.random.Generator) -> tuple[float, float]:
    """Accuracy on the dev prompts of the all-judge and the all-human head."""
    judge, human = (measure(heads[:, [k]], heads[:, [0]], dev, rng) for k in (0, 1))
    return judge.accuracy.estimate, human.accuracy.estimate


def _measured_points(
    train: Part, test: Part, ppm: RidgePpm, prior: float, rng: np.random.Generator
) -> tuple[Point, ...]:
    """Train on what each policy would buy and measure on the test prompts."""
    settings, masks = _bought(train, ppm, rng)
    heads = train_heads(train, np.concatenate(masks), prior=prior)
    ends = np.cumsum([len(mask) for mask in masks])
    return tuple(
        Point(policy, share, measure(heads[:, end - len(mask) : end], heads[:, [0]], test, rng))
        for (policy, share), mask, end in zip(settings, masks, ends, strict=True)
    )


def _bought(
    train: Part, ppm: RidgePpm, rng: np.random.Generator
) -> tuple[list[tuple[str, float]], list[BoolArray]]:
    n = len(train.human)
    disagreement = DisagreementModel().fit(
        train.tags.astype(np.float64), train.disagrees, train.prompt, rng
    )
    inputs = RoutingInputs(
        n_comparisons=n,
        tags=train.tags,
        ppm=ppm,
        judge_probability=train.judge_probability,
        p_disagree=disagreement.out_of_fold_,
    )
    settings: list[tuple[str, float]] = [("all_judge-v1", 0.0), ("all_human-v1", 1.0)]
    masks: list[BoolArray] = [np.zeros((1, n), np.bool_), np.ones((1, n), np.bool_)]
    for policy in MEASURED_POLICIES:
        repeats = _N_RANDOM if policy == "random-v1" else 1
        for share in MEASURED_SHARES:
            settings.append((policy, share))
            masks.append(
                np.stack([_one_choice(policy, inputs, share, rng) for _ in range(repeats)])
            )
    return settings, masks


def _one_choice(
    policy: str, inputs: RoutingInputs, share: float, rng: np.random.Generator
) -> BoolArray:
    # Without a model no gains are computed that nobody reads.
    seen = inputs if policy in NEEDS_PPM else replace(inputs, ppm=None)
    return route(policy, seen, Budget(human_share=share), rng, audit_share=0.0).to_human
