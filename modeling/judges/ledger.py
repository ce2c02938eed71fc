"""What a judged comparison leaves behind: replies, a verdict or why there is none, the bill."""

from __future__ import annotations

import uuid
from dataclasses import replace
from decimal import Decimal
from math import ceil
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from annotate.models import Preference, Project
from annotate.services.handover import comparison_to_people
from annotate.services.preferences import project_writers_lock
from modeling.core.judge_replies import MAX_STRENGTH
from modeling.judges.asking import Answers, Asked
from modeling.judges.turns import turn_end
from modeling.judges.verdicts import Verdict, cost_of, verdict_of, verdict_word
from modeling.models import Judge, JudgeOutcome, JudgeReply, JudgeRun, JudgeTurn

NAMESPACE = uuid.UUID("5f0c2b2e-6d3f-4f7c-9a39-0a1a1d8e3a10")
Kind = JudgeOutcome.Kind
WITHOUT_VERDICT = frozenset(
    {Kind.CONFLICT, Kind.UNPARSED, Kind.BLOCKED, Kind.RELATED, Kind.ABSTAINED}
)
"""Comparisons that the judge leaves to people."""


@transaction.atomic
def settle(
    *, run: JudgeRun, project: Project, turn: JudgeTurn, answers: Answers, n_responses: int = 2
) -> JudgeOutcome:
    """Store replies and verdict of one comparison and turn what was reserved into its true cost.

    Replies that were paid for are kept for the next run, whatever became of the rest.
    """
    judge = run.judge
    replies = [_reply(judge, one) for one in answers.asked if not one.is_cached]
    JudgeReply.objects.bulk_create(replies, ignore_conflicts=True)
    cost = sum((reply.cost_usd for reply in replies), Decimal(0))
    outcome = _outcome(judge, project, turn.comparison_id, answers, n_responses)
    outcome.run, outcome.cost_usd = run, cost
    tokens = {
        "input_tokens": F("input_tokens") + sum(reply.input_tokens for reply in replies),
        "output_tokens": F("output_tokens") + sum(reply.output_tokens for reply in replies),
    }
    outcome_record(outcome, **tokens)
    turn_end(turn=turn, cost_usd=cost)
    return outcome


@transaction.atomic
def outcome_record(outcome: JudgeOutcome, **values: Any) -> None:
    """Write what became of a comparison, send it to people if it has no verdict, and count it."""
    if outcome.kind in WITHOUT_VERDICT:
        outcome.is_to_people = True
        comparison_to_people(comparison_id=outcome.comparison_id)
    counts = _counts(outcome) if _is_new(outcome) else {}
    if counts or values:
        JudgeRun.objects.filter(pk=outcome.run_id).update(**counts, **values)


def _is_new(outcome: JudgeOutcome) -> bool:
    """Write an outcome unless the run has one for the comparison; say whether it did."""
    try:
        with transaction.atomic():
            outcome.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _counts(outcome: JudgeOutcome) -> dict[str, Any]:
    is_failed = outcome.kind == Kind.FAILED
    return {
        "n_done": F("n_done") + int(not is_failed),
        "n_failed": F("n_failed") + int(is_failed),
        "n_conflicts": F("n_conflicts") + int(outcome.is_conflict),
        "n_unparsed": F("n_unparsed") + int(outcome.kind == Kind.UNPARSED),
        "n_to_people": F("n_to_people") + int(outcome.is_to_people),
    }


def _outcome(
    judge: Judge, project: Project, comparison_id: int, answers: Answers, n_responses: int
) -> JudgeOutcome:
    outcome = JudgeOutcome(comparison_id=comparison_id)
    if answers.failure is not None:
        outcome.kind, outcome.detail = Kind.FAILED, str(answers.failure)[:300]
    elif answers.abstained:
        outcome.kind, outcome.detail = Kind.ABSTAINED, answers.abstained[:300]
    else:
        _judged(outcome, judge, project, verdict_of(judge, answers, n_responses))
    return outcome


def _judged(outcome: JudgeOutcome, judge: Judge, project: Project, verdict: Verdict | None) -> None:
    if verdict is None:
        outcome.kind = Kind.UNPARSED
        return
    outcome.is_conflict = verdict.is_conflict
    outcome.detail = verdict.orders[:300] if outcome.is_conflict else ""
    has_ties = project.protocol.allow_tie
    # In a ranking, pairs on which the orders disagree leave the other pairs their order.
    may_tie = has_ties or len(verdict.ranking) > 2
    if outcome.is_conflict and not (may_tie and judge.conflict_policy == Judge.ConflictPolicy.TIE):
        outcome.kind = Kind.CONFLICT
        return
    ranking = verdict.ranking if has_ties else verdict.strict
    if ranking is None:
        outcome.kind, outcome.detail = Kind.ABSTAINED, "A tie, which the protocol does not have."
        return
    outcome.kind = Kind.LABELLED
    _preference(judge, project, outcome.comparison_id, replace(verdict, ranking=ranking))


def _reply(judge: Judge, asked: Asked) -> JudgeReply:
    reply, answer = asked.reply, asked.answer
    return JudgeReply(
        judge=judge,
        comparison_id=asked.ask.comparison_id,
        places=list(asked.ask.places),
        order_swapped=asked.ask.swapped,
        attempt=asked.ask.attempt,
        sample=asked.ask.sample,
        request_hash=asked.ask.hash,
        # PostgreSQL cannot store the NUL character that a broken model may send.
        text=reply.text.replace("\x00", "\ufffd"),
        verdict=verdict_word(answer),
        strength=getattr(answer, "strength", None),
        first_probability=asked.first_probability,
        model_reported=reply.model_reported,
        system_fingerprint=reply.fingerprint,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost_usd=cost_of(judge, asked),
        latency_ms=reply.latency_ms,
    )


def _preference(judge: Judge, project: Project, comparison_id: int, verdict: Verdict) -> None:
    project_writers_lock(project_id=project.pk)
    name = f"{judge.pk}:{comparison_id}:{judge.prompt_version}:{judge.model_name}"
    is_tie = len(set(verdict.ranking)) == 1
    scale = project.protocol.max_strength
    preference = Preference(
        comparison_id=comparison_id,
        annotator=judge.annotator,
        protocol=project.protocol,
        verdict=Preference.Verdict.TIE if is_tie else Preference.Verdict.RANKED,
        ranking=list(verdict.ranking),
        strength=None if verdict.strength is None else _on_scale(verdict.strength, scale),
        rationale=verdict.reason.replace("\x00", "\ufffd"),
        probability=verdict.probability,
        cost_usd=verdict.cost_usd,
        source=Preference.Source.JUDGE,
        idempotency_key=uuid.uuid5(NAMESPACE, name),
        extra=verdict.extra,
    )
    # A judge has one standing verdict on a comparison: that of the run that was faster.
    Preference.objects.bulk_create([preference], ignore_conflicts=True)


def _on_scale(strength: float, max_strength: int) -> float:
    size = ceil(abs(strength) / MAX_STRENGTH * max_strength)
    return float(size if strength > 0 else -size)
