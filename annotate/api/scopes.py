"""What a token may do: every address that changes something belongs to one scope."""

from typing import Any

from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from annotate.models import ApiToken
from annotate.services.tokens import scope_covers

Scope = ApiToken.Scope
# By the first segment below a project. What is not listed needs the scope "write".
SCOPES: dict[str, str] = {
    "assignments": Scope.LABEL,
    "qualification": Scope.LABEL,
    "reviews": Scope.LABEL,
    "changes": Scope.DATA,
    "comparisons": Scope.DATA,
    "exports": Scope.DATA,
    "freezes": Scope.DATA,
    "imports": Scope.DATA,
    "versions": Scope.DATA,
    "views": Scope.DATA,
    "acquisition-replays": Scope.RUN,
    "acquisition-rounds": Scope.RUN,
    "fine-tunings": Scope.RUN,
    "gate-runs": Scope.RUN,
    "judge-batches": Scope.RUN,
    "judge-runs": Scope.RUN,
    "label-audits": Scope.RUN,
    "routing-batches": Scope.RUN,
    "routing-pilot": Scope.RUN,
    "routing-replays": Scope.RUN,
    "routing-studies": Scope.RUN,
    "score": Scope.RUN,
    "training-runs": Scope.RUN,
}
# Reads whose question is too long for an address.
READ_BY_POST = frozenset({"comparisons/read"})
OWN_TOKEN = frozenset({"current", "current/rotate"})


def scope_wanted(method: str, path: str) -> str:
    """Return the scope that a token needs for a request to ``/api/v1/…``."""
    parts = path.strip("/").split("/")[2:]
    if method in SAFE_METHODS or "/".join(parts[2:]) in READ_BY_POST:
        return Scope.READ
    if parts[:1] == ["tokens"] and "/".join(parts[1:]) in OWN_TOKEN:
        return Scope.READ
    if parts[:1] == ["projects"] and len(parts) > 2:
        return SCOPES.get(parts[2], Scope.WRITE)
    return Scope.WRITE


class TokenScope(BasePermission):
    """Hold a token to its scope and its project; whoever has a session is not held."""

    def has_permission(self, request: Request, view: Any) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        wanted = scope_wanted(request.method or "", request.path_info)
        if not scope_covers(token.scope, wanted):
            may = "only read" if token.scope == Scope.READ else f"do what {token.scope!r} allows"
            raise PermissionDenied(f"This token may {may}. Make one with the scope {wanted!r}.")
        slug = view.kwargs.get("slug")
        if token.project is not None and slug is not None and slug != token.project.slug:
            raise Http404("No such project.")
        return True
