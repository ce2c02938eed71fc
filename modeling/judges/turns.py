"""Turns: one worker at a time asks a judge about a comparison, and holds the money for it.

A turn is a row with a holder and a heartbeat. A worker that dies leaves its turns behind; whoever
wants one next takes it over once it is silent, and gives back the dollars it held.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from annotate.services.slots import project_commit_money, project_release_money
from modeling.models import JudgeRun, JudgeTurn

SILENT_SECONDS = 60
HEARTBEAT_SECONDS = 10


class CapReached(Exception):
    """The next question could pass the run's cap."""


class TurnLost(Exception):
    """The turn was taken over by another worker, to whom this one looked dead."""


def turn_take(*, run: JudgeRun, comparison_id: int, holder: UUID) -> JudgeTurn | None:
    """Take the turn at a comparison; ``None`` while another worker has it."""
    fields = {"run": run, "holder": holder, "seen_at": timezone.now()}
    wanted = JudgeTurn(judge_id=run.judge_id, comparison_id=comparison_id, **fields)
    JudgeTurn.objects.bulk_create([wanted], ignore_conflicts=True)
    found = JudgeTurn.objects.filter(judge_id=run.judge_id, comparison_id=comparison_id)
    turn = found.first()
    # Gone already when its holder came to the end in between; it is theirs all the same.
    if turn is None or turn.holder == holder:
        return turn
    with transaction.atomic():
        silent = _silent(JudgeTurn.objects.filter(pk=turn.pk)).select_for_update().first()
        if silent is None:
            return None
        _give_back(silent)
        silent.delete()
        return JudgeTurn.objects.create(
            judge_id=run.judge_id, comparison_id=comparison_id, **fields
        )


@transaction.atomic
def turn_reserve(*, turn: JudgeTurn, run: JudgeRun, project_id: int, amount_usd: Decimal) -> None:
    """Hold dollars of the run's cap and of the project's budget for a turn.

    Raises
    ------
    CapReached
        If the run's cap could be passed.
    BudgetExhausted
        If the project's budget could be passed.
    TurnLost
        If another worker has taken the turn over; nothing is held then.
    """
    # The turn is locked before run and project, as everywhere, so that no two workers deadlock.
    held = JudgeTurn.objects.select_for_update().filter(pk=turn.pk, holder=turn.holder)
    if held.first() is None:
        raise TurnLost
    within = Q(cap_usd__isnull=True) | Q(
        cap_usd__gte=F("cost_usd") + F("reserved_usd") + amount_usd
    )
    rows = JudgeRun.objects.filter(within, pk=run.pk)
    if not rows.update(reserved_usd=F("reserved_usd") + amount_usd):
        raise CapReached
    project_commit_money(project_id=project_id, amount_usd=amount_usd)
    JudgeTurn.objects.filter(pk=turn.pk).update(reserved_usd=F("reserved_usd") + amount_usd)


@transaction.atomic
def turn_end(*, turn: JudgeTurn, cost_usd: Decimal = Decimal(0)) -> None:
    """End a turn: what it held and did not cost goes back."""
    held = JudgeTurn.objects.select_for_update().filter(pk=turn.pk, holder=turn.holder).first()
    reserved = held.reserved_usd if held else Decimal(0)
    JudgeRun.objects.filter(pk=turn.run_id).update(
        reserved_usd=F("reserved_usd") - reserved, cost_usd=F("cost_usd") + cost_usd
    )
    project_id = turn.run.judge.annotator.project_id
    project_release_money(project_id=project_id, amount_usd=reserved - cost_usd)
    if held:
        held.delete()


def turns_keep(*, holder: UUID) -> None:
    """Say that a holder is alive."""
    JudgeTurn.objects.filter(holder=holder).update(seen_at=timezone.now())


def turns_release(*, run: JudgeRun, holder: UUID | None = None) -> int:
    """Give back what a holder, or whoever fell silent, still holds in a run; say how many turns."""
    turns = JudgeTurn.objects.filter(run=run)
    turns = _silent(turns) if holder is None else turns.filter(holder=holder)
    with transaction.atomic():
        held = list(turns.select_for_update())
        for turn in held:
            _give_back(turn)
        JudgeTurn.objects.filter(pk__in=[turn.pk for turn in held]).delete()
    return len(held)


def _silent(turns: QuerySet[JudgeTurn]) -> QuerySet[JudgeTurn]:
    return turns.filter(seen_at__lt=timezone.now() - timedelta(seconds=SILENT_SECONDS))


def _give_back(turn: JudgeTurn) -> None:
    if not turn.reserved_usd:
        return
    JudgeRun.objects.filter(pk=turn.run_id).update(
        reserved_usd=F("reserved_usd") - turn.reserved_usd
    )
    project_id = turn.run.judge.annotator.project_id
    project_release_money(project_id=project_id, amount_usd=turn.reserved_usd)
