"""A person's own keys and language in the labelling workspace."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotate.errors import ApplicationError
from annotate.models import Workbench


@dataclass(frozen=True)
class Action:
    """Something a key does, and the key that does it unless the person chose another."""

    key: str
    words: str | Promise


ACTIONS = {
    "undo": Action("u", _("Undo: open the last label again")),
    "skip": Action("s", _("Skip; a digit then gives the reason")),
    "flag": Action("f", _("Flag; a digit then says what is wrong")),
    "both_bad": Action("b", _("Both (or all) are bad")),
    "cannot_judge": Action("x", _("Cannot judge")),
    "why": Action("w", _("Write why")),
    "next_field": Action("j", _("Next aspect, rating or response")),
    "previous_field": Action("k", _("Previous aspect, rating or response")),
    "highlight": Action("h", _("Highlight in the plain texts")),
    "prompt": Action("p", _("Fold or show the prompt")),
    "guidelines": Action("g", _("Guidelines")),
    "diff": Action("d", _("Mark the words that stand in only one response")),
    "sync": Action("y", _("Scroll all responses together")),
}
# Digits always work; a letter may stand for one beside it.
DIGITS = {
    f"digit_{digit}": Action(str(digit), format_lazy(_("Same as {digit}"), digit=digit))
    for digit in range(10)
}
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
            raise ApplicationError(
                gettext("There is no action %(action)r to give a key to.") % {"action": action},
                field="keys",
            )
        if len(key) != 1 or not key.isalpha() or key != key.lower():
            raise ApplicationError(
                gettext("%(key)r cannot be a key of your own: use one small letter.")
                % {"key": key},
                field="keys",
            )
    own = {action: key for action, key in keys.items() if ALL_ACTIONS[action].key != key}
    _check_conflicts(own)
    Workbench.objects.update_or_create(user=user, defaults={"keys": own})
    return own


def language_of(*, user: User) -> str:
    """The language that the person chose; empty where their browser decides."""
    workbench = Workbench.objects.filter(user=user).only("language").first()
    return workbench.language if workbench else ""


def language_change(*, user: User, language: str) -> str:
    """Keep the person's language.

    Raises
    ------
    ApplicationError
        If the site does not speak it.
    """
    offered = dict(settings.LANGUAGES)
    if language not in offered:
        raise ApplicationError(
            gettext("There is no language %(language)r here; use one of %(offered)s.")
            % {"language": language, "offered": ", ".join(offered)},
            field="language",
        )
    Workbench.objects.update_or_create(user=user, defaults={"language": language})
    return language


def _check_conflicts(own: dict[str, str]) -> None:
    usual = {name: action.key for name, action in ACTIONS.items()}
    taken: dict[str, str] = {}
    for name, key in (usual | own).items():
        if key in taken:
            first, second = (ALL_ACTIONS[action].words for action in (taken[key], name))
            raise ApplicationError(
                gettext(
                    "The key %(key)s would do two things: “%(first)s” and “%(second)s”. Choose "
                    "another key, or move the other one first."
                )
                % {"key": key.upper(), "first": first, "second": second},
                field="keys",
            )
        taken[key] = name
