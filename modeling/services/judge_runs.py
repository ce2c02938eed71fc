"""Runs of a judge: estimated, capped, executed by a worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction

from annotate.errors import ApplicationError, NotReady
from annotate.models import Comparison
from annotate.services.audit import audit_write
from modeling.judges.ledger import release
from modeling.judges.questions import (
    ORDERS,
    TYPICAL_REPLY_TOKENS,
    ask_of,
    cost_usd,
    question_of,
    usual_input_tokens,
)
from modeling.models import Judge, JudgeRun
from modeling.services.jobs import job_enqueue, job_execute

SAMPLED = 50
MAX_COMPARISONS = 100_000


@dataclass(frozen=True)
class RunEstimate:
    """What a run would send and cost, both orders of every comparison counted."""

    n_comparisons: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


def judge_run_estimate(*, judge: Judge, comparison_ids: Sequence[int]) -> RunEstimate:
    """Estimate tokens and dollars from an evenly spread sample of the comparisons."""
    n = len(comparison_ids)
    sample = comparison_ids[:: max(1, n // SAMPLED)][:SAMPLED]
    project = judge.annotator.project
    tokens = 0
    for comparison in Comparison.objects.filter(pk__in=sample).select_related("prompt"):
        question = question_of(comparison, project=project)
        asks = [ask_of(judge, comparison.pk, question, swapped=swapped) for swapped in ORDERS]
        tokens += sum(usual_input_tokens(ask) for ask in asks)
    input_tokens = tokens * n // max(len(sample), 1)
    output_tokens = TYPICAL_REPLY_TOKENS * len(ORDERS) * n
    price = cost_usd(judge, input_tokens=input_tokens, output_tokens=output_tokens)
    return RunEstimate(n, input_tokens, output_tokens, price)


def judge_run_candidates(*, judge: Judge, n_comparisons: int) -> list[int]:
    """Return the first comparisons of two responses, in queue order, that the judge has not had."""
    waiting = (
        Comparison.objects.filter(project_id=judge.annotator.project_id, n_responses=2)
        .exclude(preferences__annotator_id=judge.annotator_id)
        .in_queue_order()
    )
    return list(waiting.values_list("pk", flat=True)[: min(n_comparisons, MAX_COMPARISONS)])


@transaction.atomic
def judge_run_start(
    *,
    judge: Judge,
    user: User | None,
    n_comparisons: int | None = None,
    comparison_ids: Sequence[int] | None = None,
    cap_usd: Decimal | None = None,
) -> JudgeRun:
    """Queue a run over the given comparisons, or the next so many of the queue.

    Raises
    ------
    ApplicationError
        If the judge has no endpoint, or a comparison is not of its project.
    NotReady
        If no comparison is left for this judge.
    """
    if judge.provider != Judge.Provider.OPENAI:
        raise ApplicationError(
            f"{judge} has recorded verdicts only; add an endpoint to ask it anew.", field="judge"
        )
    if comparison_ids is None:
        chosen = judge_run_candidates(judge=judge, n_comparisons=n_comparisons or MAX_COMPARISONS)
    else:
        chosen = _own_comparisons(judge, comparison_ids)
    if not chosen:
        raise NotReady(f"{judge} has labelled every comparison of two responses already.")
    run = JudgeRun.objects.create(
        judge=judge,
        comparison_ids=chosen,
        n_comparisons=len(chosen),
        cap_usd=cap_usd,
        created_by=user,
    )
    audit_write(
        project=judge.annotator.project, actor=user, action="judge_run.start", target=str(judge),
        data={"n_comparisons": len(chosen), "cap_usd": str(cap_usd) if cap_usd else None},
    )  # fmt: skip
    job_enqueue(run)
    return run


def judge_run_execute(*, run_id: int) -> bool:
    """Ask the judge in this process, unless the run is gone, over or in other hands."""
    runs = JudgeRun.objects.select_related("judge__annotator__project")
    run = runs.filter(pk=run_id).first()
    return run is not None and job_execute(run, _ask)


def judge_runs_release() -> int:
    """Give back what runs still hold that ended without settling; return how many did."""
    ended = [run for run in _holding() if run.is_finished]
    for run in ended:
        release(run=run, project_id=run.judge.annotator.project_id)
    return len(ended)


def _ask(run: JudgeRun) -> str:
    # The client library is loaded here, in the worker.
    from modeling.judges.run import JudgeRunner
    from modeling.services.judges import judges_refresh

    message = JudgeRunner(run).execute()
    judges_refresh(project=run.judge.annotator.project, force=True)
    return message


def _holding() -> list[JudgeRun]:
    return list(JudgeRun.objects.filter(reserved_usd__gt=0).select_related("judge__annotator"))


def _own_comparisons(judge: Judge, comparison_ids: Sequence[int]) -> list[int]:
    wanted = list(dict.fromkeys(comparison_ids))
    own = set(
        Comparison.objects.filter(
            project_id=judge.annotator.project_id, n_responses=2, pk__in=wanted
        ).values_list("pk", flat=True)
    )
    foreign = [pk for pk in wanted if pk not in own]
    if foreign:
        raise ApplicationError(
            f"Comparison {foreign[0]} is not a comparison of two responses in this project.",
            field="comparison_ids",
        )
    return wanted
