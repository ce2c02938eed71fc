"""One pass of a judge over comparisons: questions go out in parallel, one thread writes rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from django.conf import settings
from django.db.models import F

from annotate.errors import ApplicationError, BudgetExhausted
from annotate.models import Comparison, Preference
from modeling.core.judge_prompts import JudgeAnswer
from modeling.judges.addresses import address_check, key_read
from modeling.judges.client import (
    Endpoint,
    EndpointRefused,
    JudgeClient,
    QuestionFailed,
    RawReply,
)
from modeling.judges.ledger import Asked, CapReached, release, reserve, settle
from modeling.judges.questions import (
    ATTEMPTS,
    ORDERS,
    Ask,
    answer_of,
    ask_of,
    largest_cost_usd,
    question_of,
)
from modeling.models import JudgeReply, JudgeRun
from modeling.services.jobs import job_progress

FAILURES_IN_A_ROW = 10
"""Comparisons without a reply after which the endpoint is taken to be down."""


@dataclass(frozen=True)
class Work:
    """One comparison with its four possible questions: two orders, each with one retry."""

    comparison_id: int
    asks: dict[tuple[bool, int], Ask]
    cached: dict[str, RawReply]
    largest_usd: Decimal
    allow_tie: bool

    def to_pay(self) -> list[Ask]:
        """The questions that may have to be sent: those of orders without a usable reply."""
        settled = {
            ask.swapped
            for ask in self.asks.values()
            if ask.hash in self.cached and self.answer(ask, self.cached[ask.hash]) is not None
        }
        return [
            ask
            for ask in self.asks.values()
            if ask.swapped not in settled and ask.hash not in self.cached
        ]

    def answer(self, ask: Ask, reply: RawReply) -> JudgeAnswer | None:
        """Read a reply to one of the questions; ``None`` when it does not parse."""
        return answer_of(reply.text, swapped=ask.swapped, allow_tie=self.allow_tie)


@dataclass(frozen=True)
class Answers:
    """The replies to a comparison's questions, and what went wrong where one is missing."""

    asked: list[Asked]
    failure: QuestionFailed | EndpointRefused | None = None


Pending = dict[Future[Answers], Work]


class JudgeRunner:
    """Asks, reserves, settles; threads only talk to the endpoint, never to the database."""

    def __init__(self, run: JudgeRun) -> None:
        self.run = run
        self.judge = run.judge
        self.project = run.judge.annotator.project
        self.stop = threading.Event()
        self.failures_in_a_row = 0
        self.last_problem = ""
        self._held_back: Work | None = None

    def execute(self) -> str:
        """Go through the comparisons; return the closing sentence.

        Raises
        ------
        ApplicationError
            If the endpoint refuses every question, or has stopped answering.
        """
        # An attempt that was killed may have left reservations; its replies are in the cache.
        release(run=self.run, project_id=self.project.pk)
        JudgeRun.objects.filter(pk=self.run.pk).update(
            n_done=0, n_conflicts=0, n_unparsed=0, n_failed=0
        )
        client = self._client()
        try:
            return self._all(client)
        finally:
            client.close()
            release(run=self.run, project_id=self.project.pk)

    def _client(self) -> JudgeClient:
        address_check(self.judge.base_url)
        endpoint = Endpoint(
            base_url=self.judge.base_url,
            model=self.judge.model_name,
            api_key=key_read(self.judge.api_key_env),
            timeout_s=settings.JUDGE_TIMEOUT_S,
        )
        return JudgeClient(endpoint, rng=Random(self.run.pk), wait=self.stop.wait)

    def _all(self, client: JudgeClient) -> str:
        ended = ""
        todo = self._work()
        pending: Pending = {}
        with ThreadPoolExecutor(settings.JUDGE_CONCURRENCY) as pool:
            try:
                while True:
                    ended = ended or self._fill(pool, client, todo, pending)
                    if not pending:
                        return self._summary(ended)
                    self._collect(pending)
                    self._report()
            finally:
                self.stop.set()
                self._drain(pending)

    def _fill(
        self, pool: ThreadPoolExecutor, client: JudgeClient, todo: Iterator[Work], pending: Pending
    ) -> str:
        """Send questions until all threads are busy; return why no more will be sent, if so."""
        while len(pending) < settings.JUDGE_CONCURRENCY:
            work = self._held_back or next(todo, None)
            if work is None:
                return "done"
            refusal = self._reserve(work)
            if refusal:
                # Reservations are larger than costs: what is in flight may leave room again.
                self._held_back = work
                return "" if pending else refusal
            self._held_back = None
            pending[pool.submit(ask_both_orders, client, work, self.stop)] = work
        return ""

    def _reserve(self, work: Work) -> str:
        try:
            reserve(run=self.run, project_id=self.project.pk, amount_usd=work.largest_usd)
        except CapReached:
            return f"the cap of ${self.run.cap_usd} allows no further question"
        except BudgetExhausted:
            return "the project's budget allows no further question"
        return ""

    def _work(self) -> Iterator[Work]:
        mine = Preference.objects.filter(annotator=self.judge.annotator)
        labelled = set(mine.values_list("comparison_id", flat=True))
        for comparison_id in self.run.comparison_ids:
            if comparison_id in labelled:
                JudgeRun.objects.filter(pk=self.run.pk).update(n_done=F("n_done") + 1)
                continue
            comparison = self._comparison(comparison_id)
            if comparison is not None:
                yield self._prepared(comparison)

    def _comparison(self, pk: int) -> Comparison | None:
        found = Comparison.objects.filter(pk=pk, project=self.project, n_responses=2)
        return found.select_related("prompt").first()

    def _prepared(self, comparison: Comparison) -> Work:
        question = question_of(comparison, project=self.project)
        asks = {
            (swapped, attempt): ask_of(
                self.judge, comparison.pk, question, swapped=swapped, attempt=attempt
            )
            for swapped in ORDERS
            for attempt in ATTEMPTS
        }
        cached = self._cached([ask.hash for ask in asks.values()])
        work = Work(comparison.pk, asks, cached, Decimal(0), question.allow_tie)
        return replace(work, largest_usd=largest_cost_usd(self.judge, work.to_pay()))

    def _cached(self, hashes: list[str]) -> dict[str, RawReply]:
        rows = JudgeReply.objects.filter(judge=self.judge, request_hash__in=hashes)
        return {
            row.request_hash: RawReply(
                row.text, row.model_reported, row.input_tokens, row.output_tokens, row.latency_ms
            )
            for row in rows
        }

    def _collect(self, pending: Pending) -> None:
        finished, _ = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in finished:
            answers = future.result()
            self._store(answers, pending.pop(future))
            self._note(answers)

    def _store(self, answers: Answers, work: Work) -> None:
        settle(
            run=self.run,
            judge=self.judge,
            project=self.project,
            asked=answers.asked,
            reserved_usd=work.largest_usd,
            is_failed=answers.failure is not None,
        )

    def _note(self, answers: Answers) -> None:
        if answers.failure is None:
            self.failures_in_a_row = 0
            return
        self.failures_in_a_row += 1
        self.last_problem = str(answers.failure)
        if isinstance(answers.failure, EndpointRefused):
            raise ApplicationError(self.last_problem)
        if self.failures_in_a_row >= FAILURES_IN_A_ROW:
            raise ApplicationError(
                f"The last {FAILURES_IN_A_ROW} comparisons got no reply: {self.last_problem} The "
                "labels so far are kept; start the run again when the endpoint is back."
            )

    def _drain(self, pending: Pending) -> None:
        """Keep replies that were paid for, whatever ended the run."""
        for future, work in pending.items():
            if not future.cancel():
                self._store(future.result(), work)
        pending.clear()

    def _report(self) -> None:
        self.run.refresh_from_db(fields=["n_done", "n_failed", "cost_usd"])
        n_seen = self.run.n_done + self.run.n_failed
        total = max(self.run.n_comparisons, 1)
        message = f"{n_seen:,} of {self.run.n_comparisons:,} comparisons, ${self.run.cost_usd:.4f}"
        job_progress(self.run, n_seen / total, message)

    def _summary(self, ended: str) -> str:
        run = self.run
        run.refresh_from_db()
        text = f"Judged {run.n_done:,} of {run.n_comparisons:,} comparisons for ${run.cost_usd:.4f}"
        if run.n_failed:
            text += f"; {run.n_failed:,} got no reply ({self.last_problem})"
        return f"{text}." if ended == "done" else f"{text}; {ended}."


def ask_both_orders(client: JudgeClient, work: Work, stop: threading.Event) -> Answers:
    """Ask in both orders, each once more if its reply does not parse; the cache costs nothing."""
    asked: list[Asked] = []
    try:
        for swapped in ORDERS:
            for attempt in ATTEMPTS:
                asked.append(_ask(client, work, work.asks[swapped, attempt], stop))
                if asked[-1].answer is not None:
                    break
    except (QuestionFailed, EndpointRefused) as failure:
        return Answers(asked, failure)
    return Answers(asked)


def _ask(client: JudgeClient, work: Work, ask: Ask, stop: threading.Event) -> Asked:
    cached = work.cached.get(ask.hash)
    if cached is None and stop.is_set():
        raise QuestionFailed("the run was stopped")
    reply = cached or client.ask(ask.messages)
    return Asked(ask, reply, work.answer(ask, reply), is_cached=cached is not None)
