"""Arrays for the numeric work of routing: text statistics, judge signals and both labels.

Workers import this module; pages and API do not, because it loads numpy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from annotate.models import Annotator, Comparison, ComparisonResponse, Preference, Project
from modeling.judge_soft_labels import soft_labels
from routing import statistics_cache
from routing.bert_scores import BERT_SCORE, bert_scores, has_token_states, scores_version
from routing.columns import Category, as_category, low_cardinality_keys
from routing.core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from routing.core.features import STATISTIC_NAMES, text_statistics
from routing.models import PromptTags
from routing.signals import SIGNALS, JudgeVotes

if TYPE_CHECKING:
    from modeling.tables import LabelTable

Progress = Callable[[float, str], None]

_CHUNK = 1_000


@dataclass(frozen=True)
class FeatureTable:
    """What is known about comparisons before a human is asked, one row per comparison."""

    comparison_ids: IntArray
    statistics: FloatArray
    names: tuple[str, ...]
    categorical: dict[str, Category]
    judge_probability: FloatArray
    has_judge_label: BoolArray


@dataclass(frozen=True)
class DoubleLabels:
    """Response pairs that carry a human and a judge label.

    ``human`` is the strict majority, ``human_share`` the share of votes for the first response;
    ties are 0.5 in both.
    """

    comparison_ids: IntArray
    prompt: IntArray
    differences: Float32Array
    human: FloatArray
    human_share: FloatArray
    judge: FloatArray


def feature_table(
    *,
    project: Project,
    judge: Annotator,
    comparison_ids: IntArray,
    metadata_keys: Sequence[str] | None = None,
    encoder: str = "",
    progress: Progress | None = None,
) -> FeatureTable:
    """Describe comparisons by nine text statistics, metadata columns and judge signals.

    ``metadata_keys`` are those of an earlier study; left out, the low-cardinality ones are chosen.
    An ``encoder`` that reads tokens adds BERTScore to the nine.
    """
    values = statistics_cache.statistics_of(
        project_id=project.pk,
        comparison_ids=comparison_ids,
        compute=_chunk_statistics,
        progress=progress,
    )
    names: tuple[str, ...] = STATISTIC_NAMES
    if has_token_states(encoder):
        scores = statistics_cache.statistics_of(
            project_id=project.pk,
            comparison_ids=comparison_ids,
            compute=partial(_chunk_scores, encoder),
            name=scores_version(encoder),
            progress=progress,
        )
        values, names = np.hstack([values, scores]), (*names, BERT_SCORE)
    rows = {int(pk): row for row, pk in enumerate(comparison_ids)}
    signals, probability, has_label = _judge_signals(project, judge, rows)
    metadata = _metadata_columns(project, rows, metadata_keys)
    return FeatureTable(
        comparison_ids=comparison_ids,
        statistics=values,
        names=names,
        categorical=metadata | _prompt_tags(project, rows) | signals,
        judge_probability=probability,
        has_judge_label=has_label,
    )


def _chunk_statistics(ids: Sequence[int]) -> FloatArray:
    """Average the nine statistics over the response pairs of each comparison."""
    prompts = {
        comparison.pk: comparison.prompt.text
        for comparison in Comparison.objects.filter(pk__in=ids).select_related("prompt")
    }
    pairs = _response_pairs(ids)
    values = text_statistics(
        [prompts[ids[k]] for k, _, _ in pairs], [a for _, a, _ in pairs], [b for _, _, b in pairs]
    ).values
    return _mean_by_comparison(pairs, values, len(ids))


def _chunk_scores(encoder: str, ids: Sequence[int]) -> FloatArray:
    """Average BERTScore over the response pairs of each comparison."""
    pairs = _response_pairs(ids)
    scores = bert_scores(encoder, [a for _, a, _ in pairs], [b for _, _, b in pairs])
    return _mean_by_comparison(pairs, scores[:, None], len(ids))


def _response_pairs(ids: Sequence[int]) -> list[tuple[int, str, str]]:
    """Place of the comparison and both texts, of every pair of responses."""
    texts: dict[int, list[str]] = {pk: [] for pk in ids}
    slots = ComparisonResponse.objects.filter(comparison_id__in=ids)
    for pk, text in slots.order_by("comparison_id", "position").values_list(
        "comparison_id", "response__text"
    ):
        texts[pk].append(text)
    return [(k, a, b) for k, pk in enumerate(ids) for a, b in combinations(texts[pk], 2)]


def _mean_by_comparison(
    pairs: Sequence[tuple[int, str, str]], values: FloatArray, n: int
) -> FloatArray:
    owner = np.array([k for k, _, _ in pairs], dtype=np.int64)
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, owner, values)
    return np.asarray(sums / np.bincount(owner, minlength=n)[:, None], dtype=np.float64)


# --- Metadata -----------------------------------------------------------------------------------


def _metadata_columns(
    project: Project, rows: Mapping[int, int], keys: Sequence[str] | None
) -> dict[str, Category]:
    found = Comparison.objects.filter(project=project).values_list("pk", "metadata", "criterion")
    records = [
        (rows[pk], {**metadata, "criterion": criterion or None})
        for pk, metadata, criterion in found.iterator()
        if pk in rows
    ]
    chosen = low_cardinality_keys([r for _, r in records]) if keys is None else keys
    columns: dict[str, Category] = {f"meta.{key}": [None] * len(rows) for key in chosen}
    for row, record in records:
        for key in chosen:
            columns[f"meta.{key}"][row] = as_category(record.get(key))
    return columns


def _prompt_tags(project: Project, rows: Mapping[int, int]) -> dict[str, Category]:
    """What an LLM said about the prompts, the newest tagger's; no columns where none was asked."""
    newest = PromptTags.objects.filter(prompt__project=project).order_by("-pk").first()
    if newest is None:
        return {}
    said = dict(
        PromptTags.objects.filter(prompt__project=project, tagger=newest.tagger)
        .values_list("prompt_id", "values")
        .iterator()
    )
    columns: dict[str, Category] = {name: [None] * len(rows) for name in newest.values}
    found = Comparison.objects.filter(project=project).values_list("pk", "prompt_id")
    for pk, prompt_id in found.iterator():
        if pk in rows and prompt_id in said:
            for name, values in said[prompt_id].items():
                if name in columns:
                    columns[name][rows[pk]] = as_category(values)
    return columns


def metadata_keys_of(table: FeatureTable) -> list[str]:
    """The metadata keys behind a table's columns."""
    prefix = "meta."
    return [name.removeprefix(prefix) for name in table.categorical if name.startswith(prefix)]


# --- Judge signals ------------------------------------------------------------------------------


def _judge_signals(
    project: Project, judge: Annotator, rows: Mapping[int, int]
) -> tuple[dict[str, Category], FloatArray, BoolArray]:
    votes = _votes_by_row(project, rows)
    probability = np.full(len(rows), np.nan)
    has_label = np.zeros(len(rows), dtype=np.bool_)
    columns: dict[str, Category] = {name: [None] * len(rows) for name in SIGNALS}
    for row, given in votes.items():
        probability[row] = given.probability()
        has_label[row] = judge.pk in given.rankings
        for name, signal in SIGNALS.items():
            columns[name][row] = signal(given, judge.pk)
    return columns, probability, has_label


def _votes_by_row(project: Project, rows: Mapping[int, int]) -> dict[int, JudgeVotes]:
    fields = (
        "comparison_id",
        "annotator_id",
        "ranking",
        "probability",
        "extra__order_inconsistent",
    )
    found = Preference.objects.current().by_judges().filter(comparison__project=project)
    calibrated = soft_labels(project)
    votes: dict[int, JudgeVotes] = {}
    for pk, annotator, ranking, probability, conflict in found.values_list(*fields).iterator():
        if pk not in rows or ranking is None:
            continue
        given = votes.setdefault(rows[pk], JudgeVotes())
        value = calibrated.get((pk, annotator), probability)
        given.add(annotator, ranking, value, is_conflict=conflict)
    return votes


# --- Labels -------------------------------------------------------------------------------------


def double_labels(
    *, project: Project, judge: Annotator, encoder: str, progress: Progress | None = None
) -> DoubleLabels:
    """Read every response pair that has a human majority and a label of the judge."""
    from modeling.tables import label_table, response_features

    features = response_features(project=project, encoder=encoder, progress=progress)
    table = label_table(project=project, features=features)
    human, share = _human_labels(table)
    judged = _mean_vote(table, table.vote_annotator_id == judge.pk)
    rows = np.flatnonzero(~np.isnan(human) & ~np.isnan(judged))
    return DoubleLabels(
        comparison_ids=table.comparison_ids[rows],
        prompt=table.prompt_ids[rows],
        differences=features.features[table.first[rows]] - features.features[table.second[rows]],
        human=human[rows],
        human_share=share[rows],
        judge=judged[rows],
    )


def pool_differences(*, project: Project, comparison_ids: IntArray, encoder: str) -> Float32Array:
    """Feature differences of comparisons, first response less second; rankings by their ends."""
    from modeling.tables import response_features

    features = response_features(project=project, encoder=encoder)
    slots = ComparisonResponse.objects.filter(comparison__project=project)
    ends: dict[int, list[int]] = {}
    for pk, response in slots.order_by("comparison_id", "position").values_list(
        "comparison_id", "response_id"
    ):
        ends.setdefault(pk, []).append(response)
    ids = comparison_ids.tolist()
    rows = [
        np.searchsorted(features.response_ids, [ends[pk][end] for pk in ids]) for end in (0, -1)
    ]
    return features.features[rows[0]] - features.features[rows[1]]


def _human_labels(table: "LabelTable") -> tuple[FloatArray, FloatArray]:
    """Return strict majority and mean vote; an even split has no majority (NaN)."""
    human = table.vote_is_human.astype(np.bool_)
    n = len(table.comparison_ids)
    levels = np.array([1.0, 0.5, 0.0])
    counts = np.stack(
        [
            np.bincount(table.vote_row[human & (table.vote_value == level)], minlength=n)
            for level in levels
        ]
    )
    is_top = counts == counts.max(axis=0)
    unique = (is_top.sum(axis=0) == 1) & (counts.sum(axis=0) > 0)
    majority = np.where(unique, levels[counts.argmax(axis=0)], np.nan)
    return majority, _mean_vote(table, human)


def _mean_vote(table: "LabelTable", chosen: BoolArray) -> FloatArray:
    n = len(table.comparison_ids)
    rows = table.vote_row[chosen]
    count = np.bincount(rows, minlength=n)
    total = np.bincount(rows, weights=table.vote_value[chosen], minlength=n)
    mean: FloatArray = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return mean
