"""Gather what a study needs: double labels, tags with frozen cut points, judge signals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotate.errors import NotReady
from annotate.models import Comparison
from modeling.numeric_threads import threads_for
from routing.columns import varying
from routing.core.arrays import FloatArray, IntArray
from routing.core.criteria import CriterionCalibration
from routing.core.deferral import DisagreementModel
from routing.core.features import FrozenBins
from routing.core.tags import TagMatrix, build_tags
from routing.models import RoutingStudy
from routing.profile import pool_profile
from routing.study.chances import chance_weights
from routing.study.heads import Part
from routing.tables import DoubleLabels, double_labels, feature_table, metadata_keys_of


@dataclass(frozen=True)
class StudyInputs:
    """The rows of a study and what was frozen from them."""

    part: Part
    bins: FrozenBins
    tags: TagMatrix
    metadata_keys: list[str]
    disagreement: dict[str, Any]
    n_comparisons: int
    n_prompts: int
    judge_agreement: float
    baseline: dict[str, Any]


def study_inputs(study: RoutingStudy, *, report: Callable[[float, str], None]) -> StudyInputs:
    """Read labels and features of a study and freeze cut points and columns."""
    if study.judge is None:
        raise NotReady("The judge of this study is gone. Start a study with another judge.")
    labels = double_labels(
        project=study.project,
        judge=study.judge,
        encoder=study.parameters["encoder"],
        progress=lambda share, text: report(0.6 * share, text),
    )
    comparison_ids, row_of = np.unique(labels.comparison_ids, return_inverse=True)
    table = feature_table(
        project=study.project,
        judge=study.judge,
        comparison_ids=comparison_ids,
        encoder=study.parameters["encoder"],
        progress=lambda share, text: report(0.6 + 0.4 * share, text),
    )
    bins = FrozenBins().fit(table.statistics, table.names)
    tags = build_tags(bins, table.statistics, varying(table.categorical))
    weight = np.ones(len(labels.human))
    if study.parameters.get("is_weighted"):
        weight = chance_weights(project=study.project, comparison_ids=labels.comparison_ids)
    part = _part(labels, tags, row_of.astype(np.int64), table.judge_probability, weight)
    return StudyInputs(
        part=part,
        bins=bins,
        tags=tags,
        metadata_keys=metadata_keys_of(table),
        disagreement=_disagreement(part, study.seed, _criteria(labels.comparison_ids)),
        n_comparisons=len(comparison_ids),
        n_prompts=len(np.unique(labels.prompt)),
        judge_agreement=float(1.0 - part.disagrees.mean()),
        baseline=pool_profile(tags, table),
    )


def _part(
    labels: DoubleLabels,
    tags: TagMatrix,
    row_of: IntArray,
    judge_probability: FloatArray,
    weight: FloatArray,
) -> Part:
    return Part(
        differences=labels.differences,
        human=labels.human,
        human_share=labels.human_share,
        judge=labels.judge,
        prompt=labels.prompt,
        tags=tags.matrix[row_of],
        judge_probability=judge_probability[row_of],
        weight=weight,
    )


def _criteria(comparison_ids: IntArray) -> list[str]:
    ids = comparison_ids.tolist()
    found = dict(Comparison.objects.filter(pk__in=set(ids)).values_list("pk", "criterion"))
    return [found[pk] for pk in ids]


def _disagreement(part: Part, seed: int, criteria: list[str]) -> dict[str, Any]:
    """Fit P(human differs from the judge) on all double labels and store it as one formula.

    The model is logistic in the tags, so its log odds at the origin and at each unit vector are
    all there is to it. What it said about comparisons that it had not seen is kept too: accepted
    errors are calibrated on it.
    """
    rng = np.random.default_rng(seed)
    n_tags = part.tags.shape[1]
    with threads_for(part.tags.size):
        model = DisagreementModel().fit(
            part.tags.astype(np.float64), part.disagrees, part.prompt, rng
        )
    points = np.vstack([np.zeros(n_tags), np.eye(n_tags)])
    chance = np.clip(model.predict_proba(points), 1e-12, 1 - 1e-12)
    log_odds = np.log(chance) - np.log1p(-chance)
    names, codes = np.unique(criteria, return_inverse=True)
    shifts = CriterionCalibration().fit(model.out_of_fold_, part.disagrees, codes).shifts_
    return {
        "intercept": float(log_odds[0]),
        "coef": (log_odds[1:] - log_odds[0]).tolist(),
        "base_rate": model.base_rate_,
        "held_out": [round(float(p), 5) for p in model.out_of_fold_],
        "wrong": [int(w) for w in part.disagrees],
        "criterion_shifts": {str(names[code]): shift for code, shift in shifts.items()},
    }
