"""The stages of the loop that this app owns: route and acquire."""

from django.urls import reverse

from annotate import loop
from annotate.loop import Stage
from annotate.models import JobState, Project
from routing.choices import strategy_title
from routing.selectors import RoutingSummary, routing_summary

RUNNING = (JobState.QUEUED, JobState.RUNNING)


def route_stage(project: Project) -> Stage:
    """Say what routing knows and where comparisons went."""
    summary = routing_summary(project=project)
    routed = summary.human_share is not None
    return Stage(
        title="Route",
        kind=_route_kind(summary),
        state=_route_state(summary),
        figure=_route_figure(summary),
        action="Routing" if summary.study_number else "Study the routing",
        action_url=reverse("routing:routing", args=[project.slug]),
        is_done=routed,
    )


def _route_kind(summary: RoutingSummary) -> str:
    if summary.study_state in RUNNING:
        return "running"
    if summary.study_state == JobState.FAILED:
        return "danger"
    return "ok" if summary.human_share is not None else "muted"


def _route_state(summary: RoutingSummary) -> str:
    if summary.study_state in RUNNING:
        return f"{100 * summary.study_progress:.0f} %"
    if summary.human_share is not None:
        return f"{100 * summary.human_share:.0f} % to people"
    return "Studied" if summary.study_number else "Not set"


def _route_figure(summary: RoutingSummary) -> str:
    if summary.human_share is None:
        told = summary.verdict or "Nothing is routed: people get every open comparison."
    else:
        told = f"{summary.n_to_humans:,} to people, {summary.n_to_judges:,} to judges"
    left = "" if summary.left_usd is None else f"; ${summary.left_usd:,.2f} left"
    return told + left


def acquire_stage(project: Project) -> Stage:
    """Say which batch is being labelled."""
    summary = routing_summary(project=project)
    running = summary.round_state in RUNNING
    done = summary.round_number is not None
    return Stage(
        title="Acquire",
        kind="running" if running else "ok" if done else "muted",
        state=f"Round {summary.round_number}" if done else "No round",
        figure=f"{strategy_title(summary.strategy)}: {summary.n_picks:,} comparisons at the head "
        f"of the queue, {100 * summary.share_labelled:.0f} % labelled"
        if done
        else "Let the reward model pick what people should label next.",
        action="Acquisition" if done else "Pick the next batch",
        action_url=reverse("routing:acquisition", args=[project.slug]),
        is_done=done,
    )


def register_stages() -> None:
    """Add this app's stages to the loop."""
    loop.register("route", route_stage)
    loop.register("acquire", acquire_stage)
