"""The trail of who changed what."""

from typing import Any

from django.contrib.auth.models import User

from annotate.models import AuditEvent, Project


def audit_write(
    *,
    project: Project,
    actor: User | None,
    action: str,
    target: str = "",
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Record a change in the same transaction as the change itself."""
    return AuditEvent.objects.create(
        project=project, actor=actor, action=action, target=target[:120], data=data or {}
    )
