"""Recorded comparisons of a file as the arrays that the numeric core reads; needs no database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from annotate.formats.base import PreferenceRecord
from annotate.formats.registry import AUTO, read_comparisons
from modeling.core.feature_scaler import FeatureScaler
from modeling.core.plackett_luce import Ranking
from modeling.core.reward_data import PairVotes, RankingVotes, Ratings, RewardData, Thumbs
from modeling.core.types import Float32Array, FloatArray, IntArray
from modeling.feature_pipeline import (
    block_scaler,
    counted_rows,
    encoded_rows,
    encoder_texts,
    text_encoder_for,
)
from modeling.text_encoders import TextEncoder

CACHE_FOLDER = "embeddings/recorded"
OVERALL = "overall"
NO_TEXT_ENCODER = "counts"
"""The readable counts alone, without any text encoder."""
PENALTY = "penalty"
"""Ratings under a name with this word in it are better when smaller."""


@dataclass
class _Codes:
    """Numbers things in the order in which they first appear."""

    numbers: dict[Any, int] = field(default_factory=dict)

    def __getitem__(self, key: Any) -> int:
        return self.numbers.setdefault(key, len(self.numbers))


class LabelCollector:
    """Collects verdicts of any kind into the arrays of a `RewardData`."""

    def __init__(self, criteria: _Codes | None = None) -> None:
        self._criteria = criteria or _Codes()
        # The overall choice is criterion 0 everywhere.
        self._overall = self._criteria[OVERALL]
        self.pairs: list[tuple[Any, ...]] = []
        self.ratings: list[tuple[Any, ...]] = []
        self.thumbs: list[tuple[int, int, int]] = []
        self.rankings: list[tuple[Ranking, int]] = []

    def add(self, preference: PreferenceRecord, rows: list[int], prompt: int, who: int) -> None:
        """Take one verdict on the responses whose feature rows are given."""
        if preference.verdict == "both_bad":
            self.thumbs.extend((row, 0, prompt) for row in rows)
        if preference.ranking is None:
            return
        self._add_pairs(preference, preference.ranking, rows, prompt, who)
        if len(set(rows)) > 2:
            # Systems may have answered alike; the response then keeps the better of its ranks.
            worst_first = sorted(zip(preference.ranking, rows, strict=True), reverse=True)
            best = {row: rank for rank, row in worst_first}
            items, ranks = np.array(list(best)), np.array(list(best.values()), dtype=np.int64)
            self.rankings.append((Ranking(items, ranks), prompt))
        self._add_ratings(_rated(preference, len(rows)), rows, prompt, who)

    def reward_data(self, features: Float32Array) -> RewardData:
        """Return what was collected, over a feature matrix."""
        rankings = RankingVotes(
            tuple(ranking for ranking, _ in self.rankings),
            np.array([prompt for _, prompt in self.rankings], dtype=np.int64),
        )
        return RewardData(
            features,
            PairVotes(*_split(self.pairs, "iiffiiif")),
            Ratings(*_split(self.ratings, "ifii")),
            Thumbs(*_split(self.thumbs, "iii")),
            rankings,
        )

    def _add_pairs(
        self,
        preference: PreferenceRecord,
        ranking: tuple[int, ...],
        rows: list[int],
        prompt: int,
        who: int,
    ) -> None:
        for one, two in _unlike(rows):
            target = 0.5 + 0.5 * float(np.sign(ranking[two] - ranking[one]))
            if len(rows) == 2 and preference.probability is not None:
                target = preference.probability
            strength = 0.0 if target == 0.5 else abs(preference.strength or 1.0)
            self.pairs.append(
                (
                    rows[one], rows[two], target, strength, who, self._overall, prompt,
                    1.0 / (len(rows) - 1),
                )
            )  # fmt: skip

    def _add_ratings(
        self, rated: dict[str, list[float]], rows: list[int], prompt: int, who: int
    ) -> None:
        for name, values in rated.items():
            if name == OVERALL or len(rated) == 1:
                pairs = zip(rows, values, strict=True)
                self.ratings.extend((row, value, who, prompt) for row, value in pairs)
                continue
            for one, two in _unlike(rows):
                target = 0.5 + 0.5 * float(np.sign(values[one] - values[two]))
                self.pairs.append(
                    (
                        rows[one], rows[two], target, float(target != 0.5), who,
                        self._criteria[name], prompt, 1.0 / (len(rows) - 1),
                    )
                )  # fmt: skip


def _unlike(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Places of two responses that differ."""
    return ((a, b) for a, b in combinations(range(len(rows)), 2) if rows[a] != rows[b])


@dataclass(frozen=True, eq=False)
class RecordedComparisons:
    """What a file holds.

    Parameters
    ----------
    n_comparisons : int
        Comparisons read.
    prompts, responses : list of str
        Prompt and text of every distinct response.
    response_prompt : ndarray of int64, shape (R,)
        Code of each response's prompt.
    human, judge : RewardData
        Labels by people and by judges, over an empty feature matrix.
    """

    n_comparisons: int
    prompts: list[str]
    responses: list[str]
    response_prompt: IntArray
    human: RewardData
    judge: RewardData

    def labels(self, features: Float32Array, labels: str) -> RewardData:
        """Return the labels of people, of judges, or of both, over a feature matrix."""
        chosen = {"human": (self.human,), "judge": (self.judge,), "both": (self.human, self.judge)}
        return joined(features, chosen[labels])

    def longer(self, votes: PairVotes) -> FloatArray:
        """Return 1 where the first response is longer, 0 where the second, 0.5 where equal."""
        lengths = np.array([len(text) for text in self.responses])
        gap = np.sign(lengths[votes.first] - lengths[votes.second])
        return np.asarray((gap + 1.0) / 2.0)


Note = Callable[[int, list[int], Mapping[str, Any]], None]


def read_recorded(
    path: Path, format: str = AUTO, *, note: Note | None = None
) -> RecordedComparisons:
    """Read every comparison of a file with its verdicts.

    ``note`` is told the row, the feature rows of the responses and the metadata of each.

    Raises
    ------
    FormatError
        If the file cannot be read, naming row and field.
    """
    prompts, responses = _Codes(), _Codes()
    annotators, criteria = {"human": _Codes(), "judge": _Codes()}, _Codes()
    found = {kind: LabelCollector(criteria) for kind in annotators}
    comparisons: set[str] = set()
    for record in read_comparisons(path, format):
        comparisons.add(record.external_id)
        prompt = prompts[record.prompt_text]
        rows = [responses[prompt, response.text] for response in record.responses]
        if note is not None:
            note(record.row, rows, record.metadata)
        for preference in record.preferences:
            who = annotators[preference.kind][preference.annotator]
            found[preference.kind].add(preference, rows, prompt, who)
    prompt_of = [prompt for prompt, _ in responses.numbers]
    texts = list(prompts.numbers)
    empty = np.zeros((len(prompt_of), 0), dtype=np.float32)
    return RecordedComparisons(
        n_comparisons=len(comparisons),
        prompts=[texts[prompt] for prompt in prompt_of],
        responses=[text for _, text in responses.numbers],
        response_prompt=np.array(prompt_of, dtype=np.int64),
        human=found["human"].reward_data(empty),
        judge=found["judge"].reward_data(empty),
    )


class RecordedColumns:
    """Columns fitted to the texts of one file, for its responses and for those of other files.

    Encoder and scales are fitted to the texts alone, never to a label.
    """

    def __init__(self, recorded: RecordedComparisons, encoder: str, *, cache: bool = True) -> None:
        self._folder = CACHE_FOLDER if cache else None
        counted = counted_rows(recorded.prompts, recorded.responses, folder=self._folder)
        self._counts = FeatureScaler().fit(counted)
        self._encoder: TextEncoder | None = None
        if encoder == NO_TEXT_ENCODER:
            return
        texts = [*recorded.prompts, *recorded.responses]
        self._encoder = text_encoder_for(encoder, texts, folder=CACHE_FOLDER)
        encoded = self._encoded(self._encoder, recorded)
        # Both blocks count alike: as much total variance as there are readable columns.
        self._scaler = block_scaler(encoded, float(counted.shape[1]))

    def rows(self, recorded: RecordedComparisons) -> Float32Array:
        """Return one row per response: the encoder's columns, then the readable counts, scaled."""
        counted = counted_rows(recorded.prompts, recorded.responses, folder=self._folder)
        counts = self._counts.transform(counted)
        if self._encoder is None:
            return counts
        encoded = self._scaler.transform(self._encoded(self._encoder, recorded))
        return np.ascontiguousarray(np.hstack([encoded, counts]), dtype=np.float32)

    def _encoded(self, encoder: TextEncoder, recorded: RecordedComparisons) -> Float32Array:
        read = encoder_texts(encoder, recorded.prompts, recorded.responses)
        return encoded_rows(encoder, read, folder=self._folder)


def recorded_features(
    recorded: RecordedComparisons, encoder: str, *, cache: bool = True
) -> Float32Array:
    """Return one row per response of a file, in columns fitted to its own texts."""
    return RecordedColumns(recorded, encoder, cache=cache).rows(recorded)


def human_truth(human: RewardData) -> PairVotes:
    """One row per pair with the mean human vote on the overall question."""
    votes = human.pairs.take(human.pairs.criterion == 0)
    keys = np.column_stack([votes.first, votes.second, votes.prompt])
    distinct, code = np.unique(keys, axis=0, return_inverse=True)
    count = np.bincount(code, minlength=len(distinct)).astype(np.float64)
    mean = np.bincount(code, votes.target, minlength=len(distinct)) / np.maximum(count, 1.0)
    nobody = np.zeros(len(distinct), dtype=np.int64)
    ones = np.ones(len(distinct))
    return PairVotes(
        distinct[:, 0], distinct[:, 1], np.clip(mean, 0.0, 1.0), ones, nobody, nobody,
        distinct[:, 2], ones,
    )  # fmt: skip


def joined(features: Float32Array, parts: Iterable[RewardData]) -> RewardData:
    """Put the labels of several sources over one feature matrix; annotators stay apart."""
    chosen = list(parts)
    pairs, ratings, shift = [], [], 0
    for part in chosen:
        pairs.append(_shifted(part.pairs, shift))
        ratings.append(_shifted(part.ratings, shift))
        shift += int(max(part.pairs.annotator.max(initial=-1), -1)) + 1
    rankings = tuple(own for part in chosen for own in part.rankings.rankings)
    return RewardData(
        features,
        PairVotes(*_columns(pairs)),
        Ratings(*_columns(ratings)),
        Thumbs(*_columns([part.thumbs for part in chosen])),
        RankingVotes(rankings, np.concatenate([part.rankings.prompt for part in chosen])),
    )


def _shifted(part: Any, shift: int) -> Any:
    values = {name: getattr(part, name) for name in part.__dataclass_fields__}
    return type(part)(**{**values, "annotator": values["annotator"] + shift})


def _columns(parts: list[Any]) -> Iterator[Any]:
    names = parts[0].__dataclass_fields__
    return (np.concatenate([getattr(part, name) for part in parts]) for name in names)


def _rated(preference: PreferenceRecord, n_responses: int) -> dict[str, list[float]]:
    """Ratings per aspect, larger is better, from either place where files keep them."""
    found: dict[str, list[float]] = {}
    for name, value in {**preference.aspects, **preference.ratings}.items():
        row = value.get("rating") if isinstance(value, dict) else value
        if not isinstance(row, list) or len(row) != n_responses:
            continue
        if all(isinstance(item, int | float) and not isinstance(item, bool) for item in row):
            sign = -1.0 if PENALTY in name else 1.0
            found[name] = [sign * float(item) for item in row]
    return found


def _split(rows: list[tuple[Any, ...]], kinds: str) -> Iterator[Any]:
    types = {"i": np.int64, "f": np.float64}
    for column, kind in enumerate(kinds):
        yield np.array([row[column] for row in rows], dtype=types[kind])


__all__ = [
    "NO_TEXT_ENCODER",
    "LabelCollector",
    "RecordedColumns",
    "RecordedComparisons",
    "human_truth",
    "joined",
    "read_recorded",
    "recorded_features",
]
