"""Flags: annotators say that something is wrong with a comparison, owners look and close."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from annotate.errors import ApplicationError
from annotate.models import Assignment, Flag, Project
from annotate.services.audit import audit_write


@transaction.atomic
def flag_raise(*, assignment: Assignment, reason: str, note: str = "") -> Flag:
    """Flag what an assignment shows; the same flag again changes its note only.

    Raises
    ------
    ApplicationError
        If the protocol does not offer the reason.
    """
    offered = Project.objects.get(pk=assignment.annotator.project_id).protocol.flags
    if reason not in offered:
        raise ApplicationError(
            gettext("Unknown flag %(reason)r; use one of %(offered)s.")
            % {"reason": reason, "offered": ", ".join(offered) or gettext("none")},
            field="reason",
        )
    flag, _ = Flag.objects.update_or_create(
        comparison_id=assignment.comparison_id,
        annotator_id=assignment.annotator_id,
        reason=reason,
        resolved_at=None,
        defaults={"note": note[:500]},
    )
    return flag


@transaction.atomic
def flag_resolve(*, flag: Flag, user: User) -> Flag:
    """Close a flag that the owner has dealt with.

    Raises
    ------
    ApplicationError
        If it is closed already.
    """
    rows = Flag.objects.filter(pk=flag.pk, resolved_at=None).update(
        resolved_at=timezone.now(), resolved_by=user
    )
    if not rows:
        raise ApplicationError("This flag is closed already.")
    audit_write(
        project=flag.comparison.project, actor=user, action="flag.resolve",
        target=flag.comparison.external_id, data={"reason": flag.reason},
    )  # fmt: skip
    flag.refresh_from_db()
    return flag
