"""A person's own settings of the workspace, over the API."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.services.workbench import keys_change, keys_of


class KeysBody(serializers.Serializer[Any]):
    """The person's own keys: one small letter per action."""

    keys = serializers.DictField(child=serializers.CharField(max_length=8))


class KeysView(APIView):
    """Read and replace one's own keys."""

    @extend_schema(responses=KeysBody)
    def get(self, request: Request) -> Response:
        return Response({"keys": keys_of(user=cast(User, request.user))})

    @extend_schema(request=KeysBody, responses=KeysBody)
    def put(self, request: Request) -> Response:
        body = KeysBody(data=request.data)
        body.is_valid(raise_exception=True)
        keys = keys_change(user=cast(User, request.user), keys=body.validated_data["keys"])
        return Response({"keys": keys})
