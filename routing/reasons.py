"""Why a comparison went where it went, one sentence each, the same words for the same reasons."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from routing.choices import (
    ARMS_POLICY,
    CONFORMAL_POLICY,
    CRITERION_POLICY,
    INFLUENCE_POLICY,
    NEEDS_PPM,
    UNCERTAINTY_POLICY,
)
from routing.core.arrays import FloatArray
from routing.core.policies import RoutingInputs
from routing.core.ppm import RidgePpm
from routing.core.spending import Routing
from routing.core.tags import UNKNOWN, TagMatrix
from routing.models import RoutingBatch
from routing.phrases import tag_phrase

_PLAIN_REASONS = {
    "random-v1": "Decided by lot",
    "all_human-v1": "People label all that the budget pays for",
    "all_judge-v1": "The judge labels everything beside the audit",
    "hyper_reference-v1": "In the best of 500 mixes by the published recipe",
}
_BY_DISAGREEMENT = frozenset({"disagreement-v1", CONFORMAL_POLICY, ARMS_POLICY})


def reasons_of(
    batch: RoutingBatch,
    routing: Routing,
    tags: TagMatrix | None,
    inputs: RoutingInputs,
    human_usd: FloatArray,
    arms: list[str],
) -> list[str]:
    """One sentence per decision."""
    why = _because(batch, inputs, tags)
    gains = _gain_words(routing) if batch.policy in NEEDS_PPM else [""] * len(why)
    sentences = []
    rest = _rest(inputs, tags)
    kinds = (routing.to_human.tolist(), routing.is_audit.tolist(), routing.is_fill.tolist())
    for row, (human, audit, fill) in enumerate(zip(*kinds, strict=True)):
        if audit:
            sentences.append(f"Drawn at random for the audit, for {_dollars(human_usd[row])}.")
        elif fill:
            price = _dollars(human_usd[row])
            sentences.append(f"{rest[row]}; spends the rest of the budget, for {price}.")
        elif human:
            to = f" to {arms[row]}" if arms[row] else ""
            comma = "" if gains[row] or batch.policy in _PLAIN_REASONS else ","
            price = _dollars(human_usd[row])
            sentences.append(f"{why[row]}{gains[row]}{to}{comma} for {price}.")
        else:
            keeps = arms[row] or "the judge"
            sentences.append(f"{why[row]}{gains[row]}; the label of {keeps} stands.")
    return sentences


def pilot_reasons(propensity: FloatArray, human_usd: FloatArray) -> list[str]:
    """One sentence per drawn comparison."""
    return [
        f"Drawn for the pilot with a chance of {100 * chance:.3g} %, for {_dollars(price)}."
        for chance, price in zip(propensity.tolist(), human_usd.tolist(), strict=True)
    ]


def _dollars(value: float) -> str:
    return f"${Decimal(float(value)).quantize(Decimal('0.01'), ROUND_HALF_UP)}"


def _gain_words(routing: Routing) -> list[str]:
    if np.isnan(routing.gain_mean).all():
        return [""] * len(routing.gain_mean)
    half = 100.0 * (routing.gain_high - routing.gain_mean)
    pairs = zip((100.0 * routing.gain_mean).tolist(), half.tolist(), strict=True)
    return [f": predicted gain {mean:.2g} ± {width:.2g} pp" for mean, width in pairs]


def _because(batch: RoutingBatch, inputs: RoutingInputs, tags: TagMatrix | None) -> list[str]:
    policy, n = batch.policy, inputs.n_comparisons
    if policy in _BY_DISAGREEMENT and inputs.p_disagree is not None:
        return _chances(inputs.p_disagree, tags, "")
    if policy == CRITERION_POLICY and inputs.p_disagree_by_criterion is not None:
        return _chances(inputs.p_disagree_by_criterion, tags, " on this criterion")
    if policy == UNCERTAINTY_POLICY and inputs.judge_probability is not None:
        doubts = np.nan_to_num(np.abs(inputs.judge_probability - 0.5), nan=0.0)
        words = np.where(doubts < 0.1, "Judges are undecided", "Judges lean to one side")
        return [str(word) for word in np.where(doubts >= 0.4, "Judges are sure", words)]
    if policy == INFLUENCE_POLICY and inputs.influence is not None:
        helps = inputs.influence > 0
        return [str(w) for w in np.where(helps, "Would improve the reward model", "Would not help")]
    if tags is None or inputs.ppm is None or policy not in NEEDS_PPM:
        return [_PLAIN_REASONS.get(policy, f"Policy {policy}")] * n
    return _leading_tags(inputs.ppm, tags)


def _rest(inputs: RoutingInputs, tags: TagMatrix | None) -> list[str]:
    if inputs.p_disagree is None:
        return ["Drawn by lot"] * inputs.n_comparisons
    return _chances(inputs.p_disagree, tags, "")


def _chances(chance: FloatArray, tags: TagMatrix | None, suffix: str) -> list[str]:
    """How likely a person is to differ, with what the judges' own labels say about it."""
    signals = _signal_words(tags, len(chance))
    return [
        f"{said}a person would differ from the judge{suffix} with {round(100 * p)} % probability"
        if said
        else f"A person would differ from the judge{suffix} with {round(100 * p)} % probability"
        for said, p in zip(signals, chance.tolist(), strict=True)
    ]


_TELLING = ("judges=split", "judge_order=conflict", "judge_verdict=tie", "judge_confidence=low")


def _signal_words(tags: TagMatrix | None, n: int) -> list[str]:
    words = [""] * n
    for name in reversed(_TELLING):
        if tags is not None and name in tags.names:
            phrase = tag_phrase(name)
            for row in np.flatnonzero(tags.matrix[:, tags.names.index(name)]).tolist():
                words[row] = f"{phrase[:1].upper()}{phrase[1:]}: "
    return words


def _leading_tags(ppm: RidgePpm, tags: TagMatrix) -> list[str]:
    """Name the two tags that add most to each comparison's gain."""
    known = np.array([not name.endswith(f"={UNKNOWN}") for name in tags.names])
    coef = ppm.coef_[: len(tags.names)] / np.maximum(tags.matrix.sum(axis=0), 1)
    parts = np.abs(tags.matrix * (coef * known))
    top = np.argsort(-parts, axis=1, kind="stable")[:, :2]
    phrases = [tag_phrase(name) for name in tags.names]
    words = [", ".join(phrases[k] for k in row) for row in top.tolist()]
    return [text[:1].upper() + text[1:] for text in words]
