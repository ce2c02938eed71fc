"""The only way from a URL to a row.

An outsider gets the same 404 as for a project that does not exist; a member without the right gets
403. Pages and API call the same getters.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext

from annotate.models import (
    Annotator,
    ApiToken,
    Assignment,
    BulkChange,
    Comparison,
    DatasetVersion,
    ExportJob,
    Flag,
    FreezeJob,
    Gold,
    ImportJob,
    Membership,
    Project,
    QualityAlarm,
    Review,
    SavedView,
    Webhook,
    WebhookDelivery,
)
from annotate.prepared import PreparedQuery, Statement
from annotate.sessions import SessionStore

M = TypeVar("M", bound=Model)
MOST_HASHES = 10_000
Role = Membership.Role


@dataclass(frozen=True)
class Access:
    """A project seen by one member."""

    project: Project
    user: User
    role: str

    @property
    def is_owner(self) -> bool:
        """Whether the member may see labels, money and settings."""
        return self.role == Role.OWNER

    @property
    def is_reviewer(self) -> bool:
        """Whether the member may decide conflicts between people."""
        return self.role in (Role.OWNER, Role.REVIEWER)


def _found(queryset: QuerySet[M], **lookup: Any) -> M:
    try:
        return queryset.get(**lookup)
    except (ObjectDoesNotExist, ValueError) as error:
        raise Http404(f"No such {queryset.model._meta.verbose_name}.") from error


def list_memberships_for(user: User | AnonymousUser) -> QuerySet[Membership]:
    """The projects a user belongs to with their role there, newest first."""
    memberships = Membership.objects.filter(user_id=user.pk or 0).select_related("project")
    return memberships.order_by("-project__created_at", "-project__pk")


def get_project_for(user: User | AnonymousUser, slug: str) -> Access:
    """Return the project with the member's role, or 404 for an outsider."""
    if not isinstance(user, User):
        raise Http404("No such project.")
    membership = _found(
        Membership.objects.select_related("project"), project__slug=slug, user_id=user.pk
    )
    return Access(project=membership.project, user=user, role=membership.role)


def get_owned_project_for(user: User | AnonymousUser, slug: str) -> Access:
    """Return the project if the member owns it, 403 for other members, 404 for outsiders."""
    access = get_project_for(user, slug)
    if not access.is_owner:
        raise PermissionDenied("Only owners of this project may do that.")
    return access


def get_reviewed_project_for(user: User | AnonymousUser, slug: str) -> Access:
    """Return the project to its owners and reviewers, 403 for other members, 404 for outsiders."""
    access = get_project_for(user, slug)
    if not access.is_reviewer:
        raise PermissionDenied("Only reviewers and owners of this project may do that.")
    return access


def get_annotator_for(access: Access) -> Annotator:
    """Return the member's own annotator row, made on first use under a pseudonym."""
    annotator = annotator_row(project=access.project, user=access.user)
    if not annotator.is_active:
        raise PermissionDenied(gettext("Your labelling in this project is paused. Ask its owner."))
    return annotator


def annotator_row(*, project: Project, user: User) -> Annotator:
    """Return the row under which somebody labels in a project, paused or not."""
    annotator, _ = Annotator.objects.get_or_create(
        project=project,
        user=user,
        # Random, because an import may have brought any pseudonym.
        defaults={"kind": Annotator.Kind.HUMAN, "name": f"person-{token_hex(4)}"},
    )
    return annotator


_LABELLER = PreparedQuery(
    lambda user, slug: (
        Annotator.objects.select_related("user", "project__quality_policy")
        .filter(user_id=user, project__slug=slug, project__memberships__user_id=user)
        .order_by()
    ),
    user=-7_001,
    slug="the slug",
)
_HELD = PreparedQuery(
    lambda user, slug, public_id: (
        Assignment.objects.select_related(
            "comparison", "annotator__user", "annotator__project__quality_policy"
        )
        .defer("comparison__metadata")
        .filter(
            public_id=public_id,
            annotator__user_id=user,
            annotator__project__slug=slug,
            annotator__project__memberships__user_id=user,
        )
    ),
    user=-7_001,
    slug="the slug",
    public_id=UUID(int=7_001),
)


@dataclass(frozen=True)
class Labelling:
    """Who labels, their assignment if one was asked about, and what was read along with them."""

    annotator: Annotator
    assignment: Assignment | None
    along: list[tuple[Any, ...]]


def find_labelling(
    session: SessionBase,
    slug: str,
    public_id: UUID | None,
    along: Callable[[int, str], Statement | None],
) -> Labelling | None:
    """Return who labels in a project by their session alone, in one journey.

    ``None`` says nothing about whether they may or whether there is such an assignment: then
    ``get_annotator_in`` and ``get_assignment_for`` decide.

    Parameters
    ----------
    session
        The caller's.
    slug
        The project's.
    public_id
        That of one of the caller's assignments, or none.
    along
        What else to ask, by the user's id and the slug.
    """
    if isinstance(session, SessionStore):
        guess = session.user_guessed()
        if guess is not None:
            return _find_guessed(session, guess, slug, public_id, along)
    user_id = _session_user(session)
    if user_id is None:
        return None
    found = _labelling_of(user_id, slug, public_id, along(user_id, slug))
    if found is None or not _may_label(found.annotator, session):
        return None
    if isinstance(session, SessionStore):
        session.user_remember(user_id)
    return found


def _find_guessed(
    session: SessionStore,
    user_id: int,
    slug: str,
    public_id: UUID | None,
    along: Callable[[int, str], Statement | None],
) -> Labelling | None:
    """Read the session on the same journey, as that of whom it was last time."""
    beside = session.statement_with(along(user_id, slug))
    found = _labelling_of(user_id, slug, public_id, beside)
    if found is None or not found.along:
        return None
    ((data, *rest),) = found.along
    session.read_from(data)
    if _session_user(session) != user_id or not _may_label(found.annotator, session):
        return None
    return replace(found, along=[tuple(rest)] if rest[0] is not None else [])


def _labelling_of(
    user_id: int, slug: str, public_id: UUID | None, beside: Statement | None
) -> Labelling | None:
    if public_id is None:
        annotators, rows = _LABELLER.rows_beside(beside, user=user_id, slug=slug)
        return Labelling(annotators[0], None, rows) if annotators else None
    held, rows = _HELD.rows_beside(beside, user=user_id, slug=slug, public_id=public_id)
    return Labelling(held[0].annotator, held[0], rows) if held else None


def _session_user(session: SessionBase) -> int | None:
    """The user whom a session names, where the site's own backend opened it."""
    name = session.get(SESSION_KEY, "")
    is_ours = session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
    return int(name) if is_ours and str(name).isdecimal() else None


def _may_label(annotator: Annotator, session: SessionBase) -> bool:
    """What Django and ``get_annotator_for`` ask of whoever labels with a session."""
    user = annotator.user
    if user is None or not user.is_active or not annotator.is_active:
        return False
    proof = session.get(HASH_SESSION_KEY, "")
    return bool(proof) and constant_time_compare(proof, _session_hash(user))


# The same for as long as the password is.
_hashes: dict[str, str] = {}


def _session_hash(user: User) -> str:
    if user.password not in _hashes:
        if len(_hashes) >= MOST_HASHES:
            _hashes.clear()
        _hashes[user.password] = user.get_session_auth_hash()
    return _hashes[user.password]


def get_annotator_in(user: User | AnonymousUser, slug: str) -> Annotator:
    """Return the member's own annotator row in a project, in one query once it is made."""
    known = Annotator.objects.select_related("project__quality_policy").filter(
        user_id=user.pk or 0, project__slug=slug, project__memberships__user_id=user.pk or 0
    )
    annotator = next(iter(known.order_by()), None)
    if annotator is None or not annotator.is_active:
        return get_annotator_for(get_project_for(user, slug))
    return annotator


def get_assignment_for(annotator: Annotator, public_id: UUID | str) -> Assignment:
    """Return one of the annotator's own assignments."""
    assignment = _found(
        Assignment.objects.select_related("comparison"), public_id=public_id, annotator=annotator
    )
    assignment.annotator = annotator
    return assignment


def get_comparison_for(access: Access, pk: int) -> Comparison:
    """Return a comparison of a project that the member owns."""
    return _found(Comparison.objects.select_related("prompt"), pk=pk, project=access.project)


def get_import_job_for(access: Access, public_id: UUID | str) -> ImportJob:
    """Return an import job of a project that the member owns."""
    return _found(ImportJob.objects.all(), public_id=public_id, project=access.project)


def get_dataset_version_for(access: Access, number: int) -> DatasetVersion:
    """Return a dataset version of a project that the member owns."""
    return _found(DatasetVersion.objects.all(), number=number, project=access.project)


def get_annotator_of(access: Access, pk: int) -> Annotator:
    """Return any annotator of a project that the member owns."""
    return _found(Annotator.objects.all(), pk=pk, project=access.project)


def get_member_of(access: Access, pk: int) -> Membership:
    """Return any membership of a project that the member owns."""
    return _found(Membership.objects.select_related("user"), pk=pk, project=access.project)


def get_gold_for(access: Access, pk: int) -> Gold:
    """Return a known answer of a project that the member owns."""
    rows = Gold.objects.select_related("comparison__project", "comparison__prompt")
    return _found(rows, pk=pk, comparison__project=access.project)


def get_alarm_for(access: Access, pk: int) -> QualityAlarm:
    """Return an alarm of a project that the member owns."""
    rows = QualityAlarm.objects.select_related("annotator__project")
    return _found(rows, pk=pk, annotator__project=access.project)


def get_flag_for(access: Access, pk: int) -> Flag:
    """Return a flag of a project that the member owns."""
    rows = Flag.objects.select_related("comparison__project")
    return _found(rows, pk=pk, comparison__project=access.project)


def get_review_for(access: Access, pk: int) -> Review:
    """Return a review of a project in which the member may decide conflicts."""
    rows = Review.objects.select_related("comparison__prompt", "comparison__project")
    return _found(rows, pk=pk, comparison__project=access.project)


def get_api_token_for(user: User, pk: int) -> ApiToken:
    """Return one of the user's own API tokens."""
    return _found(ApiToken.objects.all(), pk=pk, user=user)


def get_webhook_for(access: Access, public_id: UUID | str) -> Webhook:
    """Return a webhook of a project that the member owns."""
    rows = Webhook.objects.select_related("project")
    return _found(rows, public_id=public_id, project=access.project)


def get_delivery_for(access: Access, public_id: UUID | str) -> WebhookDelivery:
    """Return a delivery to a webhook of a project that the member owns."""
    rows = WebhookDelivery.objects.select_related("webhook__project")
    return _found(rows, public_id=public_id, webhook__project=access.project)


def get_bulk_change_for(access: Access, public_id: UUID | str) -> BulkChange:
    """Return a change of many comparisons of a project that the member owns."""
    return _found(BulkChange.objects.all(), public_id=public_id, project=access.project)


def get_saved_view_for(access: Access, pk: int) -> SavedView:
    """Return one of the member's own saved views in a project that they own."""
    return _found(SavedView.objects.all(), pk=pk, project=access.project, user=access.user)


def get_export_job_for(access: Access, public_id: UUID | str) -> ExportJob:
    """Return an export of a project that the member owns."""
    rows = ExportJob.objects.select_related("project", "version")
    return _found(rows, public_id=public_id, project=access.project)


def get_freeze_job_for(access: Access, public_id: UUID | str) -> FreezeJob:
    """Return the freezing of a version of a project that the member owns."""
    rows = FreezeJob.objects.select_related("project", "version")
    return _found(rows, public_id=public_id, project=access.project)
