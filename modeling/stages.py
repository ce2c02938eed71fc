"""The stages of the loop that this app owns: judge and train."""

from django.urls import reverse

from annotate import loop
from annotate.loop import Stage
from annotate.models import JobState, Project
from modeling.judge_reads import open_alarms
from modeling.selectors import Figure, ModelingSummary, modeling_summary


def judge_stage(project: Project) -> Stage:
    """Say which judges label and how well they agree with people."""
    summary = modeling_summary(project=project)
    kind, state = _judge_state(project, summary)
    return Stage(
        title="Judge",
        kind=kind,
        state=state,
        figure=_judge_figure(summary),
        action="Judges" if summary.n_judges else "Add a judge",
        action_url=reverse("modeling:judges", args=[project.slug]),
        is_done=summary.n_judge_labels > 0,
    )


def _judge_state(project: Project, summary: ModelingSummary) -> tuple[str, str]:
    n_alarms = len(open_alarms(project))
    if n_alarms:
        return "danger", "Alarm" if n_alarms == 1 else f"{n_alarms} alarms"
    if summary.best_judge_accuracy is not None:
        return "ok", "Measured"
    return ("running", "Unmeasured") if summary.n_judges else ("muted", "None")


def _judge_figure(summary: ModelingSummary) -> str:
    if not summary.n_judges:
        return "No judge yet. Judges label beside people, and are measured against them."
    judges = "1 judge" if summary.n_judges == 1 else f"{summary.n_judges} judges"
    told = f"{judges}, {summary.n_judge_labels:,} labels"
    if summary.best_judge_accuracy is not None:
        told += f"; {summary.best_judge} agrees with people {_figure(summary.best_judge_accuracy)}"
    return f"{told}; ${summary.judge_cost_usd:.2f} spent"


def train_stage(project: Project) -> Stage:
    """Say how the latest training went and what the model is worth."""
    summary = modeling_summary(project=project)
    kind, state = _train_state(summary)
    return Stage(
        title="Train",
        kind=kind,
        state=state,
        figure=_train_figure(summary),
        action="Models" if summary.model_number else "Train a model",
        action_url=reverse("modeling:models", args=[project.slug]),
        is_done=summary.model_number is not None,
    )


def _train_state(summary: ModelingSummary) -> tuple[str, str]:
    run = summary.latest_run
    if run is not None and not run.is_finished:
        return "running", f"{100 * run.progress:.0f} %"
    if run is not None and run.state == JobState.FAILED:
        return "danger", "Failed"
    if summary.model_number:
        return "ok", f"rm-{summary.model_number}"
    return "muted", "No model"


def _train_figure(summary: ModelingSummary) -> str:
    if summary.model_number is None or summary.model_accuracy is None:
        return "No reward model yet. Training on frozen features takes seconds."
    calibration = (
        "" if summary.model_ece is None else f"; calibration error {_figure(summary.model_ece)}"
    )
    accuracy = _figure(summary.model_accuracy)
    return f"rm-{summary.model_number} {accuracy} on held-out human labels{calibration}"


def _figure(figure: Figure) -> str:
    return f"{figure.estimate:.3f} [{figure.low:.3f}, {figure.high:.3f}], n = {figure.n:,}"


def register_stages() -> None:
    """Add this app's stages to the loop."""
    loop.register("judge", judge_stage)
    loop.register("train", train_stage)
