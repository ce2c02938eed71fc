"""A project's labels for acquisition: features, soft labels, and how each was picked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotate.models import Project, Prompt
from modeling.feature_pipeline import FeaturePipeline
from modeling.splits import is_held_out
from modeling.tables import LabelTable, ResponseFeatures, label_table, response_features
from routing.acquisition.features import Sides, leading_features
from routing.acquisition.posteriors import Labelled
from routing.choices import RANDOM_STRATEGY
from routing.core.acquisition.soft_labels import judge_accuracies, soft_targets
from routing.core.arrays import BoolArray, FloatArray, IntArray
from routing.models import AcquisitionPick

BEFORE, RANDOM, POLICY = 0, 1, 2


@dataclass(frozen=True, eq=False)
class ProjectLabels:
    """All pairs of a project, labelled or not.

    ``columns`` are the last layer's features, one row per response, and ``sides`` those of each
    pair. ``target`` is the people's mean vote where there is one, else what the judges' votes are
    worth; ``stream`` says whether a comparison was picked at random, by a strategy, or in no round.
    """

    features: ResponseFeatures
    table: LabelTable
    columns: FloatArray
    sides: Sides
    target: FloatArray
    weight: FloatArray
    has_human: BoolArray
    is_test: BoolArray
    stream: IntArray

    @property
    def typical_square(self) -> float:
        """Mean squared length of a difference."""
        return float((self.sides.differences**2).sum(axis=1).mean())

    def labelled(self, rows: IntArray) -> Labelled:
        """Soft labels of some pairs."""
        sides, prompts = self.sides.take(rows), self.table.prompt_ids[rows]
        return Labelled(sides, self.target[rows], self.weight[rows], prompts)


def project_labels(
    *, project: Project, encoder: str, pipeline: FeaturePipeline | None = None
) -> ProjectLabels:
    """Read features and labels of a project."""
    features = response_features(project=project, encoder=encoder, pipeline=pipeline)
    table = label_table(project=project, features=features)
    is_test = _is_test(project, table.prompt_ids)
    target, weight, has_human = _soft(table, is_test)
    columns = _columns(features, table)
    return ProjectLabels(
        features=features,
        table=table,
        columns=columns,
        sides=Sides(columns[table.first], columns[table.second]),
        target=target,
        weight=weight,
        has_human=has_human,
        is_test=is_test,
        stream=_streams(project, table.comparison_ids),
    )


def _columns(features: ResponseFeatures, table: LabelTable) -> FloatArray:
    length = features.features[:, features.state.names.index("log_characters")]
    return leading_features(features.features, length.astype(np.float64), table.first, table.second)


def _soft(table: LabelTable, is_test: BoolArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    human, human_weight = table.human_share()
    votes = ~table.vote_is_human
    vote, soft = table.vote_value[votes], table.vote_soft[votes]
    judge, row = table.vote_annotator_id[votes], table.vote_row[votes]
    # What is held out for tests teaches nothing, not even how good a judge is.
    accuracy = judge_accuracies(vote, judge, row, np.where(is_test, 0.5, human))
    # The vote stands for itself where the judge's map has not been fitted to people yet.
    calibrated = np.where(soft == vote, np.nan, soft)
    judged, judged_weight = soft_targets(
        vote, judge, row, accuracy, table.n_pairs, calibrated=calibrated
    )
    has_human = human_weight > 0
    weight = np.where(has_human, human_weight, judged_weight * table.pair_weight)
    return np.where(has_human, human, judged), weight, has_human


def _is_test(project: Project, prompt_ids: IntArray) -> BoolArray:
    hashes = Prompt.objects.filter(project=project).values_list("pk", "content_hash")
    held_out = np.array([pk for pk, digest in hashes if is_held_out(digest)], dtype=np.int64)
    return np.isin(prompt_ids, held_out)


def _streams(project: Project, comparison_ids: IntArray) -> IntArray:
    picks = AcquisitionPick.objects.filter(round__project=project).order_by("-round__number")
    first: dict[int, int] = {}
    for comparison, is_random, report in picks.values_list(
        "comparison_id", "is_random", "round__report"
    ).iterator():
        by_lot = is_random or report.get("strategy") == RANDOM_STRATEGY
        first[comparison] = RANDOM if by_lot else POLICY
    return np.array([first.get(pk, BEFORE) for pk in comparison_ids.tolist()], dtype=np.int64)
