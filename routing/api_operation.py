"""Pilot, groups of people and replays over REST; owners only."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.fields import ChoiceField
from annotate.errors import ApplicationError
from modeling.encoder_names import LABELS, TFIDF
from routing.access import get_arm_for, get_replay_for
from routing.api_rows import ArmRow, BatchRow, ReplayRow
from routing.models import RoutingArm
from routing.selectors import judges_of
from routing.services.arms import arm_create, arm_delete
from routing.services.pilots import MAX_PILOT, routing_pilot_start
from routing.services.replays import MAX_SEEDS, replay_run_start


class PilotInput(serializers.Serializer[Any]):
    """A pilot to draw."""

    n = serializers.IntegerField(min_value=1, max_value=MAX_PILOT)
    judge = serializers.CharField(required=False, max_length=120)
    is_stratified = serializers.BooleanField(default=False)
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)


class ReplayInput(serializers.Serializer[Any]):
    """A recorded file and how to replay it."""

    file = serializers.FileField()
    judge = serializers.CharField(required=False, max_length=120, default="")
    policies = serializers.CharField(required=False, default="")
    budgets = serializers.CharField(required=False, default="")
    n_seeds = serializers.IntegerField(default=10, min_value=1, max_value=MAX_SEEDS)
    encoder = ChoiceField(choices=list(LABELS), default=TFIDF)


class PilotView(APIView):
    """Draw a pilot."""

    @extend_schema(request=PilotInput, responses={202: BatchRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = PilotInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        judges, name = judges_of(project=access.project), values.pop("judge", None)
        judge = (judges.filter(name=name) if name else judges).first()
        if judge is None:
            raise ApplicationError("This project has no such judge.", field="judge")
        batch = routing_pilot_start(project=access.project, judge=judge, user=access.user, **values)
        return Response(BatchRow(batch).data, status=status.HTTP_202_ACCEPTED)


class ArmListView(APIView):
    """Groups of people that routing may choose among."""

    @extend_schema(responses=ArmRow(many=True), operation_id="routing_arms_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        arms = RoutingArm.objects.filter(project=access.project)
        return Response(ArmRow(arms, many=True).data)

    @extend_schema(request=ArmRow, responses={201: ArmRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = ArmRow(data=request.data)
        body.is_valid(raise_exception=True)
        arm = arm_create(project=access.project, user=access.user, **body.validated_data)
        return Response(ArmRow(arm).data, status=status.HTTP_201_CREATED)


class ArmView(APIView):
    """One group of people."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        arm_delete(arm=get_arm_for(access, pk), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReplayListView(APIView):
    """Replays of a project."""

    parser_classes = (MultiPartParser,)

    @extend_schema(responses=ReplayRow(many=True), operation_id="routing_replays_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        runs = access.project.replay_runs.order_by("-number")[:50]
        return Response(ReplayRow(runs, many=True).data)

    @extend_schema(request=ReplayInput, responses={202: ReplayRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = ReplayInput(data=request.data)
        body.is_valid(raise_exception=True)
        run = replay_run_start(project=access.project, user=access.user, **body.validated_data)
        return Response(ReplayRow(run).data, status=status.HTTP_202_ACCEPTED)


class ReplayView(APIView):
    """One replay with its report."""

    @extend_schema(responses=ReplayRow)
    def get(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(ReplayRow(get_replay_for(access, number)).data)
