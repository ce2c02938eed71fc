"""Rows of the database as the arrays that the numeric cores read. Never imported by web code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from annotate.errors import NotReady
from annotate.models import Annotator, ComparisonResponse, Preference, Project, Prompt, Response
from modeling.core.feature_scaler import FeatureScaler
from modeling.core.types import BoolArray, Float32Array, FloatArray, IntArray, PairwiseData
from modeling.embeddings import Report
from modeling.encoder_names import TFIDF
from modeling.feature_pipeline import (
    FeaturePipeline,
    block_scaler,
    counted_rows,
    encoded_rows,
    encoder_texts,
    forget_other_versions,
    text_encoder_for,
)
from modeling.judge_soft_labels import SoftLabels, soft_labels
from modeling.row_blocks import row_blocks
from modeling.text_encoders import TextEncoder


@dataclass(frozen=True, eq=False)
class ResponseFeatures:
    """One feature row per response of a project.

    Parameters
    ----------
    response_ids : ndarray of int64, shape (R,)
        Primary keys, ascending.
    prompt_ids : ndarray of int64, shape (R,)
        Prompt of each response.
    features : ndarray of float32, shape (R, d)
        Scaled encoder columns, then scaled readable counts.
    encoder : str
        Name of the text encoder.
    state : FeaturePipeline
        What turns further texts into the same columns; artifacts keep it.
    """

    response_ids: IntArray
    prompt_ids: IntArray
    features: Float32Array
    encoder: str
    state: FeaturePipeline


@dataclass(frozen=True, eq=False)
class LabelTable:
    """All pairs of a project's comparisons with the current votes on them.

    A comparison of K responses stands as its K(K-1)/2 pairs; one without votes has rows all the
    same. Verdicts without direction for the pair (both bad, cannot judge) give no vote.

    Parameters
    ----------
    comparison_ids, prompt_ids : ndarray of int64, shape (n,)
        Comparison and prompt of each pair.
    first, second : ndarray of int64, shape (n,)
        Rows of ``ResponseFeatures.features`` that the pair compares, in canonical order.
    vote_row : ndarray of int64, shape (m,)
        Pair that each vote is about.
    vote_annotator_id : ndarray of int64, shape (m,)
        Who gave it.
    vote_is_human : ndarray of bool, shape (m,)
        Whether that is a person.
    vote_value : ndarray of float64, shape (m,)
        1 first preferred, 0 second preferred, 0.5 tie.
    pair_weight : ndarray of float64, shape (n,), optional
        1 / (K - 1), so that a ranking of K counts as K / 2 comparisons; ones when left out.
    vote_soft : ndarray of float64, shape (m,), optional
        P(first preferred) that each vote stands for: a calibrated judge's probability, else the
        vote itself; the votes when left out.
    """

    comparison_ids: IntArray
    prompt_ids: IntArray
    first: IntArray
    second: IntArray
    vote_row: IntArray
    vote_annotator_id: IntArray
    vote_is_human: BoolArray
    vote_value: FloatArray
    pair_weight: FloatArray = field(default_factory=lambda: np.empty(0))
    vote_soft: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        """Give every pair weight one, and every vote its own value, where none were passed."""
        if self.pair_weight.size != self.comparison_ids.size:
            object.__setattr__(self, "pair_weight", np.ones(self.comparison_ids.size))
        if self.vote_soft.size != self.vote_value.size:
            object.__setattr__(self, "vote_soft", self.vote_value)

    @property
    def n_pairs(self) -> int:
        """Number of pairs, labelled or not."""
        return int(self.comparison_ids.size)

    def human_share(self, rows: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the humans' mean vote on each row and how many votes (times weight) it stands on.

        Rows without a human vote have target 0.5 and weight 0.
        """
        return self._share(self.vote_is_human, rows)

    def judge_share(self, rows: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the judges' mean probability on each row, as ``human_share``."""
        return self._share(~self.vote_is_human, rows, self.vote_soft)

    def judge_target(
        self, annotator_id: int, rows: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return one annotator's mean vote on each row, as ``human_share``."""
        return self._share(self.vote_annotator_id == annotator_id, rows)

    def pairwise_data(
        self, features: Float32Array, target: FloatArray, weight: FloatArray
    ) -> PairwiseData:
        """Join all rows with features and labels in the core's own type."""
        return PairwiseData(
            features=features,
            first=self.first,
            second=self.second,
            target=target,
            weight=weight,
            prompt=self.prompt_ids,
        )

    def _share(
        self, chosen: BoolArray, rows: IntArray | None, votes: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        pairs = self.vote_row[chosen]
        values = (self.vote_value if votes is None else votes)[chosen]
        counts = np.bincount(pairs, minlength=self.n_pairs).astype(np.float64)
        sums = np.bincount(pairs, values, minlength=self.n_pairs)
        target = np.divide(sums, counts, out=np.full(self.n_pairs, 0.5), where=counts > 0)
        weight = counts * self.pair_weight
        return (target, weight) if rows is None else (target[rows], weight[rows])


def embeddings_folder(project_id: int) -> str:
    """Return where the cached vectors of a project lie."""
    return f"embeddings/{project_id}"


def response_features(
    *,
    project: Project,
    encoder: str = TFIDF,
    progress: Report | None = None,
    pipeline: FeaturePipeline | None = None,
    last_comparison_id: int | None = None,
) -> ResponseFeatures:
    """Encode every response of a project, from the cache where it can be.

    Parameters
    ----------
    project
        Whose responses.
    encoder
        A name that ``encoder_require`` takes.
    progress
        Called with the fraction done and a sentence; raises to cancel.
    pipeline
        Encode as a trained model does, instead of fitting to the project as it stands.
    last_comparison_id
        Leave out responses that only later comparisons show, as a dataset version does; what is
        fitted then stays the same whatever is imported later.

    Raises
    ------
    NotReady
        If the project has no responses.
    ApplicationError
        If the encoder is unknown or not installed.
    """
    ids, prompt_ids, prompts, responses = _texts(project, last_comparison_id)
    folder = embeddings_folder(project.pk)
    chosen = pipeline.encoder if pipeline else _encoder(encoder, prompts, responses, folder)
    texts = encoder_texts(chosen, prompts, responses)
    encoded = encoded_rows(chosen, texts, folder=folder, progress=progress)
    counted = counted_rows(prompts, responses, folder=folder)
    if pipeline is None:
        forget_other_versions(folder, chosen)
        # The two blocks get the same weight in the prior.
        encoded_scaler = block_scaler(encoded, total_variance=counted.shape[1])
        pipeline = FeaturePipeline(chosen, encoded_scaler, FeatureScaler().fit(counted))
    return ResponseFeatures(
        response_ids=ids,
        prompt_ids=prompt_ids,
        features=pipeline.scaled(encoded, counted),
        encoder=chosen.name,
        state=pipeline,
    )


def prompt_embeddings(*, project: Project, encoder: str = TFIDF) -> tuple[IntArray, Float32Array]:
    """Encode every prompt of a project at unit length.

    Returns
    -------
    prompt_ids : ndarray of int64, shape (P,)
        Primary keys, ascending.
    embeddings : ndarray of float32, shape (P, p)
        One row per prompt.
    """
    folder = embeddings_folder(project.pk)
    chosen = _prompt_encoder(project, encoder, folder)
    texts = _prompt_texts(project)
    rows = encoded_rows(chosen, list(texts.values()), folder=folder)
    _bring_to_unit_length(rows)
    return np.array(list(texts), dtype=np.int64), rows


def _prompt_encoder(project: Project, name: str, folder: str) -> TextEncoder:
    if name != TFIDF:
        # It is not fitted, so the texts of all responses need not be read.
        return text_encoder_for(name, (), folder=folder)
    _, _, prompts, responses = _texts(project)
    return _encoder(name, prompts, responses, folder)


def _bring_to_unit_length(rows: Float32Array) -> None:
    """Divide rows by their lengths in place: of a million prompts there must be one copy."""
    for block in row_blocks(len(rows)):
        part = rows[block]
        lengths = np.linalg.norm(part, axis=1, keepdims=True)
        np.divide(part, lengths, out=part, where=lengths > 0)


def label_table(
    *, project: Project, features: ResponseFeatures, last_preference_id: int | None = None
) -> LabelTable:
    """Read all pairs of a project and the current votes on them.

    Parameters
    ----------
    project
        Whose labels.
    features
        The rows that ``first`` and ``second`` point into.
    last_preference_id
        Read the labels as they stood when this was the newest row (a dataset version).
    """
    pairs = _Pairs(features.response_ids)
    for comparison_id, prompt_id, response_ids in _comparisons(project):
        pairs.add(comparison_id, prompt_id, response_ids)
    votes = _Votes(pairs)
    for vote in _current_votes(project, last_preference_id):
        votes.add(*vote)
    soft = soft_labels(project, last_preference_id=last_preference_id)
    return LabelTable(
        comparison_ids=np.array(pairs.comparison_ids, dtype=np.int64),
        prompt_ids=np.array(pairs.prompt_ids, dtype=np.int64),
        first=np.array(pairs.first, dtype=np.int64),
        second=np.array(pairs.second, dtype=np.int64),
        vote_row=np.array(votes.row, dtype=np.int64),
        vote_annotator_id=np.array(votes.annotator_id, dtype=np.int64),
        vote_is_human=np.array(votes.is_human, dtype=np.bool_),
        vote_value=np.array(votes.value, dtype=np.float64),
        pair_weight=np.array(pairs.weight, dtype=np.float64),
        vote_soft=np.array(votes.soft(soft, pairs.comparison_ids), dtype=np.float64),
    )


class _Pairs:
    """Collects the pairs of comparisons; responses that have no features leave theirs out."""

    def __init__(self, response_ids: IntArray) -> None:
        self._row_of = {int(pk): row for row, pk in enumerate(response_ids)}
        self.start: dict[int, int] = {}
        self.comparison_ids: list[int] = []
        self.prompt_ids: list[int] = []
        self.first: list[int] = []
        self.second: list[int] = []
        self.weight: list[float] = []

    def add(self, comparison_id: int, prompt_id: int, response_ids: list[int]) -> None:
        """Append all pairs of one comparison, in canonical order."""
        rows = [self._row_of.get(pk, -1) for pk in response_ids]
        if min(rows) < 0:
            return
        self.start[comparison_id] = len(self.first)
        for first, second in _places(len(rows)):
            self.comparison_ids.append(comparison_id)
            self.prompt_ids.append(prompt_id)
            self.first.append(rows[first])
            self.second.append(rows[second])
            self.weight.append(1.0 / (len(rows) - 1))


class _Votes:
    """Collects one vote per pair that a ranking decides or ties."""

    def __init__(self, pairs: _Pairs) -> None:
        self._start = pairs.start
        self.row: list[int] = []
        self.annotator_id: list[int] = []
        self.is_human: list[bool] = []
        self.value: list[float] = []

    def add(self, comparison_id: int, annotator_id: int, kind: str, ranking: list[int]) -> None:
        """Append the votes of one preference."""
        start = self._start.get(comparison_id)
        if start is None:
            return
        for offset, (first, second) in enumerate(_places(len(ranking))):
            self.row.append(start + offset)
            self.annotator_id.append(annotator_id)
            self.is_human.append(kind == Annotator.Kind.HUMAN)
            self.value.append(_vote(ranking[first], ranking[second]))

    def soft(self, known: SoftLabels, comparison_ids: list[int]) -> list[float]:
        """Return what each vote stands for: a calibrated probability where there is one."""
        rows = zip(self.row, self.annotator_id, self.value, strict=True)
        return [known.get((comparison_ids[row], who), value) for row, who, value in rows]


def _places(n_responses: int) -> Iterable[tuple[int, int]]:
    return ((a, b) for a in range(n_responses) for b in range(a + 1, n_responses))


def _vote(rank_first: int, rank_second: int) -> float:
    return 0.5 if rank_first == rank_second else float(rank_first < rank_second)


def _comparisons(project: Project) -> Iterable[tuple[int, int, list[int]]]:
    rows = (
        ComparisonResponse.objects.filter(comparison__project=project)
        .order_by("comparison_id", "position")
        .values_list("comparison_id", "comparison__prompt_id", "response_id")
    )
    current: tuple[int, int, list[int]] | None = None
    for comparison_id, prompt_id, response_id in rows.iterator(chunk_size=10_000):
        if current is None or current[0] != comparison_id:
            if current is not None:
                yield current
            current = (comparison_id, prompt_id, [])
        current[2].append(response_id)
    if current is not None:
        yield current


def _current_votes(
    project: Project, last_preference_id: int | None
) -> Iterable[tuple[int, int, str, list[int]]]:
    rows = Preference.objects.votes().filter(comparison__project=project, ranking__isnull=False)
    if last_preference_id is None:
        rows = rows.current()
    else:
        rows = rows.filter(pk__lte=last_preference_id).exclude(
            superseded_by__pk__lte=last_preference_id
        )
    fields = ("comparison_id", "annotator_id", "annotator__kind", "ranking")
    return rows.order_by("pk").values_list(*fields).iterator(chunk_size=10_000)


def _encoder(name: str, prompts: list[str], responses: list[str], folder: str) -> TextEncoder:
    return text_encoder_for(name, [*prompts, *responses], folder=folder)


def _texts(
    project: Project, last_comparison_id: int | None = None
) -> tuple[IntArray, IntArray, list[str], list[str]]:
    prompt_of = _prompt_texts(project)
    chosen = Response.objects.filter(prompt__project=project)
    if last_comparison_id is not None:
        shown = ComparisonResponse.objects.filter(comparison_id__lte=last_comparison_id)
        chosen = chosen.filter(pk__in=shown.values("response_id"))
    rows = chosen.order_by("pk").values_list("pk", "prompt_id", "text")
    found = [row for row in rows.iterator(chunk_size=5_000) if row[1] in prompt_of]
    if not found:
        raise NotReady("This project has no responses yet. Import comparisons first.")
    ids = np.array([row[0] for row in found], dtype=np.int64)
    prompt_ids = np.array([row[1] for row in found], dtype=np.int64)
    return ids, prompt_ids, [prompt_of[row[1]] for row in found], [row[2] for row in found]


def _prompt_texts(project: Project) -> dict[int, str]:
    prompts = Prompt.objects.filter(project=project).order_by("pk")
    return {prompt.pk: prompt.text for prompt in prompts.iterator(chunk_size=5_000)}
