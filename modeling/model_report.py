"""What a reward model's page shows beside its headline figures. Runs in a worker only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from annotate.models import Response
from modeling.core.audit import WRONG, audit_evidence
from modeling.core.best_of_n import best_of_n
from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.core.metrics import (
    cluster_bootstrap_interval,
    log_losses,
    paired_difference_interval,
    pairwise_correct,
)
from modeling.core.mixture import one_reward_test
from modeling.core.readable_features import FEATURE_NAMES
from modeling.core.reward_data import PairVotes, RewardData
from modeling.core.reward_fit import RewardBasis
from modeling.core.transitivity import cycle_test
from modeling.core.types import BoolArray, FloatArray, IntArray, PairwiseData
from modeling.evaluation import HeldOut, figure, number
from modeling.tables import LabelTable, ResponseFeatures

MIN_SLICE = 20
"""Pairs below which a slice's figures are hidden: they would say more about chance."""
MIN_ANNOTATORS, MIN_VOTES_EACH = 4, 20
MIN_SOURCE_LABELS = 20
POOL = 3
AUDITED_PROMPTS = 5
PRIOR_FOR_GROUPS = 10.0
SEED = 0

Found = dict[str, Any]


def slices_of(
    probability: FloatArray,
    held_out: HeldOut,
    groups: Mapping[str, Iterable[str]],
    rng: np.random.Generator,
) -> list[Found]:
    """Return accuracy and log loss of every slice, hidden below `MIN_SLICE` pairs.

    Parameters
    ----------
    probability
        Predicted P(first preferred) of the held-out pairs.
    held_out
        Their human labels.
    groups
        Per kind of slice, the slice that each pair belongs to.
    rng
        Source of the resamples.
    """
    correct, decided = pairwise_correct(probability, held_out.target)
    losses = log_losses(probability, held_out.target)
    found = []
    for kind, values in groups.items():
        names = np.array(list(values))
        for name in np.unique(names):
            rows = names == name
            counted = rows & decided
            shown = int(counted.sum()) >= MIN_SLICE
            found.append(
                {
                    "slice": kind,
                    "value": str(name),
                    "n": int(rows.sum()),
                    "n_prompts": int(np.unique(held_out.prompt[rows]).size),
                    "accuracy": _figure(correct, held_out.prompt, counted, rng) if shown else None,
                    "log_loss": _figure(losses, held_out.prompt, rows, rng) if shown else None,
                }
            )
    return found


def groups_of(test: PairwiseData, features: ResponseFeatures) -> dict[str, list[str]]:
    """Return the slices that every project has: who wrote, how lengths differ, how people agree."""
    names = features.state.names
    lengths = features.features[:, names.index("log_characters")]
    gap = np.abs(lengths[test.first] - lengths[test.second])
    cuts = np.quantile(gap, [1 / 3, 2 / 3]) if gap.size else np.zeros(2)
    longer = lengths[test.first] > lengths[test.second]
    wins = (test.target > 0.5) == longer
    return {
        "length difference": _named(np.searchsorted(cuts, gap), ("small", "middle", "large")),
        "people chose": [
            "neither" if tie else ("the longer" if long else "the shorter")
            for tie, long in zip(test.target == 0.5, wins, strict=True)
        ],
        "people": _named(_is_split(test.target).astype(int), ("all of one mind", "divided")),
        "written by": _written_by(test, features),
    }


def sources_of(
    candidates: Mapping[str, PairwiseData],
    test: PairwiseData,
    held_out: HeldOut,
) -> dict[str, Found]:
    """Return what training on each source of labels gives on the same human labels.

    Every source is fitted alike, from its own seed, whatever happened before; ``above_human`` is
    the paired gain in accuracy over training on people alone.
    """
    rng = np.random.default_rng(SEED)
    predicted = {
        name: BradleyTerryEnsemble(4).fit(data, rng).predict_proba(test)
        for name, data in candidates.items()
        if is_source(data)
    }
    return source_figures(predicted, candidates, held_out, rng)


def is_source(data: PairwiseData) -> bool:
    """Whether labels suffice to train on them alone."""
    return data.n_pairs >= MIN_SOURCE_LABELS and data.n_prompts > 1


def source_figures(
    predicted: Mapping[str, FloatArray],
    candidates: Mapping[str, PairwiseData],
    held_out: HeldOut,
    rng: np.random.Generator,
) -> dict[str, Found]:
    """Return the figures of models that learned from different labels.

    Parameters
    ----------
    predicted
        By source, P(first preferred) of the held-out pairs.
    candidates
        By source, what its model learned from.
    held_out
        Their human labels.
    rng
        Source of the resamples.
    """
    correct = {name: pairwise_correct(own, held_out.target)[0] for name, own in predicted.items()}
    decided = held_out.target != 0.5
    everything = np.ones(decided.size, dtype=np.bool_)
    found: dict[str, Found] = {}
    for name, own in predicted.items():
        above = None
        if name != "human" and "human" in correct:
            gain = paired_difference_interval(
                correct[name][decided], correct["human"][decided], held_out.prompt[decided], rng
            )
            above = figure(gain)
        losses = log_losses(own, held_out.target)
        found[name] = {
            "n_train": candidates[name].n_pairs,
            "accuracy": _figure(correct[name], held_out.prompt, decided, rng),
            "log_loss": _figure(losses, held_out.prompt, everything, rng),
            "above_human": above,
        }
    return found


def without_suspects(data: PairwiseData) -> PairwiseData:
    """Return the labels that a cross-fitted audit does not call wrong."""
    if data.n_prompts < AUDITED_PROMPTS:
        return data
    evidence = audit_evidence(data, np.random.default_rng(SEED), n_heads=4)
    return data.take(evidence.finding != WRONG)


def best_of_n_of(rewards: FloatArray, test: PairwiseData, rng: np.random.Generator) -> list[Found]:
    """Return the over-optimisation curve on prompts with three or more compared responses.

    ``rewards`` has one entry per row of features; those of the held-out pairs are read.
    """
    rows = np.concatenate([test.first, test.second])
    won = np.concatenate([test.target, 1.0 - test.target])
    used, code = np.unique(rows, return_inverse=True)
    gold = np.bincount(code, won) / np.maximum(np.bincount(code), 1)
    prompt = np.empty(used.size, dtype=np.int64)
    prompt[code] = np.concatenate([test.prompt, test.prompt])
    sizes = np.unique(prompt, return_counts=True)[1]
    largest = int(np.median(sizes)) if sizes.size else 0
    if largest < POOL:
        return []
    points = best_of_n(rewards[used], gold, prompt, rng, sizes=range(1, largest + 1))
    return [
        {"n": own.n, "kl": number(own.kl), "proxy": number(own.proxy), "gold": figure(own.gold)}
        for own in points
    ]


def bias_of(
    rewards: FloatArray,
    features: ResponseFeatures,
    test: PairwiseData,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
) -> list[Found]:
    """Return how far each readable feature moves the reward, beside how people choose.

    ``rewards_per_sd`` is the weight of the feature, which is scaled to unit spread, or, for a model
    without weights, its slope where reward gaps are regressed on the gaps of all readable features.
    ``human_rate`` and ``model_rate`` are the shares of decided held-out pairs in which people and
    the model choose the side that has more of it; ``lean`` is the model's share less people's.

    Parameters
    ----------
    rewards
        Reward of each row of ``features`` after temperature; those of held-out pairs are read.
    features
        Rows of readable features.
    test
        Held-out pairs with their human labels.
    rng
        Source of the resamples.
    weights
        Weight of each readable feature where the model has one.
    """
    columns = [features.state.names.index(name) for name in FEATURE_NAMES]
    readable = features.features[:, columns].astype(np.float64)
    gaps = readable[test.first] - readable[test.second]
    reward_gap = rewards[test.first] - rewards[test.second]
    effects = _slopes(gaps, reward_gap) if weights is None else weights
    people, model = np.sign(test.target - 0.5), np.sign(reward_gap)
    found = []
    for place, name in enumerate(FEATURE_NAMES):
        side = np.sign(gaps[:, place])
        told = (side != 0) & (people != 0)
        rates = _rates(side[told], people[told], model[told], test.prompt[told], rng)
        found.append({"feature": name, "rewards_per_sd": number(effects[place]), **rates})
    return sorted(found, key=lambda own: -abs(own["rewards_per_sd"] or 0.0))


def _slopes(gaps: FloatArray, reward_gap: FloatArray) -> FloatArray:
    # One pair's worth of shrinkage: readable features are collinear and pairs may be few.
    gram = gaps.T @ gaps + np.eye(gaps.shape[1])
    return np.asarray(np.linalg.solve(gram, gaps.T @ reward_gap))


def _rates(
    side: FloatArray,
    people: FloatArray,
    model: FloatArray,
    prompt: IntArray,
    rng: np.random.Generator,
) -> Found:
    if side.size < MIN_SLICE:
        return {"human_rate": None, "model_rate": None, "lean": None, "n": int(side.size)}
    # A model without a preference counts half.
    chosen = np.where(model == 0, 0.5, (model == side).astype(np.float64))
    wanted = (people == side).astype(np.float64)
    return {
        "human_rate": round(float(wanted.mean()), 3),
        "model_rate": round(float(chosen.mean()), 3),
        "lean": figure(paired_difference_interval(chosen, wanted, prompt, rng)),
        "n": int(side.size),
    }


def one_reward_of(table: LabelTable, features: ResponseFeatures, rows: BoolArray) -> Found | None:
    """Return whether one reward is enough for the people of a project, where there are enough."""
    votes = rows[table.vote_row] & table.vote_is_human
    people, code = np.unique(table.vote_annotator_id[votes], return_inverse=True)
    busy = np.bincount(code, minlength=people.size) >= MIN_VOTES_EACH
    if busy.sum() < MIN_ANNOTATORS:
        return None
    kept = busy[code]
    pair, value = table.vote_row[votes][kept], table.vote_value[votes][kept]
    zero, ones = np.zeros(pair.size, dtype=np.int64), np.ones(pair.size)
    given = PairVotes(
        table.first[pair], table.second[pair], value, ones, code[kept], zero,
        table.prompt_ids[pair], table.pair_weight[pair],
    )  # fmt: skip
    data = RewardData(features.features, given)
    prior = PRIOR_FOR_GROUPS * RewardBasis(data).mean_square
    test = one_reward_test(data, np.random.default_rng(SEED), prior_precision=prior)
    sentences = {
        "one": "One reward is enough: two groups of annotators predict held-out votes no better.",
        "several": "One reward is not enough: two groups of annotators predict votes better.",
        "unknown": "The labels cannot tell whether one reward is enough.",
    }
    return {"gain": figure(test.gain), "verdict": test.verdict, "sentence": sentences[test.verdict]}


def transitivity_of(table: LabelTable) -> Found:
    """Return whether people's preferences go round in circles more often than by chance."""
    votes = table.vote_is_human & (table.vote_value != 0.5)
    wins = (table.vote_value[votes] > 0.5).astype(np.float64)
    pair = table.vote_row[votes]
    test = cycle_test(
        table.first[pair], table.second[pair], wins, 1.0 - wins, np.random.default_rng(SEED)
    )
    sentence = "There are no three responses that were all compared with each other."
    if test.n_triads:
        sentence = (
            f"{test.n_cyclic} of {test.n_triads} triples go round in a circle; "
            f"{test.expected:.1f} would by chance."
        )
    return {
        "n_triads": test.n_triads,
        "n_cyclic": test.n_cyclic,
        "expected": number(test.expected),
        "p_value": number(test.p_value),
        "sentence": sentence,
    }


def _figure(
    values: FloatArray, prompt: IntArray, rows: BoolArray, rng: np.random.Generator
) -> dict[str, float | int | None]:
    return figure(cluster_bootstrap_interval(values[rows], prompt[rows], rng))


def _named(codes: Any, names: tuple[str, ...]) -> list[str]:
    return [names[int(code)] for code in codes]


def _is_split(target: FloatArray) -> BoolArray:
    return np.asarray((target > 0.0) & (target < 1.0))


def _written_by(test: PairwiseData, features: ResponseFeatures) -> list[str]:
    ids = features.response_ids[np.concatenate([test.first, test.second])]
    models = dict(
        Response.objects.filter(pk__in=np.unique(ids).tolist()).values_list("pk", "source_model")
    )
    first, second = np.split(ids, 2)
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    return [" and ".join(sorted(models[pk] or "unknown" for pk in pair)) for pair in pairs]
