"""The project's own reward model as a judge: silver labels for what people have not seen."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from modeling.core.judge_prompts import CombinedVerdict
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
        """Score both responses of every comparison."""
        turns = [work.question.turns for work in works for _ in range(2)]
        texts = [text for work in works for text in (work.question.first, work.question.second)]
        members = self._scorer.members(turns, texts)
        first, second = members[:, 0::2], members[:, 1::2]
        _, spread = mean_and_spread(first - second)
        return [
            self._answer(float(chance), None if spread is None else float(spread[place]))
            for place, chance in enumerate(probability(first, second))
        ]

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, chance: float, spread: float | None) -> Answers:
        extra = {
            "reward_model": self._name,
            "reward_spread": spread,
            "first_probability": chance,
        }
        if chance == 0.5:
            tie = CombinedVerdict("tie", 0.0, 0.5, is_conflict=False)
            return Answers(given=GivenVerdict(tie, model=self._name, extra=extra))
        strength = sum(max(chance, 1.0 - chance) >= least for least in STRENGTH_FROM)
        combined = (
            CombinedVerdict("first", -float(strength), chance, is_conflict=False)
            if chance > 0.5
            else CombinedVerdict("second", float(strength), chance, is_conflict=False)
        )
        return Answers(given=GivenVerdict(combined, model=self._name, extra=extra))
