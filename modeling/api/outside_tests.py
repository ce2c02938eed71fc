"""Reward models on other projects' human labels over REST; owners of both only."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.fields import ChoiceField
from annotate.models import ApiToken, JobState
from modeling.access import get_outside_test_for, get_reward_model_for
from modeling.models import OutsideTest
from modeling.services.outside_tests import outside_test_start

LISTED = 100


class OutsideTestInput(serializers.Serializer[Any]):
    """The project to test on."""

    project = serializers.SlugField(help_text="Slug of another project that you own.")


class OutsideTestOutput(serializers.Serializer[Any]):
    """A test elsewhere; ``metrics`` has every figure with its interval once it is done."""

    id = serializers.UUIDField()
    reward_model = serializers.IntegerField()
    project = serializers.CharField()
    state = ChoiceField(choices=JobState.choices)
    progress = serializers.FloatField()
    message = serializers.CharField()
    metrics = serializers.DictField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class OutsideTestsView(APIView):
    """Test a model on another project's human labels; list such tests."""

    @extend_schema(responses=OutsideTestOutput(many=True), operation_id="outside_tests_list")
    def get(self, request: Request, slug: str, number: int) -> Response:
        model = get_reward_model_for(get_owned_project_for(request.user, slug), number)
        runs = OutsideTest.objects.filter(reward_model=model)
        rows = [_row(run) for run in runs.select_related("reward_model", "tested")[:LISTED]]
        return Response(OutsideTestOutput(rows, many=True).data)

    @extend_schema(request=OutsideTestInput, responses={202: OutsideTestOutput})
    def post(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        model = get_reward_model_for(access, number)
        body = OutsideTestInput(data=request.data)
        body.is_valid(raise_exception=True)
        token = request.auth
        # A token of one project must not read another one through its models.
        if isinstance(token, ApiToken) and token.project is not None:
            raise Http404("No such project.")
        tested = get_owned_project_for(request.user, body.validated_data["project"]).project
        run = outside_test_start(model=model, tested=tested, user=access.user)
        return Response(OutsideTestOutput(_row(run)).data, status=status.HTTP_202_ACCEPTED)


class OutsideTestView(APIView):
    """Read a test elsewhere."""

    @extend_schema(responses=OutsideTestOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_outside_test_for(get_owned_project_for(request.user, slug), public_id)
        return Response(OutsideTestOutput(_row(run)).data)


def _row(run: OutsideTest) -> dict[str, Any]:
    fields = set(OutsideTestOutput().fields) - {"id", "reward_model", "project"}
    return {
        "id": run.public_id,
        "reward_model": run.reward_model.number,
        "project": run.tested.slug,
        **{name: getattr(run, name) for name in fields},
    }
