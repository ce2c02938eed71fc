"""Projects over REST."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate import loop
from annotate.access import get_project_for, list_memberships_for
from annotate.api.common import valid
from annotate.api.fields import ChoiceField
from annotate.models import ApiToken, Membership
from annotate.services.projects import project_create


class ProjectOutput(serializers.Serializer[Any]):
    """A project as one of its members sees it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    role = ChoiceField(choices=Membership.Role.choices)


class StageOutput(serializers.Serializer[Any]):
    """One stage of the loop."""

    title = serializers.CharField()
    state = serializers.CharField()
    figure = serializers.CharField()
    is_done = serializers.BooleanField()


class ProjectDetailOutput(ProjectOutput):
    """A project with the stages of its loop; owners only see the stages."""

    stages = StageOutput(many=True)


class ProjectInput(serializers.Serializer[Any]):
    """A new project; whoever makes it owns it."""

    name = serializers.CharField(max_length=120)
    slug = serializers.SlugField(max_length=60)
    description = serializers.CharField(default="", allow_blank=True, max_length=10_000)


class ProjectListView(APIView):
    """The caller's projects."""

    @extend_schema(responses=ProjectOutput(many=True), operation_id="projects_list")
    def get(self, request: Request) -> Response:
        memberships = list_memberships_for(request.user)
        if isinstance(request.auth, ApiToken) and request.auth.project_id is not None:
            memberships = memberships.filter(project_id=request.auth.project_id)
        return Response([_project(m.project, m.role) for m in memberships])

    @extend_schema(
        request=ProjectInput, responses={201: ProjectOutput}, operation_id="projects_create"
    )
    def post(self, request: Request) -> Response:
        body = valid(ProjectInput(data=request.data))
        if isinstance(request.auth, ApiToken) and request.auth.project_id is not None:
            raise PermissionDenied("A token of one project cannot make another.")
        project = project_create(user=cast(User, request.user), **body)
        row = _project(project, Membership.Role.OWNER)
        return Response(row, status=status.HTTP_201_CREATED)


class ProjectDetailView(APIView):
    """One project and how its loop stands."""

    @extend_schema(responses=ProjectDetailOutput)
    def get(self, request: Request, slug: str) -> Response:
        access = get_project_for(request.user, slug)
        stages = loop.stages_of(access.project) if access.is_owner else []
        body = _project(access.project, access.role)
        body["stages"] = StageOutput(stages, many=True).data
        return Response(body)


def _project(project: Any, role: str) -> dict[str, Any]:
    return {
        "slug": project.slug,
        "name": project.name,
        "description": project.description,
        "role": role,
    }
