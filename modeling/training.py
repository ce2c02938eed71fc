"""Training a reward model on a dataset version, with a learning curve. Runs in a worker only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotate.errors import NotReady
from annotate.models import Prompt
from modeling.core.bradley_terry import BradleyTerryEnsemble
from modeling.core.types import BoolArray, FloatArray, IntArray, PairwiseData
from modeling.embeddings import Report
from modeling.evaluation import HeldOut, curve_point, evaluate
from modeling.feature_pipeline import FeaturePipeline
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
class _Split:
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
    )
    table = label_table(
        project=run.project,
        features=features,
        last_preference_id=run.dataset_version.last_preference_id,
    )
    split = _split(run, table, features, labels)
    fit_rng, test_rng = np.random.default_rng(run.seed).spawn(2)
    for share, rows in _growing(split.train.prompt, fit_rng):
        data = split.train.take(rows)
        with threads_for(data.differences.size):
            fit = _fit(data, fit_rng, share, progress)
        point = curve_point(fit.predict_proba(split.test), split.held_out, test_rng)
        n_prompts = int(np.unique(split.train.prompt[rows]).size)
        on_point({"n_labels": int(rows.size), "n_prompts": n_prompts, **point})
    progress(CURVE_END, "Testing on held-out human labels")
    metrics = evaluate(fit.predict_proba(split.test), split.held_out, test_rng)
    return TrainedModel(fit, features.state, {**metrics, **_facts(fit, split, features, labels)})


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


def _split(run: TrainingRun, table: LabelTable, features: ResponseFeatures, labels: str) -> _Split:
    is_test = _is_test(run, table.prompt_ids)
    target, weight = training_target(table, labels)
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
    return _Split(train_data, test, held_out)


def _is_test(run: TrainingRun, prompt_ids: IntArray) -> BoolArray:
    hashes = Prompt.objects.filter(project=run.project).values_list("pk", "content_hash")
    held_out = {pk for pk, content_hash in hashes if is_held_out(content_hash)}
    return np.array([pk in held_out for pk in prompt_ids.tolist()], dtype=np.bool_)


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
    fit: BradleyTerryEnsemble, split: _Split, features: ResponseFeatures, labels: str
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
