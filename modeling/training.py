"""Training a reward model on a dataset version, with a learning curve. Runs in a worker only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotate.errors import NotReady
from annotate.models import Prompt
from modeling import likelihood_names
from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.core.readable_features import FEATURE_NAMES
from modeling.core.reward_data import RewardData
from modeling.core.types import BoolArray, FloatArray, IntArray, PairwiseData
from modeling.embeddings import Report
from modeling.evaluation import HeldOut, curve_point, evaluate
from modeling.feature_pipeline import FeaturePipeline
from modeling.likelihood_training import (
    fit_members,
    likelihood_require_labels,
    project_labels,
)
from modeling.model_report import (
    best_of_n_of,
    bias_of,
    groups_of,
    one_reward_of,
    slices_of,
    sources_of,
    transitivity_of,
    without_suspects,
)
from modeling.models import TrainingRun
from modeling.numeric_threads import threads_for
from modeling.splits import is_held_out
from modeling.tables import LabelTable, ResponseFeatures, label_table, response_features

N_HEADS = 8
CURVE_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
FEATURES_END = 0.3
CURVE_END = 0.95

Point = dict[str, Any]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What training leaves behind, ready for the artifact."""

    ensemble: BradleyTerryEnsemble
    pipeline: FeaturePipeline
    metrics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class LabelSplit:
    """Training pairs and the human labels of the prompts that were held out."""

    train: PairwiseData
    test: PairwiseData
    held_out: HeldOut


def train(
    run: TrainingRun,
    *,
    progress: Callable[[float, str], None],
    on_point: Callable[[Point], None],
) -> TrainedModel:
    """Fit on growing shares of the training prompts, all of them last, and test each fit.

    Parameters
    ----------
    run
        Names the project, the dataset version, the seed and the parameters.
    progress
        Called with the fraction done and a sentence; raises to cancel.
    on_point
        Called with every point of the learning curve as soon as it is known.
    """
    encoder, labels = run.parameters["encoder"], run.parameters["labels"]
    features = response_features(
        project=run.project,
        encoder=encoder,
        progress=lambda fraction, text: progress(FEATURES_END * fraction, text),
        last_comparison_id=run.dataset_version.last_comparison_id,
    )
    table = label_table(
        project=run.project,
        features=features,
        last_preference_id=run.dataset_version.last_preference_id,
    )
    split = split_labels(run, table, features, labels)
    given = _given(run, features, labels, split)
    fit_rng, test_rng = np.random.default_rng(run.seed).spawn(2)
    for share, rows in _growing(split.train.prompt, fit_rng):
        data = split.train.take(rows)
        with threads_for(data.differences.size):
            fit = given.fit(data, fit_rng, share, progress)
        point = curve_point(fit.predict_proba(split.test), split.held_out, test_rng)
        n_prompts = int(np.unique(split.train.prompt[rows]).size)
        on_point({"n_labels": int(rows.size), "n_prompts": n_prompts, **point})
    progress(CURVE_END, "Testing on held-out human labels")
    probability = fit.predict_proba(split.test)
    metrics = evaluate(probability, split.held_out, test_rng)
    facts = {**_facts(fit, split, features, labels), "likelihood": given.likelihood}
    with threads_for(split.train.differences.size):
        report = _report(run, fit, split, table, features, probability, test_rng)
    return TrainedModel(fit, features.state, {**metrics, **facts, **report})


@dataclass(frozen=True, eq=False)
class _Given:
    """The likelihood of a run, and the labels that it reads beyond soft votes on pairs."""

    likelihood: str
    labels: RewardData | None

    def fit(
        self, data: PairwiseData, rng: np.random.Generator, share: float, progress: Report
    ) -> BradleyTerryEnsemble:
        """Fit to the prompts of ``data``."""
        if self.labels is None:
            return _fit(data, rng, share, progress)
        progress(
            FEATURES_END + (CURVE_END - FEATURES_END) * 0.5 * share, f"{data.n_pairs:,} labels"
        )
        some = self.labels.in_prompts(np.unique(data.prompt))
        return fit_members(self.likelihood, some, rng, n_heads=N_HEADS)


def _given(run: TrainingRun, features: ResponseFeatures, labels: str, split: LabelSplit) -> _Given:
    name = run.parameters.get("likelihood", likelihood_names.DEFAULT)
    # Soft votes on pairs are what the batched ensemble reads already.
    if name == likelihood_names.DEFAULT:
        return _Given(name, None)
    every = project_labels(run, features, labels)
    train = every.in_prompts(np.unique(split.train.prompt))
    likelihood_require_labels(name, train)
    return _Given(name, train)


def _report(
    run: TrainingRun,
    fit: BradleyTerryEnsemble,
    split: LabelSplit,
    table: LabelTable,
    features: ResponseFeatures,
    probability: FloatArray,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return what the model's page shows beside the headline figures."""
    trained_on = is_training_prompt(run, table.prompt_ids)
    candidates = source_candidates(table, features, trained_on)
    rewards = fit.rewards(features.features).mean(axis=0) / fit.temperature_
    return {
        "slices": slices_of(probability, split.held_out, groups_of(split.test, features), rng),
        "best_of_n": best_of_n_of(rewards, split.test, rng),
        "sources": sources_of(candidates, split.test, split.held_out),
        "bias": bias_of(rewards, features, split.test, rng, _readable_weights(fit, features)),
        "one_reward": one_reward_of(table, features, trained_on),
        "transitivity": transitivity_of(table),
    }


def _readable_weights(fit: BradleyTerryEnsemble, features: ResponseFeatures) -> FloatArray:
    columns = [features.state.names.index(name) for name in FEATURE_NAMES]
    return np.asarray(fit.weights_[:, columns].mean(axis=0) / fit.temperature_, dtype=np.float64)


def source_candidates(
    table: LabelTable, features: ResponseFeatures, trained_on: BoolArray
) -> dict[str, PairwiseData]:
    """Return the training labels of people, of judges, of both, and of people without suspects."""
    found = {}
    for name, labels in (("human", "human"), ("judge", "judge"), ("hybrid", "both")):
        target, weight = training_target(table, labels)
        rows = np.flatnonzero(trained_on & (weight > 0))
        found[name] = table.pairwise_data(features.features, target, weight).take(rows)
    if found["judge"].n_pairs == 0:
        del found["judge"], found["hybrid"]
    found["filtered"] = without_suspects(found["human"])
    return found


def training_target(table: LabelTable, labels: str) -> tuple[FloatArray, FloatArray]:
    """Return the soft label and weight of every pair under a choice of labels.

    ``both`` takes the humans' votes where there are any and the judges' votes elsewhere.
    """
    if labels == "judge":
        return table.judge_share()
    target, weight = table.human_share()
    if labels == "human":
        return target, weight
    judged, judged_weight = table.judge_share()
    has_human = weight > 0
    return np.where(has_human, target, judged), np.where(has_human, weight, judged_weight)


def split_labels(
    run: TrainingRun, table: LabelTable, features: ResponseFeatures, labels: str
) -> LabelSplit:
    """Split the labels of a run by prompt.

    Raises
    ------
    NotReady
        If too few labels are left on either side.
    """
    is_test = ~is_training_prompt(run, table.prompt_ids)
    target, weight = _curated(run, table, *training_target(table, labels))
    human, n_human = table.human_share()
    train_rows = np.flatnonzero(~is_test & (weight > 0))
    test_rows = np.flatnonzero(is_test & (n_human > 0))
    train_prompts = np.unique(table.prompt_ids[train_rows]).size
    if train_prompts < 2 or np.all(human[test_rows] == 0.5):
        raise NotReady(
            "After the split by prompt too few labels are left: training needs labels on at least "
            "two prompts and a decided human label on a held-out one. Label more prompts."
        )
    test = table.pairwise_data(features.features, human, n_human).take(test_rows)
    train_data = table.pairwise_data(features.features, target, weight).take(train_rows)
    length = features.features[:, features.state.names.index("log_characters")]
    longer = (np.sign(length[test.first] - length[test.second]) + 1.0) / 2.0
    first_share = float(np.average(train_data.target, weights=train_data.weight))
    held_out = HeldOut(test.target, test.prompt, longer.astype(np.float64), first_share)
    return LabelSplit(train_data, test, held_out)


def _curated(
    run: TrainingRun, table: LabelTable, target: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Leave out what filters name and soften what an audit softened, in training only.

    Human labels that models are tested on stay as people gave them.
    """
    filtered = np.isin(table.comparison_ids, run.parameters.get("filtered", []))
    soft = {int(pk): value for pk, value in run.parameters.get("soft", {}).items()}
    # An audit softens the label of two responses; a ranking has no such single number.
    pairs_of = dict(zip(*np.unique(table.comparison_ids, return_counts=True), strict=True))
    softened = [
        soft[pk] if pk in soft and pairs_of[pk] == 1 else own
        for pk, own in zip(table.comparison_ids.tolist(), target.tolist(), strict=True)
    ]
    return np.array(softened, dtype=np.float64), np.where(filtered, 0.0, weight)


def is_training_prompt(run: TrainingRun, prompt_ids: IntArray) -> BoolArray:
    """Return which rows are about prompts that are not held out."""
    hashes = Prompt.objects.filter(project=run.project).values_list("pk", "content_hash")
    held_out = {pk for pk, content_hash in hashes if is_held_out(content_hash)}
    return np.array([pk not in held_out for pk in prompt_ids.tolist()], dtype=np.bool_)


def _growing(prompt: IntArray, rng: np.random.Generator) -> Iterator[tuple[float, IntArray]]:
    """Yield nested sets of rows, each of whole prompts; the last one is everything."""
    codes = np.unique(prompt, return_inverse=True)[1]
    order = rng.permutation(int(codes.max()) + 1)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    sizes = sorted({max(2, round(share * order.size)) for share in CURVE_SHARES})
    for size in sizes:
        yield size / order.size, np.flatnonzero(place[codes] < size)


def _fit(
    data: PairwiseData, rng: np.random.Generator, share: float, progress: Report
) -> BradleyTerryEnsemble:
    width = CURVE_END - FEATURES_END
    # Fits on 1/16 … 3/4 of the labels take about as long together as the last one.
    start = FEATURES_END + width * (0.5 if share == 1.0 else 0.5 * share)

    def report(fraction: float, details: dict[str, Any]) -> None:
        extent = 0.5 if share == 1.0 else 0.25 * share
        stage = f"{data.n_pairs:,} labels: {details['stage']}"
        progress(start + width * extent * fraction, stage)

    return BradleyTerryEnsemble(n_heads=N_HEADS).fit(data, rng, progress=report)


def _facts(
    fit: BradleyTerryEnsemble, split: LabelSplit, features: ResponseFeatures, labels: str
) -> dict[str, Any]:
    return {
        "labels": labels,
        "encoder": features.encoder,
        "n_features": int(features.features.shape[1]),
        "n_heads": N_HEADS,
        "n_train": split.train.n_pairs,
        "n_train_prompts": split.train.n_prompts,
        "temperature": round(fit.temperature_, 6),
        "prior_precision": round(fit.prior_precision_, 6),
        "converged": fit.converged_,
    }
