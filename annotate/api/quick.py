"""What the calls of the labelling day share: people wait for each a thousand times a day."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from annotate.access import get_annotator_in, get_assignment_for
from annotate.api.authentication import (
    LabellerAuthentication,
    TokenAuthentication,
    found_with_session,
)
from annotate.models import Annotator, Assignment
from annotate.prepared import Statement


class QuickRenderer(BaseRenderer):
    """The same JSON as everywhere, written by orjson."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def checked(body: serializers.Serializer[Any], data: Any) -> dict[str, Any]:
    """Check data with a serializer that is made once: making its fields costs more than using them.

    Raises
    ------
    ValidationError
        As ``is_valid(raise_exception=True)`` would.
    """
    return dict(body.run_validation(data))


class LabellingView(APIView):
    """A call of somebody who labels, about themselves or an assignment of theirs."""

    authentication_classes = (TokenAuthentication, LabellerAuthentication)
    renderer_classes = (QuickRenderer,)

    def read_along(self, user_id: int, slug: str) -> Statement | None:
        """What a call wants read on the journey that says who asks."""
        return None

    def annotator(self, request: Request, slug: str) -> Annotator:
        """The caller's own annotator row in the project."""
        found = found_with_session(request)
        return found.annotator if found else get_annotator_in(request.user, slug)

    def assignment(self, request: Request, slug: str, public_id: UUID) -> Assignment:
        """One of the caller's own assignments."""
        found = found_with_session(request)
        if found is not None and found.assignment is not None:
            return found.assignment
        return get_assignment_for(self.annotator(request, slug), public_id)
