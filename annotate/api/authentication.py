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

from annotate.access import find_held, find_labeller
from annotate.models import Annotator, ApiToken, Assignment
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
    """Read a session together with what is asked about, in one query.

    Whatever is not a plain yes is left to Django's own session authentication. What was found
    waits on the request for ``found_with_session``.
    """

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        raw, place = request._request, (request.parser_context or {}).get("kwargs", {})
        slug, public_id = place.get("slug", ""), place.get("public_id")
        held = None if public_id is None else find_held(raw.session, slug, public_id)
        labeller = held.annotator if held else find_labeller(raw.session, slug)
        if labeller is not None and labeller.user is not None:
            # Where Django's own middleware keeps whom it has found.
            raw._cached_user = labeller.user  # type: ignore[attr-defined]
            setattr(raw, _FOUND, (labeller, held))
        return super().authenticate(request)


_FOUND = "_tandem_labeller"


def found_with_session(request: Request) -> tuple[Annotator | None, Assignment | None]:
    """The annotator and the assignment that came with the session, as far as they did."""
    found: tuple[Annotator | None, Assignment | None]
    found = getattr(request._request, _FOUND, (None, None))
    return found
