"""Judges that are programs: a verifier, a tool, a script of your own (docs/asking-judges.md).

A plug-in is a callable ``judge(comparison) -> PluginVerdict | Abstain``. The operator allows it by
its dotted path in the setting JUDGE_PLUGINS; the built-in ones need no permission.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modeling.core.judge_rankings import MAX_PAIRS, combine_ranking, compared_pairs
from modeling.core.judge_replies import (
    MAX_STRENGTH,
    STRENGTH_PROBABILITY,
    CombinedVerdict,
    JudgeAnswer,
)
from modeling.core.judge_replies import Verdict as VerdictName
from modeling.judges.asking import Answers, GivenVerdict, Work
from modeling.judges.client import QuestionFailed
from modeling.judges.plugin_names import plugin_load
from modeling.models import Judge

N_THREADS = 4


@dataclass(frozen=True)
class PluginComparison:
    """What a plug-in sees: never who wrote a response, never anybody's verdict."""

    turns: Sequence[Mapping[str, str]]
    responses: tuple[str, str]
    criterion: str = ""
    guideline: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    allow_tie: bool = True


@dataclass(frozen=True)
class PluginVerdict:
    """A plug-in's verdict in the order of ``responses``.

    ``strength`` is 1 slightly, 2 clearly, 3 much better, 0 for a tie; ``probability`` is
    P(the first is better) where the plug-in knows it.
    """

    verdict: VerdictName
    strength: int
    reason: str = ""
    probability: float | None = None


@dataclass(frozen=True)
class Abstain:
    """A plug-in's refusal to judge this comparison; people get it."""

    reason: str = ""


Plugin = Callable[[PluginComparison], PluginVerdict | Abstain]


class PluginAsker:
    """Asks a plug-in, one comparison at a time in a few threads."""

    batch_size = 1
    n_threads = N_THREADS

    def __init__(self, judge: Judge) -> None:
        self._name = judge.plugin
        self._plugin: Plugin = plugin_load(judge.plugin, judge.options)

    def answer(self, works: Sequence[Work], stop: threading.Event) -> list[Answers]:
        """Return the plug-in's verdicts."""
        return [self._answer(work) for work in works]

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, work: Work) -> Answers:
        """Ask about the two responses, or about every two of more."""
        pairs = compared_pairs(work.n_responses, MAX_PAIRS)
        try:
            said = {pair: self._plugin(_shown(work, pair)) for pair in pairs}
        except Exception as error:
            # A plug-in is somebody else's code: whatever it raises costs this comparison only.
            return Answers(failure=QuestionFailed(f"{self._name}: {type(error).__name__}: {error}"))
        given = {pair: one for pair, one in said.items() if not isinstance(one, Abstain)}
        if not given:
            abstained = next(one.reason for one in said.values() if isinstance(one, Abstain))
            return Answers(abstained=abstained or f"{self._name} abstained.")
        odd = [one for one in given.values() if not _is_sound(one)]
        if odd:
            return Answers(
                failure=QuestionFailed(f"{self._name} returned no verdict: {odd[0]!r:.200}")
            )
        if len(pairs) == 1:
            return _given(given[pairs[0]], self._name)
        return _ranked(given, work.n_responses, self._name)


def _shown(work: Work, pair: tuple[int, int]) -> PluginComparison:
    question = work.question.about(pair)
    return PluginComparison(
        question.turns,
        (question.first, question.second),
        question.criterion,
        question.guideline,
        work.metadata,
        question.allow_tie,
    )


def _ranked(said: Mapping[tuple[int, int], PluginVerdict], n_responses: int, name: str) -> Answers:
    """Rank by the pairs on which the plug-in did not abstain; where nothing is said, all tie."""
    answers = {pair: JudgeAnswer(one.verdict, one.strength) for pair, one in said.items()}
    ranking = combine_ranking({pair: ([one], [one]) for pair, one in answers.items()}, n_responses)
    reason = next((one.reason for one in said.values() if one.reason), "")
    return Answers(given=GivenVerdict(ranking, reason, name))


def _given(said: PluginVerdict, name: str) -> Answers:
    if said.verdict == "tie":
        return Answers(
            given=GivenVerdict(
                CombinedVerdict("tie", 0.0, 0.5, is_conflict=False), said.reason, name
            )
        )
    sign = -1.0 if said.verdict == "first" else 1.0
    prior = STRENGTH_PROBABILITY[said.strength]
    probability = prior if said.verdict == "first" else 1.0 - prior
    extra = {}
    if said.probability is not None:
        probability = said.probability
        extra["first_probability"] = probability
    combined = CombinedVerdict(said.verdict, sign * said.strength, probability, is_conflict=False)
    return Answers(given=GivenVerdict(combined, said.reason, name, extra))


def _is_sound(said: object) -> bool:
    if not isinstance(said, PluginVerdict):
        return False
    if said.verdict == "tie":
        return said.strength == 0
    is_known = said.verdict in ("first", "second") and said.strength in range(1, MAX_STRENGTH + 1)
    return is_known and (said.probability is None or 0.0 <= said.probability <= 1.0)
