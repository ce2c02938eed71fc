"""One pass of a judge over comparisons: threads ask, one thread per worker writes rows.

Several workers may go through one run. The worker whose job it is goes through everything, waits
for what others have in hand and takes over what they leave; helpers take what nobody has.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from uuid import uuid4

from django.db import transaction
from django.db.models import Count, Q

from annotate.errors import ApplicationError, BudgetExhausted
from annotate.models import JobState, Preference
from modeling.judges.asking import Answers, Asker, Work
from modeling.judges.client import EndpointRefused
from modeling.judges.ledger import outcome_record, settle
from modeling.judges.providers import asker_for
from modeling.judges.questions import judgeable, largest_cost_usd
from modeling.judges.turns import (
    HEARTBEAT_SECONDS,
    CapReached,
    TurnLost,
    turn_end,
    turn_reserve,
    turn_take,
    turns_keep,
    turns_release,
)
from modeling.judges.work import WorkMaker
from modeling.models import JudgeOutcome, JudgeRun, JudgeTurn
from modeling.services.jobs import job_progress

FAILURES_IN_A_ROW = 10
"""Comparisons without a reply after which the endpoint is taken to be down."""
LOOK_AGAIN_SECONDS = 0.2
REPORT_SECONDS = 0.5
Kind = JudgeOutcome.Kind


@dataclass(frozen=True)
class Held:
    """Work that this worker has the turn for."""

    work: Work
    turn: JudgeTurn


Pending = dict[Future[list[Answers]], list[Held]]


class JudgeRunner:
    """Takes turns, asks, settles; the asking threads never touch the database."""

    def __init__(self, run: JudgeRun, *, helper: int = 0) -> None:
        self.run = run
        self.judge = run.judge
        self.project = run.judge.annotator.project
        self.holder = uuid4()
        self.is_helper = helper > 0
        self.stop = threading.Event()
        self.failures_in_a_row = 0
        self.last_problem = ""
        self._maker = WorkMaker(self.judge, self.project)
        self._todo = deque(_shifted(run.comparison_ids, helper, run.n_workers))
        self._busy: deque[int] = deque()
        self._ready: list[Held] = []
        self._pending: Pending = {}
        self._beaten = self._reported = time.monotonic()

    def execute(self) -> str:
        """Go through the comparisons; return the closing sentence.

        Raises
        ------
        ApplicationError
            If whoever is asked refuses every question, or has stopped answering.
        """
        if not self.is_helper:
            self._begin()
        asker = asker_for(self.judge, seed=self.holder.int, wait=self.stop.wait)
        try:
            return self._all(asker)
        finally:
            asker.close()
            turns_release(run=self.run, holder=self.holder)

    @transaction.atomic
    def _begin(self) -> None:
        """Take up where an earlier attempt ended: what failed is tried again."""
        turns_release(run=self.run)
        # Helpers of the earlier attempt may still be counting: they wait for the row.
        JudgeRun.objects.select_for_update().get(pk=self.run.pk)
        JudgeOutcome.objects.filter(run=self.run, kind=Kind.FAILED).delete()
        counts = JudgeOutcome.objects.filter(run=self.run).aggregate(
            n_done=Count("pk"),
            n_conflicts=Count("pk", filter=Q(is_conflict=True)),
            n_unparsed=Count("pk", filter=Q(kind=Kind.UNPARSED)),
            n_to_people=Count("pk", filter=Q(is_to_people=True)),
        )
        JudgeRun.objects.filter(pk=self.run.pk).update(n_failed=0, **counts)

    def _all(self, asker: Asker) -> str:
        ended = ""
        with ThreadPoolExecutor(asker.n_threads) as pool:
            try:
                while True:
                    ended = ended or self._fill(pool, asker)
                    if ended and not self._pending:
                        return self._summary(ended)
                    self._collect()
                    self._report()
            finally:
                self.stop.set()
                self._drain()

    def _fill(self, pool: ThreadPoolExecutor, asker: Asker) -> str:
        """Send work until all threads are busy; return why no more will be sent, if so."""
        while len(self._pending) < asker.n_threads:
            refusal = self._gather(asker.batch_size)
            if self._ready:
                held, self._ready = self._ready, []
                works = [one.work for one in held]
                self._pending[pool.submit(asker.answer, works, self.stop)] = held
            if refusal:
                # Reservations are larger than costs: what is in flight may leave room again.
                return "" if self._pending or self._others_hold_money() else refusal
            if not self._todo:
                return "" if self._pending or self._wait_for_others() else "done"
        return ""

    def _gather(self, batch_size: int) -> str:
        while self._todo and len(self._ready) < batch_size:
            comparison_id = self._todo.popleft()
            refusal = self._take(comparison_id)
            if refusal:
                self._todo.appendleft(comparison_id)
                return refusal
        return ""

    def _wait_for_others(self) -> bool:
        """Put back what other workers had in hand; return whether there is any."""
        if self._busy and not self.is_helper:
            self.stop.wait(LOOK_AGAIN_SECONDS)
            self._todo, self._busy = self._busy, deque()
            return True
        return False

    def _others_hold_money(self) -> bool:
        """Wait a little if other workers have questions of this run in flight."""
        others = JudgeTurn.objects.filter(run=self.run).exclude(holder=self.holder)
        return not self.is_helper and others.exists() and not self.stop.wait(LOOK_AGAIN_SECONDS)

    def _take(self, comparison_id: int) -> str:
        """Take the turn at a comparison and the money for it; return why there is no money."""
        if JudgeOutcome.objects.filter(run=self.run, comparison_id=comparison_id).exists():
            return ""
        turn = turn_take(run=self.run, comparison_id=comparison_id, holder=self.holder)
        if turn is None:
            self._busy.append(comparison_id)
            return ""
        # Looked at again under the turn: whoever had it before may have come to an end just now.
        made = self._made(comparison_id)
        if not isinstance(made, Work):
            self._close(turn, made)
            return ""
        try:
            refusal = self._reserve(turn, made)
        except TurnLost:
            self._busy.append(comparison_id)
            return ""
        if refusal:
            turn_end(turn=turn)
        else:
            self._ready.append(Held(made, turn))
        return refusal

    def _made(self, comparison_id: int) -> Work | JudgeOutcome | None:
        if JudgeOutcome.objects.filter(run=self.run, comparison_id=comparison_id).exists():
            return None
        labels = Preference.objects.filter(annotator=self.judge.annotator)
        if labels.filter(comparison_id=comparison_id).exists():
            return JudgeOutcome(comparison_id=comparison_id, kind=Kind.KNOWN)
        found = judgeable(self.judge).filter(pk=comparison_id)
        comparison = found.select_related("prompt").first()
        return None if comparison is None else self._maker.make(comparison)

    def _close(self, turn: JudgeTurn, outcome: JudgeOutcome | None) -> None:
        if outcome is not None:
            outcome.run = self.run
            outcome_record(outcome)
        turn_end(turn=turn)

    def _reserve(self, turn: JudgeTurn, work: Work) -> str:
        amount = largest_cost_usd(self.judge, work.to_pay())
        try:
            turn_reserve(turn=turn, run=self.run, project_id=self.project.pk, amount_usd=amount)
        except CapReached:
            return f"the cap of ${self.run.cap_usd} allows no further question"
        except BudgetExhausted:
            return "the project's budget allows no further question"
        return ""

    def _collect(self) -> None:
        finished, _ = wait(self._pending, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in finished:
            answered = future.result()
            for held, answers in zip(self._pending.pop(future), answered, strict=True):
                self._settle(held, answers)
                self._note(answers)

    def _settle(self, held: Held, answers: Answers) -> None:
        n_responses = held.work.n_responses
        settle(
            run=self.run,
            project=self.project,
            turn=held.turn,
            answers=answers,
            n_responses=n_responses,
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

    def _drain(self) -> None:
        """Keep replies that were paid for, whatever ended the run."""
        while self._pending:
            # Still alive to the others, who would ask again whatever fell silent.
            turns_keep(holder=self.holder)
            finished, _ = wait(
                self._pending, timeout=HEARTBEAT_SECONDS, return_when=FIRST_COMPLETED
            )
            for future in [*finished, *(one for one in self._pending if one.cancel())]:
                held = self._pending.pop(future, [])
                # What broke inside a thread has no answers; it was raised where it was met.
                if not future.cancelled() and future.exception() is None:
                    for one, answers in zip(held, future.result(), strict=True):
                        self._settle(one, answers)

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= HEARTBEAT_SECONDS:
            self._beaten = now
            turns_keep(holder=self.holder)
        if now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        if self.is_helper:
            self._follow()
            return
        self.run.refresh_from_db(fields=["n_done", "n_failed", "cost_usd"])
        n_seen = self.run.n_done + self.run.n_failed
        total = max(self.run.n_comparisons, 1)
        message = f"{n_seen:,} of {self.run.n_comparisons:,} comparisons, ${self.run.cost_usd:.4f}"
        job_progress(self.run, n_seen / total, message)

    def _follow(self) -> None:
        """Stop helping a run that is over or was cancelled."""
        self.run.refresh_from_db(fields=["state", "cancel_requested"])
        if self.run.cancel_requested or self.run.state != JobState.RUNNING:
            self._todo.clear()
            self.stop.set()

    def _summary(self, ended: str) -> str:
        run = self.run
        run.refresh_from_db()
        text = f"Judged {run.n_done:,} of {run.n_comparisons:,} comparisons for ${run.cost_usd:.4f}"
        if run.n_to_people:
            text += f"; {run.n_to_people:,} without a verdict went to people"
        if run.n_failed:
            # Empty where another worker met the problem.
            why = f" ({self.last_problem})" if self.last_problem else ""
            text += f"; {run.n_failed:,} got no reply{why}"
        return f"{text}." if ended == "done" else f"{text}; {ended}."


def _shifted(comparison_ids: list[int], helper: int, n_workers: int) -> list[int]:
    # Helpers begin elsewhere, so that workers seldom want the same comparison.
    start = len(comparison_ids) * helper // max(n_workers, 1)
    return comparison_ids[start:] + comparison_ids[:start]
