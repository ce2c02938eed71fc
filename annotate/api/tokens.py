"""One's own API tokens over REST: scoped, ending, replaced without a gap."""

from datetime import timedelta
from typing import Any, cast

from django.contrib.auth.models import User
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_api_token_for, get_project_for
from annotate.api.common import valid
from annotate.api.fields import ChoiceField
from annotate.errors import ApplicationError
from annotate.models import ApiToken
from annotate.services.tokens import (
    MAX_RATE,
    OVERLAP,
    api_token_create,
    api_token_revoke,
    api_token_rotate,
)


class TokenInput(serializers.Serializer[Any]):
    """A new token."""

    name = serializers.CharField(max_length=80)
    scope = ChoiceField(choices=ApiToken.Scope.choices, default=ApiToken.Scope.READ)
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="Left out: until it is revoked."
    )
    project = serializers.SlugField(
        required=False, max_length=60, help_text="The only project that it opens."
    )
    rate_per_minute = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=MAX_RATE
    )


class RotateInput(serializers.Serializer[Any]):
    """How long the old token lives on."""

    overlap_seconds = serializers.IntegerField(
        default=int(OVERLAP.total_seconds()), min_value=0, max_value=7 * 86_400
    )


class TokenOutput(serializers.Serializer[Any]):
    """A token without its secret."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    prefix = serializers.CharField()
    scope = ChoiceField(choices=ApiToken.Scope.choices)
    project = serializers.CharField(source="project.slug", allow_null=True, default=None)
    rate_per_minute = serializers.IntegerField(allow_null=True)
    replaces = serializers.IntegerField(source="replaces_id", allow_null=True)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class TokenSecretOutput(TokenOutput):
    """A new token with its secret, which is never told again."""

    secret = serializers.CharField()


class TokenListView(APIView):
    """One's own tokens."""

    @extend_schema(responses=TokenOutput(many=True), operation_id="tokens_list")
    def get(self, request: Request) -> Response:
        tokens = _user(request).api_tokens.select_related("project")
        held = request.auth
        if isinstance(held, ApiToken) and held.project_id is not None:
            tokens = tokens.filter(project_id=held.project_id)
        return Response(TokenOutput(tokens, many=True).data)

    @extend_schema(
        request=TokenInput, responses={201: TokenSecretOutput}, operation_id="tokens_create"
    )
    def post(self, request: Request) -> Response:
        body = valid(TokenInput(data=request.data))
        slug = body.pop("project", None)
        project = get_project_for(request.user, slug).project if slug else None
        maker = request.auth if isinstance(request.auth, ApiToken) else None
        made = api_token_create(user=_user(request), project=project, maker=maker, **body)
        return _secret(*made)


class TokenView(APIView):
    """One of one's own tokens."""

    @extend_schema(responses=TokenOutput)
    def get(self, request: Request, pk: int) -> Response:
        return Response(TokenOutput(_own(request, pk)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        api_token_revoke(token=_own(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenRotateView(APIView):
    """Replace one of one's own tokens."""

    @extend_schema(
        request=RotateInput, responses={201: TokenSecretOutput}, operation_id="tokens_rotate"
    )
    def post(self, request: Request, pk: int) -> Response:
        return _rotated(request, _own(request, pk))


class CurrentTokenView(APIView):
    """The token that the request was sent with."""

    @extend_schema(responses=TokenOutput, operation_id="tokens_current")
    def get(self, request: Request) -> Response:
        return Response(TokenOutput(_current(request)).data)


class CurrentTokenRotateView(APIView):
    """Replace the token that the request was sent with; any scope may do so."""

    @extend_schema(
        request=RotateInput,
        responses={201: TokenSecretOutput},
        operation_id="tokens_current_rotate",
    )
    def post(self, request: Request) -> Response:
        return _rotated(request, _current(request))


def _user(request: Request) -> User:
    return cast(User, request.user)


def _own(request: Request, pk: int) -> ApiToken:
    token = get_api_token_for(_user(request), pk)
    held = request.auth
    if isinstance(held, ApiToken) and held.project_id not in (None, token.project_id):
        raise ApplicationError("A token of one project can only change tokens of that project.")
    return token


def _current(request: Request) -> ApiToken:
    if not isinstance(request.auth, ApiToken):
        raise ApplicationError("This request was sent with a session, not with a token.")
    return request.auth


def _rotated(request: Request, token: ApiToken) -> Response:
    seconds = valid(RotateInput(data=request.data))["overlap_seconds"]
    return _secret(*api_token_rotate(token=token, overlap=timedelta(seconds=seconds)))


def _secret(token: ApiToken, secret: str) -> Response:
    body = {**TokenOutput(token).data, "secret": secret}
    headers = {"Cache-Control": "no-store"}
    return Response(body, status=status.HTTP_201_CREATED, headers=headers)


urls = [
    # /api/v1/tokens…
    path("tokens", TokenListView.as_view(), name="token-list"),
    path("tokens/current", CurrentTokenView.as_view(), name="token-current"),
    path("tokens/current/rotate", CurrentTokenRotateView.as_view(), name="token-current-rotate"),
    path("tokens/<int:pk>", TokenView.as_view(), name="token"),
    path("tokens/<int:pk>/rotate", TokenRotateView.as_view(), name="token-rotate"),
]
