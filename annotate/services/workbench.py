"""A person's own keys in the labelling workspace."""

from dataclasses import dataclass

from django.contrib.auth.models import User

from annotate.errors import ApplicationError
from annotate.models import Workbench


@dataclass(frozen=True)
class Action:
    """Something a key does, and the key that does it unless the person chose another."""

    key: str
    words: str


ACTIONS = {
    "undo": Action("u", "Undo: open the last label again"),
    "skip": Action("s", "Skip; a digit then gives the reason"),
    "flag": Action("f", "Flag; a digit then says what is wrong"),
    "both_bad": Action("b", "Both (or all) are bad"),
    "cannot_judge": Action("x", "Cannot judge"),
    "why": Action("w", "Write why"),
    "next_field": Action("j", "Next aspect, rating or response"),
    "previous_field": Action("k", "Previous aspect, rating or response"),
    "highlight": Action("h", "Highlight in the plain texts"),
    "prompt": Action("p", "Fold or show the prompt"),
    "guidelines": Action("g", "Guidelines"),
    "diff": Action("d", "Mark the words that stand in only one response"),
    "sync": Action("y", "Scroll all responses together"),
}
# Digits always work; a letter may stand for one beside it.
DIGITS = {f"digit_{digit}": Action(str(digit), f"Same as {digit}") for digit in range(10)}
ALL_ACTIONS = ACTIONS | DIGITS


def keys_of(*, user: User) -> dict[str, str]:
    """The person's own keys by action; what is left out keeps its usual key."""
    workbench = Workbench.objects.filter(user=user).first()
    return dict(workbench.keys) if workbench else {}


def keys_change(*, user: User, keys: dict[str, str]) -> dict[str, str]:
    """Replace the person's own keys; an empty set brings the usual ones back.

    Raises
    ------
    ApplicationError
        If an action is unknown, a key is not a single letter, or one key would do two things.
    """
    for action, key in keys.items():
        if action not in ALL_ACTIONS:
            raise ApplicationError(f"There is no action {action!r} to give a key to.", field="keys")
        if len(key) != 1 or not key.isalpha() or key != key.lower():
            raise ApplicationError(
                f"{key!r} cannot be a key of your own: use one small letter.", field="keys"
            )
    own = {action: key for action, key in keys.items() if ALL_ACTIONS[action].key != key}
    _check_conflicts(own)
    Workbench.objects.update_or_create(user=user, defaults={"keys": own})
    return own


def _check_conflicts(own: dict[str, str]) -> None:
    usual = {name: action.key for name, action in ACTIONS.items()}
    taken: dict[str, str] = {}
    for name, key in (usual | own).items():
        if key in taken:
            first, second = (ALL_ACTIONS[action].words for action in (taken[key], name))
            raise ApplicationError(
                f"The key {key.upper()} would do two things: “{first}” and “{second}”. Choose "
                "another key, or move the other one first.",
                field="keys",
            )
        taken[key] = name
