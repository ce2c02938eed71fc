"""Runs in this process, and where the money is."""

from decimal import Decimal
from typing import Any

from annotate.models import Project
from modeling.models import Judge, JudgeRun
from modeling.services.judge_runs import (
    judge_run_execute,
    judge_run_start,
)

REPLY_USD = Decimal("0.012")  # 100 * $100 / 1e6 + 10 * $200 / 1e6


def executed(judge: Judge, **options: Any) -> JudgeRun:
    """A run that has been executed in this process."""
    run = judge_run_start(judge=judge, user=None, **options)
    judge_run_execute(run_id=run.pk)
    run.refresh_from_db()
    return run


def committed(project: Project) -> Decimal:
    """The project's money that is spent or reserved."""
    return Project.objects.get(pk=project.pk).committed_usd
