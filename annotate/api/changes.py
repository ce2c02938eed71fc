"""Changes of many comparisons at once with undo, and saved views, over REST; owners only."""

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_bulk_change_for, get_owned_project_for, get_saved_view_for
from annotate.api.common import valid
from annotate.api.comparisons import FilterInput
from annotate.api.fields import ChoiceField
from annotate.models import BulkChange, SavedView
from annotate.selectors.explorer import Filters
from annotate.selectors.saved_views import saved_views
from annotate.services.bulk_changes import bulk_change, bulk_change_undo, comparisons_chosen
from annotate.services.saved_views import saved_view_save

LISTED = 100
MAX_IDS = 1000


class ChangeInput(serializers.Serializer[Any]):
    """What to do with which comparisons: either those named, or all that pass the filters."""

    action = ChoiceField(choices=BulkChange.Action.choices)
    value = serializers.JSONField(
        required=False,
        allow_null=True,
        default=None,
        help_text="A priority, a number of people, a skill; nothing to ask nobody more.",
    )
    comparisons = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        min_length=1,
        max_length=MAX_IDS,
        help_text="By `pk`.",
    )
    filters = FilterInput(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take either comparisons or filters."""
        if ("comparisons" in attrs) == ("filters" in attrs):
            raise serializers.ValidationError("Send either comparisons or filters.")
        return attrs


class ChangeOutput(serializers.Serializer[Any]):
    """A change, and whether it was taken back."""

    id = serializers.UUIDField(source="public_id")
    action = ChoiceField(choices=BulkChange.Action.choices)
    value = serializers.JSONField(allow_null=True)
    n_comparisons = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    undone_at = serializers.DateTimeField(allow_null=True)
    n_restored = serializers.IntegerField()


class ViewInput(serializers.Serializer[Any]):
    """Filters under a name."""

    name = serializers.CharField(max_length=80)
    query = FilterInput()
    order = serializers.CharField(required=False, max_length=30)
    is_shared = serializers.BooleanField(default=False, help_text="For every owner.")


class ViewOutput(serializers.Serializer[Any]):
    """A saved view."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    query = serializers.DictField(child=serializers.CharField())
    is_shared = serializers.BooleanField()
    owner = serializers.CharField(source="user.username")
    created_at = serializers.DateTimeField()


class ChangeListView(APIView):
    """Change many comparisons at once; the latest changes."""

    @extend_schema(responses=ChangeOutput(many=True), operation_id="changes_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(ChangeOutput(access.project.bulk_changes.all()[:LISTED], many=True).data)

    @extend_schema(
        request=ChangeInput, responses={201: ChangeOutput}, operation_id="changes_create"
    )
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = valid(ChangeInput(data=request.data))
        chosen = body.get("comparisons")
        if chosen is None:
            filters = Filters.read(body["filters"])
            chosen = comparisons_chosen(project=access.project, filters=filters)
        change = bulk_change(
            project=access.project,
            user=access.user,
            action=body["action"],
            comparison_ids=chosen,
            value=body["value"],
        )
        return Response(ChangeOutput(change).data, status=status.HTTP_201_CREATED)


class ChangeView(APIView):
    """One change."""

    @extend_schema(responses=ChangeOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(ChangeOutput(get_bulk_change_for(access, public_id)).data)


class ChangeUndoView(APIView):
    """Take a change back where nobody has changed the comparison since."""

    @extend_schema(request=None, responses=ChangeOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        change = get_bulk_change_for(access, public_id)
        return Response(ChangeOutput(bulk_change_undo(change=change, user=access.user)).data)


class SavedViewListView(APIView):
    """One's own views and the shared ones."""

    @extend_schema(responses=ViewOutput(many=True), operation_id="views_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        views = saved_views(project=access.project, user=access.user)
        return Response(ViewOutput(views, many=True).data)

    @extend_schema(request=ViewInput, responses={201: ViewOutput}, operation_id="views_create")
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = valid(ViewInput(data=request.data))
        order = {"order": body.pop("order")} if "order" in body else {}
        view = saved_view_save(
            project=access.project, user=access.user, **{**body, "query": body["query"] | order}
        )
        return Response(ViewOutput(view).data, status=status.HTTP_201_CREATED)


class SavedViewView(APIView):
    """One of one's own views."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        view: SavedView = get_saved_view_for(access, pk)
        view.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


project_urls = [
    # /api/v1/projects/<slug>/…
    path("changes", ChangeListView.as_view(), name="change-list"),
    path("changes/<uuid:public_id>", ChangeView.as_view(), name="change"),
    path("changes/<uuid:public_id>/undo", ChangeUndoView.as_view(), name="change-undo"),
    path("views", SavedViewListView.as_view(), name="view-list"),
    path("views/<int:pk>", SavedViewView.as_view(), name="view"),
]
