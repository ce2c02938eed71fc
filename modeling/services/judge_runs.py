"""Runs of a judge: estimated, capped, executed by a worker."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction

from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import Comparison, JobState, Preference
from annotate.services.audit import audit_write
from modeling.core.judge_rankings import MAX_RESPONSES
from modeling.judges.questions import (
    asks_of,
    cost_usd,
    judgeable,
    question_of,
    usual_input_tokens,
    usual_reply_tokens,
)
from modeling.judges.turns import turns_release
from modeling.models import Judge, JudgeRun
from modeling.services.jobs import job_enqueue, job_execute

logger = logging.getLogger(__name__)

SAMPLED = 50
MAX_COMPARISONS = 100_000
MAX_WORKERS = 32
Provider = Judge.Provider
ASKED = (Provider.OPENAI, Provider.LOCAL, Provider.REWARD_MODEL, Provider.PLUGIN)
IN_WORDS = (Provider.OPENAI, Provider.LOCAL)
SHARED = (Provider.OPENAI, Provider.PLUGIN)
"""Providers that several workers may ask at once; the others load a model into each."""


@dataclass(frozen=True)
class RunEstimate:
    """What a run would send and cost, both orders of every comparison counted."""

    n_comparisons: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    n_questions: int


def judge_run_estimate(*, judge: Judge, comparison_ids: Sequence[int]) -> RunEstimate:
    """Estimate tokens and dollars from an evenly spread sample of the comparisons."""
    n = len(comparison_ids)
    if judge.provider not in IN_WORDS:
        return RunEstimate(n, 0, 0, Decimal(0), 0)
    sample = comparison_ids[:: max(1, n // SAMPLED)][:SAMPLED]
    project = judge.annotator.project
    tokens = n_asked = 0
    for comparison in Comparison.objects.filter(pk__in=sample).select_related("prompt"):
        question = question_of(comparison, project=project)
        asks = [ask for ask in asks_of(judge, comparison.pk, question).values() if ask.attempt == 0]
        tokens += sum(usual_input_tokens(ask) for ask in asks)
        n_asked += len(asks)
    n_questions = n_asked * n // max(len(sample), 1)
    input_tokens = tokens * n // max(len(sample), 1)
    output_tokens = usual_reply_tokens(judge) * n_questions
    price = cost_usd(judge, input_tokens=input_tokens, output_tokens=output_tokens)
    return RunEstimate(n, input_tokens, output_tokens, price, n_questions)


def judge_run_candidates(*, judge: Judge, n_comparisons: int) -> list[int]:
    """Return the first comparisons, in queue order, that the judge can have and has not had."""
    labelled = Preference.objects.filter(annotator_id=judge.annotator_id)
    waiting = judgeable(judge).exclude(pk__in=labelled.values("comparison"))
    ordered = Comparison.objects.filter(pk__in=waiting.values("pk")).in_queue_order()
    return list(ordered.values_list("pk", flat=True)[: min(n_comparisons, MAX_COMPARISONS)])


@transaction.atomic
def judge_run_start(
    *,
    judge: Judge,
    user: User | None,
    n_comparisons: int | None = None,
    comparison_ids: Sequence[int] | None = None,
    cap_usd: Decimal | None = None,
    n_workers: int = 1,
) -> JudgeRun:
    """Queue a run over the given comparisons, or the next so many of the queue.

    Raises
    ------
    ApplicationError
        If the judge cannot be asked, or a comparison is not of its project.
    NotReady
        If no comparison is left for this judge.
    """
    judge_askable_check(judge)
    if not 1 <= n_workers <= MAX_WORKERS:
        raise ApplicationError(f"Workers are from 1 to {MAX_WORKERS}.", field="n_workers")
    chosen = judge_run_choose(
        judge=judge, n_comparisons=n_comparisons, comparison_ids=comparison_ids
    )
    run = JudgeRun.objects.create(
        judge=judge,
        comparison_ids=chosen,
        n_comparisons=len(chosen),
        cap_usd=cap_usd,
        n_workers=n_workers if judge.provider in SHARED else 1,
        created_by=user,
    )
    audit_write(
        project=judge.annotator.project, actor=user, action="judge_run.start", target=str(judge),
        data={"n_comparisons": len(chosen), "cap_usd": str(cap_usd) if cap_usd else None},
    )  # fmt: skip
    job_enqueue(run)
    return run


def judge_run_choose(
    *, judge: Judge, n_comparisons: int | None, comparison_ids: Sequence[int] | None
) -> list[int]:
    """Return the comparisons to ask about: those given, or the next so many of the queue.

    Raises
    ------
    ApplicationError
        If a comparison is not of the judge's project.
    NotReady
        If no comparison is left for this judge.
    """
    if comparison_ids is None:
        chosen = judge_run_candidates(judge=judge, n_comparisons=n_comparisons or MAX_COMPARISONS)
    else:
        chosen = _own_comparisons(judge, comparison_ids)
    if not chosen:
        raise NotReady(f"{judge} has labelled every comparison that it can be asked about.")
    return chosen


@transaction.atomic
def judge_run_resume(*, run: JudgeRun, user: User | None) -> JudgeRun:
    """Queue a run again that ended early: it goes on where it stopped, under what its cap leaves.

    Raises
    ------
    ConflictError
        If the run has not ended, or everything in it is done.
    """
    current = JudgeRun.objects.select_for_update().get(pk=run.pk)
    if not current.is_finished:
        raise ConflictError("This run is still going; there is nothing to resume.")
    if current.n_done >= current.n_comparisons:
        raise ConflictError("Everything in this run is done.")
    judge_askable_check(current.judge)
    current.state, current.cancel_requested = JobState.QUEUED, False
    current.finished_at, current.message = None, ""
    # Attempts go on counting, so that a worker of an earlier one still finds its row taken.
    current.save(update_fields=["state", "cancel_requested", "finished_at", "message"])
    audit_write(
        project=current.judge.annotator.project, actor=user, action="judge_run.resume",
        target=str(current.judge), data={"run": str(current.public_id)},
    )  # fmt: skip
    job_enqueue(current)
    return current


def judge_askable_check(judge: Judge) -> None:
    """Refuse a judge that nobody can be asked for.

    Raises
    ------
    ApplicationError
        If its verdicts are recorded, or combined from those of others.
    """
    if judge.provider == Provider.PANEL:
        raise ApplicationError(f"{judge} combines other judges; ask those.", field="judge")
    if judge.provider not in ASKED:
        raise ApplicationError(
            f"{judge} has recorded verdicts only; add an endpoint to ask it anew.", field="judge"
        )


def judge_run_execute(*, run_id: int) -> bool:
    """Ask the judge in this process, unless the run is gone, over or in other hands."""
    runs = JudgeRun.objects.select_related("judge__annotator__project", "judge__prompt")
    run = runs.filter(pk=run_id).first()
    return run is not None and job_execute(run, _ask)


def judge_run_help(*, run_id: int, helper: int) -> bool:
    """Take part in a run that another worker leads; return whether there was one."""
    from modeling.judges.run import JudgeRunner

    runs = JudgeRun.objects.select_related("judge__annotator__project", "judge__prompt")
    run = runs.filter(pk=run_id, state=JobState.RUNNING, cancel_requested=False).first()
    if run is None:
        return False
    try:
        JudgeRunner(run, helper=helper).execute()
    except ApplicationError as error:
        # The leading worker meets the same refusal and tells the owner.
        logger.info("Helper %s of %s stops: %s", helper, run, error)
    return True


def judge_runs_release() -> int:
    """Give back what runs still hold that ended without settling; return how many did."""
    ended = [run for run in _holding() if run.is_finished]
    return sum(turns_release(run=run) > 0 for run in ended)


def _ask(run: JudgeRun) -> str:
    # The client library is loaded here, in the worker.
    from modeling.judges.run import JudgeRunner
    from modeling.services.judges import judges_refresh

    _call_helpers(run)
    message = JudgeRunner(run).execute()
    judges_refresh(project=run.judge.annotator.project, force=True)
    return message


def _call_helpers(run: JudgeRun) -> None:
    from modeling.tasks import judge_run_help as help_task

    for helper in range(1, run.n_workers):
        help_task.delay(run.pk, helper)


def _holding() -> list[JudgeRun]:
    holding = JudgeRun.objects.filter(turns__isnull=False).distinct()
    return list(holding.select_related("judge__annotator"))


def _own_comparisons(judge: Judge, comparison_ids: Sequence[int]) -> list[int]:
    wanted = list(dict.fromkeys(comparison_ids))
    own = set(judgeable(judge).filter(pk__in=wanted).values_list("pk", flat=True))
    foreign = [pk for pk in wanted if pk not in own]
    if foreign:
        raise ApplicationError(
            f"Comparison {foreign[0]} is none of this project's that the judge can be asked about: "
            f"of two responses, or of up to {MAX_RESPONSES} where the protocol ranks or rates.",
            field="comparison_ids",
        )
    return wanted
