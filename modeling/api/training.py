"""Training runs and reward models over REST; owners only."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.models import JobState
from modeling.access import get_reward_model_for, get_training_run_for
from modeling.encoder_names import LABELS as ENCODERS
from modeling.encoder_names import TFIDF
from modeling.models import RewardModel, TrainingRun
from modeling.selectors import reward_models, training_runs
from modeling.services.jobs import job_cancel
from modeling.services.training import LABELS, training_run_start

RUNS_LISTED = 100


class TrainingRunInput(serializers.Serializer[Any]):
    """How to train."""

    encoder = serializers.ChoiceField(choices=list(ENCODERS), default=TFIDF)
    labels = serializers.ChoiceField(choices=list(LABELS), default="human")
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)


class TrainingRunOutput(serializers.Serializer[Any]):
    """Where a training run stands; ``curve`` grows while it runs."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=JobState.choices)
    progress = serializers.FloatField()
    message = serializers.CharField()
    parameters = serializers.DictField()
    seed = serializers.IntegerField()
    dataset_version = serializers.IntegerField()
    curve = serializers.ListField(child=serializers.DictField())
    reward_model = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class RewardModelOutput(serializers.Serializer[Any]):
    """A reward model; its metrics are on held-out human labels."""

    number = serializers.IntegerField()
    encoder = serializers.CharField()
    dataset_version = serializers.IntegerField()
    artifact_sha256 = serializers.CharField()
    metrics = serializers.DictField()
    created_at = serializers.DateTimeField()


class TrainingRunsView(APIView):
    """List training runs, or start one."""

    @extend_schema(responses=TrainingRunOutput(many=True), operation_id="training_runs_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        runs = training_runs(project)[:RUNS_LISTED]
        return Response(TrainingRunOutput([_run(run) for run in runs], many=True).data)

    @extend_schema(request=TrainingRunInput, responses={202: TrainingRunOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = TrainingRunInput(data=request.data)
        body.is_valid(raise_exception=True)
        run = training_run_start(project=access.project, user=access.user, **body.validated_data)
        return Response(TrainingRunOutput(_run(run)).data, status=status.HTTP_202_ACCEPTED)


class TrainingRunView(APIView):
    """Read one training run."""

    @extend_schema(responses=TrainingRunOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_training_run_for(get_owned_project_for(request.user, slug), public_id)
        return Response(TrainingRunOutput(_run(run)).data)


class TrainingRunCancelView(APIView):
    """Ask a training run to stop."""

    @extend_schema(request=None, responses=TrainingRunOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_training_run_for(get_owned_project_for(request.user, slug), public_id)
        job_cancel(run)
        return Response(TrainingRunOutput(_run(run)).data)


class RewardModelsView(APIView):
    """List reward models, newest first."""

    @extend_schema(responses=RewardModelOutput(many=True), operation_id="reward_models_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        rows = [_model(model) for model in reward_models(project)]
        return Response(RewardModelOutput(rows, many=True).data)


class RewardModelView(APIView):
    """Read one reward model."""

    @extend_schema(responses=RewardModelOutput)
    def get(self, request: Request, slug: str, number: int) -> Response:
        model = get_reward_model_for(get_owned_project_for(request.user, slug), number)
        return Response(RewardModelOutput(_model(model)).data)


def _run(run: TrainingRun) -> dict[str, Any]:
    # A reverse one-to-one has no None; select_related has fetched it, so nothing is asked here.
    model = run.reward_model if hasattr(run, "reward_model") else None
    fields = set(TrainingRunOutput().fields) - {"id", "dataset_version", "reward_model"}
    return {
        **{name: getattr(run, name) for name in fields},
        "id": run.public_id,
        "dataset_version": run.dataset_version.number,
        "reward_model": model.number if model else None,
    }


def _model(model: RewardModel) -> dict[str, Any]:
    fields = set(RewardModelOutput().fields) - {"dataset_version"}
    return {
        **{name: getattr(model, name) for name in fields},
        "dataset_version": model.training_run.dataset_version.number,
    }
