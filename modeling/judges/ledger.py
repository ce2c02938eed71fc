"""Money and replies of a judge run: reserved before a question is sent, settled with the reply."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from annotate.models import Preference, Project
from annotate.services.assignments import project_commit_money, project_release_money
from annotate.services.preferences import project_writers_lock
from modeling.core.judge_prompts import MAX_STRENGTH, CombinedVerdict, JudgeAnswer, combine
from modeling.judges.client import RawReply
from modeling.judges.questions import Ask, cost_usd
from modeling.models import Judge, JudgeReply, JudgeRun

NAMESPACE = uuid.UUID("5f0c2b2e-6d3f-4f7c-9a39-0a1a1d8e3a10")
RANKINGS = {"first": [0, 1], "second": [1, 0], "tie": [0, 0]}


class CapReached(Exception):
    """The next question could pass the run's cap."""


@dataclass(frozen=True)
class Asked:
    """One question with its reply, new or from the cache, and what it says."""

    ask: Ask
    reply: RawReply
    answer: JudgeAnswer | None
    is_cached: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one comparison came to."""

    is_failed: bool = False
    is_conflict: bool = False
    is_unparsed: bool = False


@transaction.atomic
def reserve(*, run: JudgeRun, project_id: int, amount_usd: Decimal) -> None:
    """Hold dollars of the run's cap and of the project's budget.

    Raises
    ------
    CapReached
        If the run's cap could be passed.
    BudgetExhausted
        If the project's budget could be passed.
    """
    within = Q(cap_usd__isnull=True) | Q(
        cap_usd__gte=F("cost_usd") + F("reserved_usd") + amount_usd
    )
    rows = JudgeRun.objects.filter(within, pk=run.pk)
    if not rows.update(reserved_usd=F("reserved_usd") + amount_usd):
        raise CapReached
    project_commit_money(project_id=project_id, amount_usd=amount_usd)


@transaction.atomic
def release(*, run: JudgeRun, project_id: int) -> None:
    """Give back everything that a run still holds, for questions that nobody waits for any more."""
    held = JudgeRun.objects.select_for_update().get(pk=run.pk).reserved_usd
    if held:
        JudgeRun.objects.filter(pk=run.pk).update(reserved_usd=0)
        project_release_money(project_id=project_id, amount_usd=held)


@transaction.atomic
def settle(
    *,
    run: JudgeRun,
    judge: Judge,
    project: Project,
    asked: list[Asked],
    reserved_usd: Decimal,
    is_failed: bool = False,
) -> Outcome:
    """Store replies and verdict of one comparison and turn the reservation into its true cost.

    With ``is_failed`` a question got no reply: the replies that were paid for are kept for the next
    run, and there is no verdict.
    """
    new = [one for one in asked if not one.is_cached]
    replies = [_reply(judge, one) for one in new]
    JudgeReply.objects.bulk_create(replies, ignore_conflicts=True)
    cost = sum((reply.cost_usd for reply in replies), Decimal(0))
    project_release_money(project_id=project.pk, amount_usd=reserved_usd - cost)
    outcome = Outcome(is_failed=True) if is_failed else _record(judge, project, asked, cost)
    JudgeRun.objects.filter(pk=run.pk).update(
        reserved_usd=F("reserved_usd") - reserved_usd,
        cost_usd=F("cost_usd") + cost,
        input_tokens=F("input_tokens") + sum(reply.input_tokens for reply in replies),
        output_tokens=F("output_tokens") + sum(reply.output_tokens for reply in replies),
        n_done=F("n_done") + int(not outcome.is_failed),
        n_failed=F("n_failed") + int(outcome.is_failed),
        n_conflicts=F("n_conflicts") + int(outcome.is_conflict),
        n_unparsed=F("n_unparsed") + int(outcome.is_unparsed),
    )
    return outcome


def _reply(judge: Judge, asked: Asked) -> JudgeReply:
    reply, answer = asked.reply, asked.answer
    return JudgeReply(
        judge=judge,
        comparison_id=asked.ask.comparison_id,
        order_swapped=asked.ask.swapped,
        attempt=asked.ask.attempt,
        request_hash=asked.ask.hash,
        # PostgreSQL cannot store the NUL character that a broken model may send.
        text=reply.text.replace("\x00", "\ufffd"),
        verdict=answer.verdict if answer else "",
        strength=answer.strength if answer else None,
        model_reported=reply.model_reported,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost_usd=cost_usd(
            judge, input_tokens=reply.input_tokens, output_tokens=reply.output_tokens
        ),
        latency_ms=reply.latency_ms,
    )


def _record(judge: Judge, project: Project, asked: list[Asked], cost: Decimal) -> Outcome:
    answers = {one.ask.swapped: one.answer for one in asked if one.answer is not None}
    if len(answers) < 2:
        return Outcome(is_unparsed=True)
    combined = combine(answers[False], answers[True])
    may_tie = project.protocol.allow_tie and judge.conflict_policy == Judge.ConflictPolicy.TIE
    if not combined.is_conflict or may_tie:
        _preference(judge, project, asked, combined, cost)
    return Outcome(is_conflict=combined.is_conflict)


def _preference(
    judge: Judge, project: Project, asked: list[Asked], combined: CombinedVerdict, cost: Decimal
) -> None:
    project_writers_lock(project_id=project.pk)
    comparison_id = asked[0].ask.comparison_id
    name = f"{judge.pk}:{comparison_id}:{judge.prompt_version}:{judge.model_name}"
    is_tie = combined.verdict == "tie"
    preference = Preference(
        comparison_id=comparison_id,
        annotator=judge.annotator,
        protocol=project.protocol,
        verdict=Preference.Verdict.TIE if is_tie else Preference.Verdict.RANKED,
        ranking=RANKINGS[combined.verdict],
        strength=_on_scale(combined.strength, project.protocol.max_strength),
        rationale=_reason(asked),
        probability=combined.probability,
        cost_usd=cost,
        source=Preference.Source.JUDGE,
        idempotency_key=uuid.uuid5(NAMESPACE, name),
        extra=_extra(judge, asked, combined),
    )
    # A judge has one standing verdict on a comparison: that of the run that was faster.
    Preference.objects.bulk_create([preference], ignore_conflicts=True)


def _on_scale(strength: float, max_strength: int) -> float:
    size = ceil(abs(strength) / MAX_STRENGTH * max_strength)
    return float(size if strength > 0 else -size)


def _reason(asked: list[Asked]) -> str:
    return next((one.answer.reason for one in asked if one.answer and one.answer.reason), "")


def _extra(judge: Judge, asked: list[Asked], combined: CombinedVerdict) -> dict[str, Any]:
    orders = [
        {
            "swapped": one.ask.swapped,
            "verdict": one.answer.verdict,
            "strength": one.answer.strength,
        }
        for one in asked
        if one.answer is not None
    ]
    return {
        "prompt_version": judge.prompt_version,
        "model": judge.model_name,
        "orders": orders,
        "order_inconsistent": combined.is_conflict,
    }
