"""Projects, what they ask, who belongs to them, and their money."""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NotRequired, TypedDict, Unpack

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model

from annotate.access import annotator_row
from annotate.errors import ApplicationError
from annotate.models import Annotator, Comparison, Guideline, Membership, Project, Protocol
from annotate.services.assignments import (
    annotator_leases_return,
    comparisons_lock,
    comparisons_recount,
)
from annotate.services.audit import audit_write

# These words are addresses of their own below /projects/.
RESERVED_SLUGS = frozenset({"new"})
LOCKED_AT_ONCE = 5_000
ASKED = (
    "kind", "scale_points", "allow_tie", "allow_both_bad", "allow_cannot_judge", "aspects",
    "rating_points", "span_categories", "flags", "skip_reasons", "skip_policy", "rationale",
    "rationale_when", "rationale_min_chars", "overlap", "overlap_max", "settle_lead",
    "settle_with_judges", "quota", "lease_seconds",
)  # fmt: skip


class ProtocolFields(TypedDict, total=False):
    """What a protocol version asks; what is left out keeps its value."""

    kind: str
    scale_points: int
    allow_tie: bool
    allow_both_bad: bool
    allow_cannot_judge: bool
    aspects: list[dict[str, Any]]
    rating_points: int
    span_categories: list[dict[str, str]]
    flags: list[str]
    skip_reasons: list[str]
    skip_policy: str
    rationale: str
    rationale_when: str
    rationale_min_chars: int
    overlap: int
    overlap_max: int
    settle_lead: int
    settle_with_judges: bool
    quota: int | None
    lease_seconds: int


class ProjectFields(ProtocolFields):
    """What a new project may be given beside its name."""

    description: NotRequired[str]
    human_price_usd: NotRequired[Decimal]
    budget_usd: NotRequired[Decimal | None]
    is_demo: NotRequired[bool]


def _saved(row: Model) -> None:
    """Check a row as a whole and save it.

    Raises
    ------
    ApplicationError
        If a value does not fit; the message names the field.
    """
    _checked(row)
    row.save()


def _checked(row: Model) -> None:
    try:
        # A project made on the command line may have no maker, which no form would accept.
        row.full_clean(exclude={"created_by"})
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        name = "" if field == "__all__" else field
        raise ApplicationError(" ".join(messages), field=name) from error


@transaction.atomic
def project_create(
    *, name: str, slug: str, user: User | None, **fields: Unpack[ProjectFields]
) -> Project:
    """Make a project with its first protocol version; whoever makes it owns it.

    Raises
    ------
    ApplicationError
        If the slug is taken or a value does not fit.
    """
    if slug in RESERVED_SLUGS:
        raise ApplicationError(f"The name {slug!r} is taken by a page.", field="slug")
    asked: dict[str, Any] = {key: value for key, value in fields.items() if key in ASKED}
    own: dict[str, Any] = {key: value for key, value in fields.items() if key not in ASKED}
    project = Project(name=name, slug=slug, created_by=user, **own)
    _saved(project)
    _saved(Protocol(project=project, version=1, **asked))
    if user is not None:
        Membership.objects.create(project=project, user=user, role=Membership.Role.OWNER)
    audit_write(project=project, actor=user, action="project.create", target=slug)
    return project


@transaction.atomic
def protocol_change(
    *, project: Project, user: User | None, **fields: Unpack[ProtocolFields]
) -> Protocol:
    """Put a new protocol version in force; no change makes no version.

    A new overlap moves every comparison that still wanted the old one; comparisons whose number of
    human labels was set otherwise (by routing) keep theirs.
    """
    # One change at a time. Not by the project's row: leases come to that one, where the money is,
    # from the comparisons, which a new overlap is yet to lock.
    project.protocols.select_for_update(no_key=True).get(version=1)
    old = project.protocol
    values: dict[str, Any] = {name: getattr(old, name) for name in ASKED}
    changed = {name: value for name, value in fields.items() if values[name] != value}
    if not changed:
        return old
    protocol = Protocol(project=project, version=old.version + 1, **(values | changed))
    _saved(protocol)
    if protocol.overlap != old.overlap:
        _overlap_change(project, old.overlap, protocol.overlap)
    audit_write(
        project=project, actor=user, action="protocol.change", target=str(protocol.version),
        data=changed,
    )  # fmt: skip
    return protocol


def _overlap_change(project: Project, old: int, new: int) -> None:
    of_project = Comparison.objects.filter(project=project)
    of_project.filter(is_reserved=True, wanted_when_free=old).update(wanted_when_free=new)
    wanting = of_project.filter(is_reserved=False, wanted_labels=old).order_by("pk")
    pks = list(wanting.values_list("pk", flat=True))
    for start in range(0, len(pks), LOCKED_AT_ONCE):
        comparison_ids = pks[start : start + LOCKED_AT_ONCE]
        comparisons_lock(comparison_ids=comparison_ids)
        _wanted_set(comparison_ids, new)
        comparisons_recount(comparison_ids=comparison_ids)


def _wanted_set(comparison_ids: Sequence[int], wanted: int) -> None:
    with connection.cursor() as cursor:
        # Both columns at once, because open slots may never exceed the wanted labels.
        cursor.execute(
            "UPDATE annotate_comparison SET wanted_labels = %s, open_slots = LEAST(open_slots, %s)"
            " WHERE id = ANY(%s)",
            [wanted, wanted, list(comparison_ids)],
        )


@transaction.atomic
def guideline_change(*, project: Project, user: User | None, body: str) -> Guideline:
    """Show new instructions; the same text again makes no version."""
    Project.objects.select_for_update().get(pk=project.pk)
    old = project.guidelines.order_by("-version").first()
    if old is not None and old.body == body:
        return old
    guideline = Guideline(project=project, version=old.version + 1 if old else 1, body=body)
    _saved(guideline)
    audit_write(
        project=project, actor=user, action="guideline.change", target=str(guideline.version)
    )
    return guideline


@transaction.atomic
def project_money_change(
    *, project: Project, user: User | None, human_price_usd: Decimal, budget_usd: Decimal | None
) -> Project:
    """Set the price of the next human labels and the budget.

    Raises
    ------
    ApplicationError
        If a value does not fit; the message names the field.
    """
    project.human_price_usd, project.budget_usd = human_price_usd, budget_usd
    _checked(project)
    project.save(update_fields=["human_price_usd", "budget_usd"])
    data = {"human_price_usd": str(human_price_usd), "budget_usd": str(budget_usd)}
    audit_write(project=project, actor=user, action="money.change", data=data)
    return project


@transaction.atomic
def member_add(*, project: Project, actor: User | None, username: str, role: str) -> Membership:
    """Add somebody to a project, or change their role.

    Raises
    ------
    ApplicationError
        If there is no such user or role, or the project would lose its last owner.
    """
    if role not in Membership.Role.values:
        raise ApplicationError(
            f"Unknown role {role!r}; use one of {', '.join(Membership.Role.values)}.", field="role"
        )
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise ApplicationError(f"There is no user {username!r}.", field="username")
    owners = project.memberships.select_for_update().filter(role=Membership.Role.OWNER)
    if role != Membership.Role.OWNER and [m.user_id for m in owners] == [user.pk]:
        raise ApplicationError("A project needs an owner: name another one first.", field="role")
    member, _ = Membership.objects.update_or_create(
        project=project, user=user, defaults={"role": role}
    )
    if role == Membership.Role.ANNOTATOR:
        # So that comparisons can be given to them before they begin.
        annotator_row(project=project, user=user)
    audit_write(
        project=project, actor=actor, action="member.add", target=username, data={"role": role}
    )
    return member


@transaction.atomic
def member_remove(*, project: Project, actor: User | None, username: str) -> None:
    """Take somebody out of a project and what they hold back into the queue; their labels stay.

    Raises
    ------
    ApplicationError
        If they do not belong to it, or are its last owner.
    """
    owners = project.memberships.select_for_update().filter(role=Membership.Role.OWNER)
    names = [member.user.get_username() for member in owners.select_related("user")]
    if names == [username]:
        raise ApplicationError("A project needs an owner: name another one first.", field="role")
    count, _ = project.memberships.filter(user__username=username).delete()
    if not count:
        raise ApplicationError(f"{username!r} does not belong to this project.", field="username")
    for annotator in Annotator.objects.filter(project=project, user__username=username):
        transaction.on_commit(partial(annotator_leases_return, annotator=annotator))
    audit_write(project=project, actor=actor, action="member.remove", target=username)
