"""From a judge to whoever is asked for it. Loaded by workers only."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from random import Random

from django.conf import settings

from annotate.errors import ApplicationError
from modeling.judges.addresses import address_check, key_read
from modeling.judges.asking import Answers, Asker, Work, ask_all
from modeling.judges.client import Endpoint, JudgeClient, RawReply
from modeling.judges.limits import Wait, gate_of
from modeling.judges.plugins import PluginAsker
from modeling.judges.questions import Ask, request_options
from modeling.models import Judge

Provider = Judge.Provider


class ChatAsker:
    """Asks an OpenAI-compatible endpoint, many comparisons at a time."""

    batch_size = 1

    def __init__(self, judge: Judge, *, seed: int, wait: Wait) -> None:
        self.n_threads = settings.JUDGE_CONCURRENCY
        self._judge = judge
        self._allow_tie = judge.annotator.project.protocol.allow_tie
        self.client = chat_client(judge, seed=seed, wait=wait)

    def answer(self, works: Sequence[Work], stop: threading.Event) -> list[Answers]:
        """Ask in both orders."""
        return [ask_all(self, work, stop) for work in works]

    def tell(self, ask: Ask) -> RawReply:
        """Send one question."""
        # The schema of a reply hangs on how many responses are shown.
        options = request_options(
            self._judge, allow_tie=self._allow_tie, n_responses=len(ask.places)
        )
        return self.client.ask(ask.messages, max_tokens=ask.max_reply_tokens, options=options)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def chat_client(judge: Judge, *, seed: int, wait: Wait) -> JudgeClient:
    """Return the client of a judge's endpoint, with its key, limits and options."""
    address_check(judge.base_url)
    endpoint = Endpoint(
        base_url=judge.base_url,
        model=judge.model_name,
        api_key=key_read(judge.api_key_env),
        timeout_s=settings.JUDGE_TIMEOUT_S,
    )
    return JudgeClient(endpoint, rng=Random(seed), wait=wait, gate=gate_of(judge))


def asker_for(judge: Judge, *, seed: int, wait: Wait) -> Asker:
    """Return whoever is asked for a judge; ``wait`` sleeps and says whether the run was cancelled.

    Raises
    ------
    ApplicationError
        If the judge cannot be asked, or what it needs is not there.
    """
    if judge.provider == Provider.OPENAI:
        return ChatAsker(judge, seed=seed, wait=wait)
    if judge.provider == Provider.PLUGIN:
        return PluginAsker(judge)
    if judge.provider == Provider.LOCAL:
        from modeling.judges.local import LocalAsker

        return LocalAsker(judge)
    if judge.provider == Provider.REWARD_MODEL:
        from modeling.judges.silver import RewardModelAsker

        return RewardModelAsker(judge)
    raise ApplicationError(
        f"{judge} cannot be asked: its verdicts are recorded or combined from others.",
        field="judge",
    )
