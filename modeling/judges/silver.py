"""The project's own reward model as a judge: silver labels for what people have not seen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from modeling.core.judge_rankings import combine_ranking
from modeling.core.judge_replies import CombinedVerdict, JudgeAnswer, Verdict
from modeling.core.types import FloatArray
from modeling.judges.asking import Answers, GivenVerdict, Work
from modeling.judges.local import STRENGTH_FROM
from modeling.models import Judge
from modeling.scoring import mean_and_spread, probability, scorer_for
from modeling.selectors import judging_model

BATCH = 64


class RewardModelAsker:
    """Prefers the response with the higher reward; there is no order to be biased by."""

    batch_size = BATCH
    n_threads = 1

    def __init__(self, judge: Judge) -> None:
        model = judge.reward_model or judging_model(judge.annotator.project)
        self._name = str(model)
        self._scorer = scorer_for(model)

    def answer(self, works: Sequence[Work], stop: threading.Event) -> list[Answers]:
        """Score all responses of every comparison."""
        turns = [work.question.turns for work in works for _ in work.question.responses]
        texts = [text for work in works for text in work.question.responses]
        members = self._scorer.members(turns, texts)
        ends = np.cumsum([work.n_responses for work in works])[:-1]
        return [self._answer(own) for own in np.split(members, ends, axis=1)]

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, members: FloatArray) -> Answers:
        """Judge by the members' rewards of one comparison's responses."""
        pairs = list(combinations(range(members.shape[1]), 2))
        first, second = np.array(pairs).T
        chances = probability(members[:, first], members[:, second]).tolist()
        if len(pairs) == 1:
            _, spread = mean_and_spread(members[:, first] - members[:, second])
            return self._given(chances[0], None if spread is None else float(spread[0]))
        said = [JudgeAnswer(_side(chance), _strength(chance)) for chance in chances]
        replies = {pair: ([one], [one]) for pair, one in zip(pairs, said, strict=True)}
        ranking = combine_ranking(replies, members.shape[1])
        extra = {"reward_model": self._name, "rewards": members.mean(axis=0).tolist()}
        return Answers(given=GivenVerdict(ranking, model=self._name, extra=extra))

    def _given(self, chance: float, spread: float | None) -> Answers:
        extra = {
            "reward_model": self._name,
            "reward_spread": spread,
            "first_probability": chance,
        }
        return Answers(given=GivenVerdict(_combined(chance), model=self._name, extra=extra))


def _combined(chance: float) -> CombinedVerdict:
    size = float(_strength(chance))
    signed = {"first": -size, "second": size, "tie": 0.0}
    verdict = _side(chance)
    return CombinedVerdict(verdict, signed[verdict], chance, is_conflict=False)


def _side(chance: float) -> Verdict:
    return "tie" if chance == 0.5 else "first" if chance > 0.5 else "second"


def _strength(chance: float) -> int:
    return (
        0 if chance == 0.5 else sum(max(chance, 1.0 - chance) >= least for least in STRENGTH_FROM)
    )
