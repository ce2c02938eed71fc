"""The loop that the project page shows: seven stages, each described by the app that owns it.

Imports point down, so this app cannot ask modeling or routing; they register a function here when
Django starts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from annotate.models import Project

STAGES = ("import", "label", "judge", "train", "route", "acquire", "export")


@dataclass(frozen=True)
class Stage:
    """One row of the loop: where it stands, its figure and what to do next."""

    title: str
    kind: str
    state: str
    figure: str
    action: str
    action_url: str
    is_done: bool = False
    spark: str = ""
    spark_label: str = ""


Provider = Callable[[Project], Stage]

_providers: dict[str, Provider] = {}


def register(key: str, provider: Provider) -> None:
    """Name the function that describes a stage; called from ``AppConfig.ready``."""
    if key not in STAGES:
        raise ValueError(f"Unknown stage {key!r}; the loop has {', '.join(STAGES)}.")
    _providers[key] = provider


def stages_of(project: Project) -> list[Stage]:
    """Describe every registered stage in the order of the loop."""
    return [_providers[key](project) for key in STAGES if key in _providers]


def next_stage(stages: list[Stage]) -> int | None:
    """Return the position of the first stage that is not done."""
    return next((place for place, stage in enumerate(stages) if not stage.is_done), None)
