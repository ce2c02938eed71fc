"""Who asks the REST API: by a token, or by the session of a browser."""

from typing import Any

from django.contrib.auth.models import User
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from annotate.access import Labelling, find_labelling
from annotate.languages import language_recall
from annotate.models import ApiToken
from annotate.services.tokens import api_token_find


class TokenAuthentication(BaseAuthentication):
    """Read ``Authorization: Bearer <token>``; what the token may do is ``TokenScope``'s to say."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() not in (b"bearer", b"token"):
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Send the header 'Authorization: Bearer <token>'.")
        token = api_token_find(secret=parts[1].decode("ascii", errors="replace"))
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return self.keyword


class LabellerAuthentication(SessionAuthentication):
    """Read a session together with what is asked about, in one journey.

    Whatever is not a plain yes is left to Django's own session authentication. What was found
    waits on the request for ``found_with_session``. A view may have more read along.
    """

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        raw, context = request._request, request.parser_context or {}
        place, view = context.get("kwargs", {}), context.get("view")
        along = getattr(view, "read_along", lambda user_id, slug: None)
        found = find_labelling(raw.session, place.get("slug", ""), place.get("public_id"), along)
        language_recall(raw)
        if found is not None:
            # Where Django's own middleware keeps whom it has found.
            raw._cached_user = found.annotator.user  # type: ignore[attr-defined]
            setattr(raw, _FOUND, found)
        return super().authenticate(request)


_FOUND = "_tandem_labeller"


def found_with_session(request: Request) -> Labelling | None:
    """The annotator and the assignment that came with the session, if they did."""
    found: Labelling | None = getattr(request._request, _FOUND, None)
    return found
