"""Training runs and reward models over REST; owners only."""

from typing import Any
from uuid import UUID

from django.http import FileResponse, Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.fields import ChoiceField
from annotate.models import JobState
from modeling.access import get_reward_model_for, get_training_run_for
from modeling.artifact_list import artifact_names, artifact_open
from modeling.encoder_names import NAME_LENGTH, TFIDF
from modeling.finetuning.options import FineTuneOptions
from modeling.likelihood_names import DEFAULT as DEFAULT_LIKELIHOOD
from modeling.likelihood_names import LABELS as LIKELIHOODS
from modeling.models import RewardModel, TrainingRun
from modeling.selectors import promoted_model, reward_models, training_runs
from modeling.services import training
from modeling.services.curation import parameters_shown
from modeling.services.training import LABELS

RUNS_LISTED = 100


class TrainingRunInput(serializers.Serializer[Any]):
    """How to train heads on frozen features."""

    encoder = serializers.CharField(
        default=TFIDF,
        max_length=NAME_LENGTH,
        help_text="tfidf, minilm, or transformers:FOLDER[:mean|last[:LAYER]].",
    )
    labels = ChoiceField(choices=list(LABELS), default="human")
    likelihood = ChoiceField(choices=list(LIKELIHOODS), default=DEFAULT_LIKELIHOOD)
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)


class FineTuningInput(serializers.Serializer[Any]):
    """How to fine-tune a sequence classifier with LoRA."""

    base = serializers.CharField(max_length=NAME_LENGTH, help_text="A folder under MODELS_DIR.")
    labels = ChoiceField(choices=list(LABELS), default="human")
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)
    epochs = serializers.FloatField(default=1.0)
    learning_rate = serializers.FloatField(default=1e-4)
    rank = serializers.IntegerField(default=16)
    max_tokens = serializers.IntegerField(default=1_024)
    batch_size = serializers.IntegerField(default=8)
    accumulation = serializers.IntegerField(default=1)
    checkpoint_steps = serializers.IntegerField(default=100)
    center_rewards = serializers.FloatField(default=0.01)
    by_source = serializers.BooleanField(
        default=False, help_text="Train once more on each source of labels, to compare them."
    )


class TrainingRunOutput(serializers.Serializer[Any]):
    """Where a training run stands; ``curve`` grows while it runs."""

    id = serializers.UUIDField()
    state = ChoiceField(choices=JobState.choices)
    progress = serializers.FloatField()
    message = serializers.CharField()
    parameters = serializers.DictField()
    seed = serializers.IntegerField()
    dataset_version = serializers.IntegerField()
    curve = serializers.ListField(child=serializers.DictField())
    losses = serializers.ListField(child=serializers.DictField())
    reward_model = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class RewardModelOutput(serializers.Serializer[Any]):
    """A reward model; its metrics are on held-out human labels."""

    number = serializers.IntegerField()
    kind = ChoiceField(choices=RewardModel.Kind.choices)
    encoder = serializers.CharField()
    is_current = serializers.BooleanField()
    dataset_version = serializers.IntegerField()
    artifact_sha256 = serializers.CharField()
    metrics = serializers.DictField()
    provenance = serializers.DictField()
    files = serializers.ListField(child=serializers.CharField())
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
        run = training.training_run_start(
            project=access.project, user=access.user, **body.validated_data
        )
        return Response(TrainingRunOutput(_run(run)).data, status=status.HTTP_202_ACCEPTED)


class FineTuningsView(APIView):
    """Start a LoRA fine-tuning; it is a training run like any other."""

    @extend_schema(request=FineTuningInput, responses={202: TrainingRunOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = FineTuningInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        labels, seed = values.pop("labels"), values.pop("seed")
        run = training.fine_tuning_start(
            project=access.project,
            user=access.user,
            options=FineTuneOptions(**values),
            labels=labels,
            seed=seed,
        )
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
        training.training_run_cancel(run=run)
        return Response(TrainingRunOutput(_run(run)).data)


class TrainingRunResumeView(APIView):
    """Let a stopped fine-tuning go on from its checkpoint."""

    @extend_schema(request=None, responses={202: TrainingRunOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        run = get_training_run_for(access, public_id)
        run = training.training_run_resume(run=run, user=access.user)
        return Response(TrainingRunOutput(_run(run)).data, status=status.HTTP_202_ACCEPTED)


class TrainingRunRepeatView(APIView):
    """Train again on the same data version with the same parameters and seed."""

    @extend_schema(request=None, responses={202: TrainingRunOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        run = get_training_run_for(access, public_id)
        again = training.training_run_repeat(run=run, user=access.user)
        return Response(TrainingRunOutput(_run(again)).data, status=status.HTTP_202_ACCEPTED)


class RewardModelsView(APIView):
    """List reward models, newest first."""

    @extend_schema(responses=RewardModelOutput(many=True), operation_id="reward_models_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        current = promoted_model(project)
        rows = [_model(model, current) for model in reward_models(project)]
        return Response(RewardModelOutput(rows, many=True).data)


class RewardModelView(APIView):
    """Read one reward model."""

    @extend_schema(responses=RewardModelOutput)
    def get(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        model = get_reward_model_for(access, number)
        return Response(RewardModelOutput(_model(model, promoted_model(access.project))).data)


class RewardModelFileView(APIView):
    """Download one file of a model's artifact."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, slug: str, number: int, name: str) -> FileResponse:
        model = get_reward_model_for(get_owned_project_for(request.user, slug), number)
        file = artifact_open(model, name)
        if file is None:
            raise Http404(f"{model} has no file {name!r}.")
        return FileResponse(file, as_attachment=True, filename=name)


def _run(run: TrainingRun) -> dict[str, Any]:
    # A reverse one-to-one has no None; select_related has fetched it, so nothing is asked here.
    model = run.reward_model if hasattr(run, "reward_model") else None
    made = {"id", "dataset_version", "reward_model", "parameters"}
    fields = set(TrainingRunOutput().fields) - made
    return {
        **{name: getattr(run, name) for name in fields},
        "id": run.public_id,
        "parameters": parameters_shown(run.parameters),
        "dataset_version": run.dataset_version.number,
        "reward_model": model.number if model else None,
    }


def _model(model: RewardModel, current: RewardModel | None) -> dict[str, Any]:
    fields = set(RewardModelOutput().fields) - {"dataset_version", "is_current", "files"}
    return {
        **{name: getattr(model, name) for name in fields},
        "dataset_version": model.training_run.dataset_version.number,
        "is_current": model == current,
        "files": artifact_names(model),
    }
