"""Projects over REST."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate import loop
from annotate.access import get_project_for, list_memberships_for
from annotate.models import Membership


class ProjectOutput(serializers.Serializer[Any]):
    """A project as one of its members sees it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    role = serializers.ChoiceField(choices=Membership.Role.choices)


class StageOutput(serializers.Serializer[Any]):
    """One stage of the loop."""

    title = serializers.CharField()
    state = serializers.CharField()
    figure = serializers.CharField()
    is_done = serializers.BooleanField()


class ProjectDetailOutput(ProjectOutput):
    """A project with the stages of its loop; owners only see the stages."""

    stages = StageOutput(many=True)


class ProjectListView(APIView):
    """The caller's projects."""

    @extend_schema(responses=ProjectOutput(many=True))
    def get(self, request: Request) -> Response:
        memberships = list_memberships_for(request.user)
        return Response([_project(m.project, m.role) for m in memberships])


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
