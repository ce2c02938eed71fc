"""A project's settings over REST: what is asked, who belongs to it, money, and who changed what."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.common import (
    CursorPageParameters,
    IfMatchParameter,
    PagesByRow,
    match_require,
    page_schema,
    tagged,
    valid,
)
from annotate.api.fields import ChoiceField
from annotate.models import AuditEvent, Guideline, Membership, Project, Protocol
from annotate.protocol_forms import ASKS, MAX_ASPECTS, MAX_CHOICES, ProtocolForm
from annotate.selectors.projects import spend
from annotate.services.projects import (
    guideline_change,
    member_add,
    member_remove,
    project_money_change,
    protocol_change,
)


class MoneyInput(serializers.ModelSerializer[Project]):
    """Prices and the hard limit."""

    class Meta:
        model = Project
        fields = ("human_price_usd", "budget_usd")
        extra_kwargs = {"human_price_usd": {"required": True}, "budget_usd": {"required": True}}


class MoneyOutput(serializers.Serializer[Any]):
    """Prices, the hard limit, and where spending stands."""

    human_price_usd = serializers.DecimalField(max_digits=9, decimal_places=4)
    budget_usd = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True)
    human_usd = serializers.DecimalField(max_digits=14, decimal_places=6)
    judge_usd = serializers.DecimalField(max_digits=14, decimal_places=6)
    reserved_usd = serializers.DecimalField(max_digits=14, decimal_places=6)
    left_usd = serializers.DecimalField(max_digits=18, decimal_places=6, allow_null=True)


class AspectRow(serializers.Serializer[Any]):
    """One aspect on which responses are judged."""

    key = serializers.CharField(required=False, default="", allow_blank=True, max_length=40)
    name = serializers.CharField(max_length=60)
    ask = ChoiceField(choices=ASKS, default="strength")
    reasons = serializers.ListField(
        child=serializers.CharField(max_length=40), default=list, max_length=MAX_CHOICES
    )


class CategoryRow(serializers.Serializer[Any]):
    """One category of highlights."""

    key = serializers.CharField(required=False, default="", allow_blank=True, max_length=40)
    name = serializers.CharField(max_length=40)


class ProtocolRow(serializers.ModelSerializer[Protocol]):
    """What annotators are asked."""

    aspects = AspectRow(many=True, required=False)
    span_categories = CategoryRow(many=True, required=False)
    flags = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=MAX_CHOICES
    )
    skip_reasons = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=MAX_CHOICES
    )

    class Meta:
        model = Protocol
        exclude = ("id", "project")
        read_only_fields = ("version", "created_at")


class GuidelineRow(serializers.ModelSerializer[Guideline]):
    """Instructions in Markdown."""

    body = serializers.CharField(max_length=50_000)

    class Meta:
        model = Guideline
        fields = ("version", "body", "created_at")
        read_only_fields = ("version", "created_at")


class MemberInput(serializers.Serializer[Any]):
    """Somebody's role."""

    role = ChoiceField(choices=Membership.Role.choices)


class MemberOutput(serializers.Serializer[Any]):
    """A member of the project."""

    username = serializers.CharField(source="user.username")
    role = ChoiceField(choices=Membership.Role.choices)
    created_at = serializers.DateTimeField()


class AuditRow(serializers.ModelSerializer[AuditEvent]):
    """One change that somebody made."""

    actor = serializers.CharField(source="actor.username", allow_null=True, default=None)

    class Meta:
        model = AuditEvent
        fields = ("id", "actor", "action", "target", "data", "created_at")


class MoneyView(APIView):
    """Prices, budget and spending."""

    @extend_schema(responses=MoneyOutput)
    def get(self, request: Request, slug: str) -> Response:
        return tagged(_money(get_owned_project_for(request.user, slug).project))

    @extend_schema(
        request=MoneyInput,
        parameters=[IfMatchParameter],
        responses=MoneyOutput,
        operation_id="money_change",
    )
    def put(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        match_require(request, _money(access.project))
        body = valid(MoneyInput(data=request.data))
        project = project_money_change(project=access.project, user=access.user, **body)
        return tagged(_money(project))


class ProtocolListView(APIView):
    """Every version of what is asked, newest first; posting puts another in force."""

    @extend_schema(responses=ProtocolRow(many=True), operation_id="protocols_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(ProtocolRow(access.project.protocols.order_by("-version"), many=True).data)

    @extend_schema(
        request=ProtocolRow,
        responses={201: ProtocolRow, 200: ProtocolRow},
        operation_id="protocols_create",
    )
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        old = access.project.protocol
        body = ProtocolRow(data=request.data, partial=True)
        given = valid(body)
        form = ProtocolForm(_form_data({**ProtocolRow(old).data, **given}))
        if not form.is_valid():
            raise serializers.ValidationError(_refusals(form))
        new = protocol_change(project=access.project, user=access.user, **form.cleaned_data)
        code = status.HTTP_200_OK if new.version == old.version else status.HTTP_201_CREATED
        return Response(ProtocolRow(new).data, status=code)


class GuidelineListView(APIView):
    """Every version of the instructions, newest first; posting shows another."""

    @extend_schema(responses=GuidelineRow(many=True), operation_id="guidelines_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        rows = access.project.guidelines.order_by("-version")
        return Response(GuidelineRow(rows, many=True).data)

    @extend_schema(
        request=GuidelineRow, responses={201: GuidelineRow}, operation_id="guidelines_create"
    )
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = valid(GuidelineRow(data=request.data))["body"]
        guideline = guideline_change(project=access.project, user=access.user, body=body)
        return Response(GuidelineRow(guideline).data, status=status.HTTP_201_CREATED)


class MemberListView(APIView):
    """Who belongs to the project."""

    @extend_schema(responses=MemberOutput(many=True), operation_id="members_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        members = access.project.memberships.select_related("user").order_by("user__username")
        return Response(MemberOutput(members, many=True).data)


class MemberView(APIView):
    """One member: added or given another role, or taken out."""

    @extend_schema(request=MemberInput, responses=MemberOutput, operation_id="members_change")
    def put(self, request: Request, slug: str, username: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        role = valid(MemberInput(data=request.data))["role"]
        member = member_add(project=access.project, actor=access.user, username=username, role=role)
        return Response(MemberOutput(member).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        member_remove(project=access.project, actor=access.user, username=username)
        return Response(status=status.HTTP_204_NO_CONTENT)


class AuditListView(APIView):
    """Who changed what, newest first."""

    @extend_schema(
        parameters=CursorPageParameters,
        responses=page_schema("AuditPage", AuditRow(many=True), has_previous=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        pages = _NewestFirst()
        rows = access.project.audit_events.select_related("actor")
        found = pages.paginate_queryset(rows, request) or []
        return pages.get_paginated_response(AuditRow(found, many=True).data)


class _NewestFirst(PagesByRow):
    ordering = "-pk"


def _money(project: Project) -> dict[str, Any]:
    stand = spend(project=project)
    names = ("human_usd", "judge_usd", "reserved_usd", "left_usd")
    body = {
        "human_price_usd": project.human_price_usd,
        "budget_usd": project.budget_usd,
        **{name: getattr(stand, name) for name in names},
    }
    return {**MoneyOutput(body).data}


def _refusals(form: ProtocolForm) -> dict[str, Any]:
    """What the page would say, by field."""
    rows = [row.errors for row in form.aspects.forms]
    aspects = [f"{name}: {words[0]}" for row in rows for name, words in row.items()]
    found: dict[str, Any] = {name: list(words) for name, words in form.errors.items()}
    return {**found, "aspects": aspects} if aspects else found


def _form_data(values: dict[str, Any]) -> dict[str, Any]:
    """Write a protocol as the page's form sends it: its checks are the only ones there are."""
    data: dict[str, Any] = {
        name: value for name, value in values.items() if value is not None and value is not False
    }
    data["span_categories"] = "\n".join(row["name"] for row in values["span_categories"])
    for name in ("flags", "skip_reasons"):
        data[name] = "\n".join(values[name])
    aspects = data.pop("aspects", [])
    data["aspects-TOTAL_FORMS"], data["aspects-INITIAL_FORMS"] = len(aspects), 0
    data["aspects-MAX_NUM_FORMS"] = MAX_ASPECTS
    for place, aspect in enumerate(aspects):
        for name in ("key", "name", "ask"):
            data[f"aspects-{place}-{name}"] = aspect.get(name, "")
        data[f"aspects-{place}-reasons"] = "\n".join(aspect.get("reasons", []))
    return data


project_urls = [
    # /api/v1/projects/<slug>/…
    path("money", MoneyView.as_view(), name="money"),
    path("protocols", ProtocolListView.as_view(), name="protocol-list"),
    path("guidelines", GuidelineListView.as_view(), name="guideline-list"),
    path("members", MemberListView.as_view(), name="member-list"),
    path("members/<str:username>", MemberView.as_view(), name="member"),
    path("audit-events", AuditListView.as_view(), name="audit-event-list"),
]
