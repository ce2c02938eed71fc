"""Known answers: making them from comparisons, and withdrawing them."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotate.errors import ApplicationError
from annotate.models import Comparison, Gold, Project, Review
from annotate.services.audit import audit_write
from annotate.services.preferences import project_writers_lock
from annotate.services.slots import comparisons_lock

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WORDS = {"both bad": "both_bad", "both_bad": "both_bad", "cannot judge": "cannot_judge",
         "cannot_judge": "cannot_judge"}  # fmt: skip
Accepted = list[list[int | None] | str]


def accepted_parse(text: str, *, n_responses: int) -> Accepted:
    """Read accepted answers, one a line: ``A``, ``tie``, ``both bad`` or ``A > B = C``.

    Letters are the canonical order. Responses that a line leaves out may stand anywhere.

    Raises
    ------
    ApplicationError
        If a line cannot be read; the message says which and what to write instead.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ApplicationError("Give at least one accepted answer.", field="accepted")
    return [_accepted(line, n_responses) for line in lines]


def _accepted(line: str, n: int) -> list[int | None] | str:
    if line.lower() in WORDS:
        return WORDS[line.lower()]
    if line.lower() == "tie":
        return [0] * n
    groups = [[letter.strip().upper() for letter in group.split("=")] for group in line.split(">")]
    if len(groups) == 1 and len(groups[0]) == 1 and n == 2:
        groups.append([letter for letter in "AB" if letter not in groups[0]])
    ranks: list[int | None] = [None] * n
    for rank, group in enumerate(groups):
        for letter in group:
            if letter not in tuple(LETTERS[:n]) or ranks[LETTERS.index(letter)] is not None:
                raise _unreadable(line, n)
            ranks[LETTERS.index(letter)] = rank
    if sum(rank is not None for rank in ranks) < 2:
        raise _unreadable(line, n)
    return ranks


def _unreadable(line: str, n: int) -> ApplicationError:
    example = "A, B" if n == 2 else "A > B = C"
    return ApplicationError(
        f"{line!r} is no answer: write {example}, tie, both bad or cannot judge; responses are "
        f"A to {LETTERS[n - 1]}, each once.",
        field="accepted",
    )


def accepted_text(accepted: Accepted) -> str:
    """Write accepted answers as `accepted_parse` reads them."""
    return "\n".join(_text(answer) for answer in accepted)


def _text(answer: list[int | None] | str) -> str:
    if isinstance(answer, str):
        return answer.replace("_", " ")
    ranks = sorted({rank for rank in answer if rank is not None})
    if len(ranks) == 1 and None not in answer:
        return "tie"
    groups = [
        " = ".join(LETTERS[place] for place, rank in enumerate(answer) if rank == level)
        for level in ranks
    ]
    return groups[0] if len(answer) == 2 else " > ".join(groups)


@transaction.atomic
def gold_create(
    *,
    comparison: Comparison,
    user: User | None,
    accepted: Accepted,
    use: str = Gold.Use.WORK,
    explanation: str = "",
) -> Gold:
    """Make a comparison's answer known: it leaves the queue and, from now on, every new export.

    Labels that it has keep standing in versions frozen before.

    Raises
    ------
    ApplicationError
        If it has a known answer already, or no answer is given.
    """
    if not accepted:
        raise ApplicationError("Give at least one accepted answer.", field="accepted")
    if use not in Gold.Use.values:
        raise ApplicationError(
            f"Unknown use {use!r}; use one of {', '.join(Gold.Use.values)}.", field="use"
        )
    # Freezing a version takes this lock alone, so a version knows for ever which were gold by then.
    project_writers_lock(project_id=comparison.project_id)
    comparisons_lock(comparison_ids=[comparison.pk])
    if Gold.objects.filter(comparison=comparison).exists():
        raise ApplicationError(f"The answer of {comparison.external_id!r} is known already.")
    Comparison.objects.filter(pk=comparison.pk).update(is_gold=True, wanted_labels=0, open_slots=0)
    Review.objects.filter(comparison=comparison, decided_at=None).delete()
    gold = Gold.objects.create(
        comparison=comparison, use=use, accepted=accepted, explanation=explanation
    )
    data = {"use": use, "accepted": accepted}
    audit_write(project=comparison.project, actor=user, action="gold.create",
                target=comparison.external_id, data=data)  # fmt: skip
    return gold


@transaction.atomic
def gold_change(*, gold: Gold, user: User, **fields: Any) -> Gold:
    """Change answers, use, explanation or whether it is in use; past results stay as they were.

    Raises
    ------
    ApplicationError
        If no accepted answer would be left.
    """
    known = ("accepted", "use", "explanation", "is_active")
    changed = {name: fields[name] for name in known if name in fields}
    if not changed.get("accepted", gold.accepted):
        raise ApplicationError("Give at least one accepted answer.", field="accepted")
    for name, value in changed.items():
        setattr(gold, name, value)
    gold.save(update_fields=list(changed))
    audit_write(project=gold.comparison.project, actor=user, action="gold.change",
                target=gold.comparison.external_id, data=changed)  # fmt: skip
    return gold


def golds_from_metadata(*, project: Project, user: User | None) -> int:
    """Make known answers of comparisons whose metadata hold ``gold``; return how many.

    The field is a text as `accepted_parse` reads it, or an object with ``accepted``, ``use`` and
    ``explanation``. Comparisons that have a known answer already are left alone.

    Raises
    ------
    ApplicationError
        If a field cannot be read; the message names the comparison.
    """
    waiting = Comparison.objects.filter(project=project, metadata__has_key="gold", is_gold=False)
    n_made = 0
    for comparison in waiting.order_by("pk"):
        try:
            _gold_from(comparison, user)
        except ApplicationError as error:
            raise ApplicationError(f"{comparison.external_id}: {error.message}") from error
        n_made += 1
    return n_made


def _gold_from(comparison: Comparison, user: User | None) -> Gold:
    told = comparison.metadata["gold"]
    fields = told if isinstance(told, dict) else {"accepted": told}
    text = fields.get("accepted", "")
    lines = "\n".join(map(str, text)) if isinstance(text, list) else str(text)
    return gold_create(
        comparison=comparison,
        user=user,
        accepted=accepted_parse(lines, n_responses=comparison.n_responses),
        use=str(fields.get("use", Gold.Use.WORK)),
        explanation=str(fields.get("explanation", "")),
    )
