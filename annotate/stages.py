"""The stages of the loop that this app owns: import, label and export."""

from django.urls import reverse

from annotate import loop
from annotate.loop import Stage
from annotate.models import Project
from annotate.selectors.projects import label_counts, latest_version


def import_stage(project: Project) -> Stage:
    """Say how many comparisons have come in."""
    counts = label_counts(project=project)
    done = counts.n_comparisons > 0
    return Stage(
        title="Import",
        kind="ok" if done else "muted",
        state="Done" if done else "Empty",
        figure=f"{counts.n_comparisons:,} comparisons of {counts.n_prompts:,} prompts"
        if done
        else "No comparisons yet. Bring a JSONL or CSV file.",
        action="Import more" if done else "Import comparisons",
        action_url=reverse("annotate:data", args=[project.slug]) + "#import",
        is_done=done,
    )


def label_stage(project: Project) -> Stage:
    """Say how much people have labelled and what is waiting."""
    counts = label_counts(project=project)
    simulated = f" ({counts.n_simulated:,} simulated)" if counts.n_simulated else ""
    figure = (
        f"{counts.n_human_labelled:,} of {counts.n_comparisons:,} comparisons have a human label, "
        f"{counts.n_human_labels:,} labels{simulated}; {counts.n_open:,} waiting"
    )
    waiting = counts.n_open > 0
    return Stage(
        title="Label",
        kind=_label_kind(waiting=waiting, any_label=counts.n_human_labels > 0),
        state="Waiting" if waiting else "Done" if counts.n_human_labels else "Nothing to do",
        figure=figure,
        action="Label",
        action_url=reverse("annotate:label", args=[project.slug]),
        is_done=counts.n_comparisons > 0 and not waiting,
    )


def _label_kind(*, waiting: bool, any_label: bool) -> str:
    if waiting:
        return "running"
    return "ok" if any_label else "muted"


def export_stage(project: Project) -> Stage:
    """Name the newest frozen dataset version."""
    version = latest_version(project=project)
    return Stage(
        title="Export",
        kind="ok" if version else "muted",
        state=f"v{version.number}" if version else "No version",
        figure=f"{version.n_rows:,} rows, sha256 {version.content_hash[:12]}…, "
        f"frozen {version.created_at:%Y-%m-%d %H:%M} UTC"
        if version
        else "Freeze a version to export the same bytes for ever.",
        action="Export",
        action_url=reverse("annotate:data", args=[project.slug]) + "#export",
        is_done=version is not None,
    )


def register_stages() -> None:
    """Add this app's stages to the loop."""
    loop.register("import", import_stage)
    loop.register("label", label_stage)
    loop.register("export", export_stage)
