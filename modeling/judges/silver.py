"""The project's own reward model as a judge: silver labels for what people have not seen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from annotate.errors import NotReady
from annotate.models import Project
from modeling.artifacts import artifact_load
from modeling.core.calibration import mean_probability
from modeling.core.judge_prompts import CombinedVerdict, JudgeAnswer, Verdict
from modeling.core.judge_rankings import combine_ranking
from modeling.core.types import FloatArray
from modeling.judges.asking import Answers, GivenVerdict, Work
from modeling.judges.local import STRENGTH_FROM
from modeling.models import Judge, RewardModel
from modeling.selectors import latest_reward_model

BATCH = 64


class RewardModelAsker:
    """Prefers the response with the higher reward; there is no order to be biased by."""

    batch_size = BATCH
    n_threads = 1

    def __init__(self, judge: Judge) -> None:
        model = judge.reward_model or _latest(judge.annotator.project)
        self._name = str(model)
        self._loaded = artifact_load(model)

    def answer(self, works: Sequence[Work], stop: threading.Event) -> list[Answers]:
        """Score all responses of every comparison."""
        prompts = [_prompt(work) for work in works for _ in work.question.responses]
        responses = [text for work in works for text in work.question.responses]
        rewards = self._loaded.member_rewards(prompts=prompts, responses=responses)
        ends = np.cumsum([work.n_responses for work in works])[:-1]
        return [self._answer(own) for own in np.split(rewards.astype(np.float64), ends, axis=1)]

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, members: FloatArray) -> Answers:
        """Judge by the members' rewards of one comparison's responses."""
        temperature = self._loaded.ensemble.temperature_
        pairs = list(combinations(range(members.shape[1]), 2))
        first, second = np.array(pairs).T
        gaps = members[:, first] - members[:, second]
        chances = mean_probability(gaps, temperature).tolist()
        if len(pairs) == 1:
            return self._given(_combined(chances[0]), chances[0], float(np.std(gaps)))
        said = [JudgeAnswer(_side(chance), _strength(chance)) for chance in chances]
        replies = {pair: ([one], [one]) for pair, one in zip(pairs, said, strict=True)}
        ranking = combine_ranking(replies, members.shape[1])
        extra = {"reward_model": self._name, "rewards": members.mean(axis=0).tolist()}
        return Answers(given=GivenVerdict(ranking, model=self._name, extra=extra))

    def _given(self, combined: CombinedVerdict, chance: float, spread: float) -> Answers:
        extra = {
            "reward_model": self._name,
            "reward_spread": spread,
            "first_probability": chance,
        }
        return Answers(given=GivenVerdict(combined, model=self._name, extra=extra))


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


def _prompt(work: Work) -> str:
    turns = work.question.turns
    if len(turns) == 1:
        return str(turns[0]["content"])
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def _latest(project: Project) -> RewardModel:
    model = latest_reward_model(project)
    if model is None:
        raise NotReady("There is no reward model yet: train one, then let it judge.")
    return model
