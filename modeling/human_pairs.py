"""What people labelled on chosen prompts, with the responses' texts. Runs in a worker only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from annotate.models import Project, Response
from modeling.core.types import BoolArray, FloatArray, IntArray
from modeling.scoring import Scorer, probability
from modeling.tables import label_table, response_features


@dataclass(frozen=True, eq=False)
class HumanPairs:
    """Pairs that people have labelled on some of a project's prompts.

    Parameters
    ----------
    responses
        The responses that the pairs are about.
    first, second : ndarray of int64, shape (n,)
        Places in ``responses``.
    target : ndarray of float64, shape (n,)
        The humans' mean vote for the first response.
    prompt, comparison : ndarray of int64, shape (n,)
        Prompt and comparison of each pair.
    first_share : float
        Share of the other labels that prefer the first response.
    """

    responses: list[Response]
    first: IntArray
    second: IntArray
    target: FloatArray
    prompt: IntArray
    comparison: IntArray
    first_share: float

    @property
    def longer(self) -> FloatArray:
        """1 where the first response is longer, 0 where the second is, 0.5 where equal."""
        length = np.array([len(response.text) for response in self.responses])
        sign: FloatArray = (np.sign(length[self.first] - length[self.second]) + 1.0) / 2.0
        return sign

    def predicted(self, scorer: Scorer) -> FloatArray:
        """Return a model's P(first preferred) of every pair."""
        members = scorer.members_of(self.responses)
        return probability(members[:, self.first], members[:, self.second])


def human_pairs(project: Project, chosen: Callable[[IntArray], BoolArray]) -> HumanPairs:
    """Read what people labelled on chosen prompts, as it stands now.

    Parameters
    ----------
    project
        Whose labels.
    chosen
        From prompts' primary keys to which of them to read.
    """
    features = response_features(project=project)
    table = label_table(project=project, features=features)
    target, n_votes = table.human_share()
    is_chosen = chosen(table.prompt_ids)
    rows = np.flatnonzero(is_chosen & (n_votes > 0))
    others = np.flatnonzero(~is_chosen & (n_votes > 0))
    used, places = np.unique(
        np.concatenate([table.first[rows], table.second[rows]]), return_inverse=True
    )
    return HumanPairs(
        responses=_responses(features.response_ids[used]),
        first=places[: rows.size],
        second=places[rows.size :],
        target=target[rows],
        prompt=table.prompt_ids[rows],
        comparison=table.comparison_ids[rows],
        first_share=float(target[others].mean()) if others.size else 0.5,
    )


def _responses(ids: IntArray) -> list[Response]:
    rows = Response.objects.filter(pk__in=ids.tolist()).select_related("prompt")
    found = {row.pk: row for row in rows.iterator(chunk_size=5_000)}
    return [found[pk] for pk in ids.tolist()]
