"""One comparison's questions and what came back, whoever is asked."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from modeling.core.judge_prompts import JudgeQuestion
from modeling.core.judge_rankings import CombinedRanking, RankingAnswer
from modeling.core.judge_replies import CombinedVerdict, JudgeAnswer
from modeling.core.judge_templates import PromptTemplate
from modeling.judges.client import EndpointRefused, QuestionFailed, RawReply
from modeling.judges.questions import ATTEMPTS, Ask, AskKey, answer_of


@dataclass(frozen=True)
class Asked:
    """One question with its reply, new or from the cache, and what it says."""

    ask: Ask
    reply: RawReply
    answer: JudgeAnswer | RankingAnswer | None
    is_cached: bool = False

    @property
    def first_probability(self) -> float | None:
        """P(the first canonical response is better) by token probabilities."""
        shown = self.reply.shown_first
        if shown is None or self.answer is None:
            return None
        return 1.0 - shown if self.ask.swapped else shown


@dataclass(frozen=True)
class GivenVerdict:
    """A verdict of something that is asked once and not in words, such as a verifier."""

    combined: CombinedVerdict | CombinedRanking
    reason: str = ""
    model: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """What came of a comparison's questions, and what went wrong where a reply is missing."""

    asked: list[Asked] = field(default_factory=list)
    failure: QuestionFailed | EndpointRefused | None = None
    given: GivenVerdict | None = None
    abstained: str = ""


@dataclass(frozen=True)
class Work:
    """One comparison with every question that it may need, and the replies that are known."""

    comparison_id: int
    question: JudgeQuestion
    metadata: Mapping[str, Any]
    asks: Mapping[AskKey, Ask]
    cached: Mapping[str, RawReply]
    template: PromptTemplate | None = None

    def to_pay(self) -> list[Ask]:
        """The questions that may have to be sent: those without a usable reply."""
        settled = {
            key[:3]
            for key, ask in self.asks.items()
            if ask.hash in self.cached and self.answer(ask, self.cached[ask.hash]) is not None
        }
        return [
            ask
            for key, ask in self.asks.items()
            if key[:3] not in settled and ask.hash not in self.cached
        ]

    @property
    def n_responses(self) -> int:
        """How many responses the comparison has."""
        return len(self.question.responses)

    def answer(self, ask: Ask, reply: RawReply) -> JudgeAnswer | RankingAnswer | None:
        """Read a reply to one of the questions; ``None`` when it does not parse."""
        return answer_of(
            reply.text,
            swapped=ask.swapped,
            allow_tie=self.question.allow_tie,
            template=self.template,
            n_responses=len(ask.places),
        )


class Asker(Protocol):
    """Whoever is asked: takes up to ``batch_size`` comparisons at once in ``n_threads`` threads.

    Askers never touch the database; they run in threads beside the one that writes.
    """

    batch_size: int
    n_threads: int

    def answer(self, works: Sequence[Work], stop: threading.Event) -> list[Answers]:
        """Return what each comparison came to, in the same order."""
        ...

    def close(self) -> None:
        """Let go of connections and memory."""
        ...


class Teller(Protocol):
    """Something that replies to one question in words."""

    def tell(self, ask: Ask) -> RawReply:
        """Return the reply."""
        ...


def ask_all(teller: Teller, work: Work, stop: threading.Event) -> Answers:
    """Ask in both orders, each reply once more if it does not parse; the cache costs nothing."""
    asked: list[Asked] = []
    # Equal responses make both orders one question, which is then asked once.
    known = dict(work.cached)
    try:
        for places, swapped, sample in dict.fromkeys(key[:3] for key in work.asks):
            for attempt in ATTEMPTS:
                ask = work.asks[places, swapped, sample, attempt]
                asked.append(_asked(teller, work, ask, known, stop))
                if asked[-1].answer is not None:
                    break
    except (QuestionFailed, EndpointRefused) as failure:
        return Answers(asked, failure)
    return Answers(asked)


def _asked(
    teller: Teller, work: Work, ask: Ask, known: dict[str, RawReply], stop: threading.Event
) -> Asked:
    cached = known.get(ask.hash)
    if cached is None and stop.is_set():
        raise QuestionFailed("the run was stopped")
    reply = cached or teller.tell(ask)
    known[ask.hash] = reply
    return Asked(ask, reply, work.answer(ask, reply), is_cached=cached is not None)
