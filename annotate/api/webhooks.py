"""Webhooks over REST; owners only."""

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_delivery_for, get_owned_project_for, get_webhook_for
from annotate.api.common import CursorPageParameters, PagesByRow, page_schema, valid
from annotate.api.fields import ChoiceField
from annotate.errors import ApplicationError
from annotate.models import Webhook, WebhookDelivery
from annotate.services.event_sources import event_types
from annotate.services.webhooks import (
    MAX_URL_CHARS,
    delivery_replay,
    webhook_change,
    webhook_create,
    webhook_delete,
    webhook_rotate,
    webhook_secret,
    webhook_test,
)


class WebhookInput(serializers.Serializer[Any]):
    """Whom to tell what."""

    url = serializers.CharField(max_length=MAX_URL_CHARS)
    events = serializers.ListField(
        child=serializers.CharField(max_length=60), min_length=1, max_length=50
    )
    description = serializers.CharField(default="", allow_blank=True, max_length=200)


class WebhookChangeInput(serializers.Serializer[Any]):
    """What to change about a webhook."""

    url = serializers.CharField(required=False, max_length=MAX_URL_CHARS)
    events = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, min_length=1, max_length=50
    )
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)
    is_active = serializers.BooleanField(required=False)


class WebhookOutput(serializers.Serializer[Any]):
    """A webhook without its secret."""

    id = serializers.UUIDField(source="public_id")
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField()
    is_active = serializers.BooleanField()
    stopped_reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class WebhookSecretOutput(WebhookOutput):
    """A webhook with the secret that signs what it gets."""

    secret = serializers.CharField()


class AttemptRow(serializers.Serializer[Any]):
    """One attempt at a delivery."""

    number = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    answer = serializers.CharField()


class DeliveryOutput(serializers.Serializer[Any]):
    """An event on its way to a webhook."""

    id = serializers.UUIDField(source="public_id")
    webhook = serializers.UUIDField(source="webhook.public_id")
    event = serializers.CharField()
    event_id = serializers.UUIDField()
    payload = serializers.DictField()
    state = ChoiceField(choices=WebhookDelivery.State.choices)
    n_attempts = serializers.IntegerField()
    due_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptRow(many=True)


class EventTypeOutput(serializers.Serializer[Any]):
    """A type of event."""

    type = serializers.CharField()
    description = serializers.CharField()


class EventTypesView(APIView):
    """The types of events that a webhook can ask for."""

    @extend_schema(responses=EventTypeOutput(many=True), operation_id="event_types_list")
    def get(self, request: Request, slug: str) -> Response:
        get_owned_project_for(request.user, slug)
        known = event_types().items()
        return Response([{"type": name, "description": words} for name, words in known])


class WebhookListView(APIView):
    """A project's webhooks."""

    @extend_schema(responses=WebhookOutput(many=True), operation_id="webhooks_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(WebhookOutput(access.project.webhooks.all(), many=True).data)

    @extend_schema(
        request=WebhookInput, responses={201: WebhookSecretOutput}, operation_id="webhooks_create"
    )
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = valid(WebhookInput(data=request.data))
        webhook = webhook_create(project=access.project, user=access.user, **body)
        return _with_secret(webhook, status.HTTP_201_CREATED)


class WebhookView(APIView):
    """One webhook."""

    @extend_schema(responses=WebhookOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(WebhookOutput(get_webhook_for(access, public_id)).data)

    @extend_schema(request=WebhookChangeInput, responses=WebhookOutput)
    def patch(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        webhook = get_webhook_for(access, public_id)
        body = valid(WebhookChangeInput(data=request.data))
        changed = webhook_change(webhook=webhook, user=access.user, **body)
        return Response(WebhookOutput(changed).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        webhook_delete(webhook=get_webhook_for(access, public_id), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookRotateView(APIView):
    """Give a webhook another secret; for a day both sign."""

    @extend_schema(request=None, responses=WebhookSecretOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        webhook = get_webhook_for(access, public_id)
        webhook_rotate(webhook=webhook, user=access.user)
        return _with_secret(webhook, status.HTTP_200_OK)


class WebhookTestView(APIView):
    """Send a test event."""

    @extend_schema(request=None, responses={202: DeliveryOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        delivery = webhook_test(webhook=get_webhook_for(access, public_id))
        return Response(DeliveryOutput(delivery).data, status=status.HTTP_202_ACCEPTED)


class DeliveryListView(APIView):
    """What was sent to a webhook, newest first."""

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=WebhookDelivery.State.values),
            *CursorPageParameters,
        ],
        responses=page_schema("DeliveryPage", DeliveryOutput(many=True), has_previous=True),
    )
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        rows = get_webhook_for(access, public_id).deliveries.prefetch_related("attempts")
        state = request.query_params.get("state")
        if state is not None and state not in WebhookDelivery.State.values:
            known = ", ".join(WebhookDelivery.State.values)
            raise ApplicationError(f"Unknown state {state!r}; use one of {known}.", field="state")
        pages = _NewestFirst()
        wanted = rows.filter(state=state) if state else rows
        found = pages.paginate_queryset(wanted.select_related("webhook"), request) or []
        return pages.get_paginated_response(DeliveryOutput(found, many=True).data)


class DeliveryView(APIView):
    """One delivery with every attempt."""

    @extend_schema(responses=DeliveryOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(DeliveryOutput(get_delivery_for(access, public_id)).data)


class DeliveryReplayView(APIView):
    """Send an event again, with the id that it had."""

    @extend_schema(request=None, responses={202: DeliveryOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        delivery = get_delivery_for(access, public_id)
        again = delivery_replay(delivery=delivery, user=access.user)
        return Response(DeliveryOutput(again).data, status=status.HTTP_202_ACCEPTED)


class _NewestFirst(PagesByRow):
    ordering = "-pk"


def _with_secret(webhook: Webhook, code: int) -> Response:
    body = {**WebhookOutput(webhook).data, "secret": webhook_secret(webhook=webhook)}
    return Response(body, status=code, headers={"Cache-Control": "no-store"})


webhook_urls = [
    # /api/v1/projects/<slug>/…
    path("webhooks", WebhookListView.as_view(), name="webhook-list"),
    path("webhooks/<uuid:public_id>", WebhookView.as_view(), name="webhook"),
    path("webhooks/<uuid:public_id>/rotate", WebhookRotateView.as_view(), name="webhook-rotate"),
    path("webhooks/<uuid:public_id>/test", WebhookTestView.as_view(), name="webhook-test"),
    path("webhooks/<uuid:public_id>/deliveries", DeliveryListView.as_view(), name="delivery-list"),
]
project_urls = [
    *webhook_urls,
    path("event-types", EventTypesView.as_view(), name="event-type-list"),
    path("deliveries/<uuid:public_id>", DeliveryView.as_view(), name="delivery"),
    path(
        "deliveries/<uuid:public_id>/replay", DeliveryReplayView.as_view(), name="delivery-replay"
    ),
]
