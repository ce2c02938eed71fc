"""What this app tells webhooks, and what it adds to the page of a comparison."""

from collections.abc import Iterable
from datetime import datetime
from string import ascii_uppercase
from typing import Any

from annotate import sections
from annotate.models import Comparison, Project
from annotate.sections import Section
from annotate.services.event_sources import register, rows_by_time
from modeling.models import JudgeReply, JudgeRun, TrainingRun


def _training_runs(project: Project, since: datetime) -> Iterable[TrainingRun]:
    runs = TrainingRun.objects.filter(project=project, finished_at__gte=since)
    return runs.select_related("reward_model", "dataset_version").order_by("pk")


def _training_told(run: TrainingRun) -> tuple[str, datetime, dict[str, Any]]:
    # A reverse one-to-one has no None; select_related has fetched it, so nothing is asked here.
    model = run.reward_model if hasattr(run, "reward_model") else None
    data = {
        "id": str(run.public_id), "state": run.state, "message": run.message,
        "dataset_version": run.dataset_version.number,
        "reward_model": model.number if model else None,
    }  # fmt: skip
    return f"{run.public_id}-{run.finished_at}", run.finished_at or run.created_at, data


def _judge_runs(project: Project, since: datetime) -> Iterable[JudgeRun]:
    runs = JudgeRun.objects.filter(judge__annotator__project=project, finished_at__gte=since)
    return runs.select_related("judge__annotator").order_by("pk")


def _judge_told(run: JudgeRun) -> tuple[str, datetime, dict[str, Any]]:
    data = {
        "id": str(run.public_id), "judge": run.judge.annotator.name, "state": run.state,
        "message": run.message, "n_comparisons": run.n_comparisons, "n_done": run.n_done,
        "n_failed": run.n_failed, "cost_usd": str(run.cost_usd),
    }  # fmt: skip
    return f"{run.public_id}-{run.finished_at}", run.finished_at or run.created_at, data


def judge_replies(comparison: Comparison) -> Section:
    """Every raw reply that judges gave to a comparison."""
    replies = JudgeReply.objects.filter(comparison=comparison).order_by("created_at", "pk")
    found = list(replies.select_related("judge__annotator"))
    return Section(
        key="judge_replies",
        title="Judge replies",
        columns=(
            "When (UTC)",
            "Judge",
            "Order",
            "Verdict",
            "Tokens in",
            "Tokens out",
            "Cost (USD)",
        ),
        rows=[
            (
                f"{reply.created_at:%Y-%m-%d %H:%M}",
                reply.judge.annotator.name,
                _order(reply),
                reply.verdict or "unreadable",
                reply.input_tokens,
                reply.output_tokens,
                str(reply.cost_usd),
            )
            for reply in found
        ],
        empty="No judge was asked from here.",
        texts=[(f"{reply.judge.annotator.name}, reply", reply.text) for reply in found],
    )


def _order(reply: JudgeReply) -> str:
    """The responses by their canonical letters, as they were shown."""
    letters = [ascii_uppercase[place] for place in reply.places or (0, 1)]
    return ", ".join(letters[::-1] if reply.order_swapped else letters)


def register_events() -> None:
    """Add this app's events and sections."""
    register(
        rows_by_time(
            "training_runs", type="training_run.finished",
            words="A training run has come to its end", rows=_training_runs, told=_training_told,
        )
    )  # fmt: skip
    register(
        rows_by_time(
            "judge_runs", type="judge_run.finished", words="A judge run has come to its end",
            rows=_judge_runs, told=_judge_told,
        )
    )  # fmt: skip
    sections.register(judge_replies)
