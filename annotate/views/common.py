"""What every page shares."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest

from annotate.access import Access


def authenticated(request: HttpRequest) -> User:
    """The logged-in user; only behind ``login_required``."""
    return cast(User, request.user)


def page_context(access: Access, *, nav: str) -> dict[str, Any]:
    """The context that ``base_project.html`` needs."""
    return {"project": access.project, "role": access.role, "nav": nav}
