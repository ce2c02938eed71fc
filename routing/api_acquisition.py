"""Acquisition plans and replays over REST; owners only."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.fields import ChoiceField
from modeling.encoder_names import LABELS, TFIDF
from modeling.services.jobs import job_cancel
from routing.access import get_acquisition_replay_for
from routing.choices import PAIR_HELP, PAIR_RULES, POSTERIORS, ROUND_POSTERIORS, STRATEGIES
from routing.models import AcquisitionPlan, AcquisitionReplay
from routing.services.acquisition_plans import acquisition_plan_save, plan_of
from routing.services.acquisition_replays import acquisition_replay_start
from routing.services.rounds import MAX_BATCH


class PlanRow(serializers.ModelSerializer[AcquisitionPlan]):
    """How the rounds of a project follow one another."""

    class Meta:
        model = AcquisitionPlan
        fields = (
            "strategy",
            "posterior",
            "pair_rule",
            "batch_size",
            "initial_size",
            "random_share",
            "is_automatic",
            "start_at_share",
            "labels",
            "encoder",
        )


class PlanInput(serializers.Serializer[Any]):
    """The settings to change; what is left out stays."""

    strategy = ChoiceField(choices=list(STRATEGIES), required=False)
    posterior = ChoiceField(choices=list(ROUND_POSTERIORS), required=False)
    pair_rule = ChoiceField(
        choices=list(PAIR_RULES), required=False, allow_blank=True, help_text=PAIR_HELP
    )
    batch_size = serializers.IntegerField(min_value=1, max_value=MAX_BATCH, required=False)
    initial_size = serializers.IntegerField(min_value=1, max_value=MAX_BATCH, required=False)
    random_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    is_automatic = serializers.BooleanField(required=False)
    start_at_share = serializers.FloatField(min_value=0.01, max_value=1, required=False)
    labels = ChoiceField(choices=["human", "both"], required=False)
    encoder = ChoiceField(choices=list(LABELS), required=False)


class AcquisitionReplayRow(serializers.ModelSerializer[AcquisitionReplay]):
    """A replay; ``result`` fills when it is done."""

    class Meta:
        model = AcquisitionReplay
        fields = (
            "number",
            "parameters",
            "result",
            "state",
            "progress",
            "message",
            "created_at",
            "finished_at",
        )


class AcquisitionReplayInput(serializers.Serializer[Any]):
    """A new replay."""

    strategies = serializers.ListField(child=ChoiceField(choices=list(STRATEGIES)), min_length=1)
    batch_size = serializers.IntegerField(default=20, min_value=1)
    initial = serializers.IntegerField(default=20, min_value=1)
    rounds = serializers.IntegerField(default=10, min_value=1)
    seeds = serializers.IntegerField(default=10, min_value=1)
    encoder = ChoiceField(choices=list(LABELS), default=TFIDF)
    test_share = serializers.FloatField(default=0.35, min_value=0.05, max_value=0.8)
    posterior = ChoiceField(choices=list(POSTERIORS), default="laplace")


class PlanView(APIView):
    """The acquisition plan of a project."""

    @extend_schema(responses=PlanRow)
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(PlanRow(plan_of(access.project)).data)

    @extend_schema(request=PlanInput, responses=PlanRow)
    def patch(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = PlanInput(data=request.data)
        body.is_valid(raise_exception=True)
        plan = acquisition_plan_save(
            project=access.project, user=access.user, **body.validated_data
        )
        return Response(PlanRow(plan).data)


class ReplayListView(APIView):
    """Replays of a project."""

    @extend_schema(
        responses=AcquisitionReplayRow(many=True), operation_id="acquisition_replays_list"
    )
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        rows = access.project.acquisition_replays.order_by("-number")[:100]
        return Response(AcquisitionReplayRow(rows, many=True).data)

    @extend_schema(request=AcquisitionReplayInput, responses={202: AcquisitionReplayRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = AcquisitionReplayInput(data=request.data)
        body.is_valid(raise_exception=True)
        row = acquisition_replay_start(
            project=access.project, user=access.user, **body.validated_data
        )
        return Response(AcquisitionReplayRow(row).data, status=status.HTTP_202_ACCEPTED)


class ReplayView(APIView):
    """One replay with its figures."""

    @extend_schema(responses=AcquisitionReplayRow)
    def get(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(AcquisitionReplayRow(get_acquisition_replay_for(access, number)).data)


class ReplayCancelView(APIView):
    """Stop a replay."""

    @extend_schema(request=None, responses={202: AcquisitionReplayRow})
    def post(self, request: Request, slug: str, number: int) -> Response:
        row = get_acquisition_replay_for(get_owned_project_for(request.user, slug), number)
        job_cancel(row)
        return Response(AcquisitionReplayRow(row).data, status=status.HTTP_202_ACCEPTED)
