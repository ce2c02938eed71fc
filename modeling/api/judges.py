"""Judges and their runs over REST; owners only."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.fields import ChoiceField
from annotate.models import JobState
from modeling.access import get_judge_for, get_judge_run_for
from modeling.models import Judge, JudgeRun
from modeling.selectors import JudgeFigures, judge_accuracy, judge_runs
from modeling.services.jobs import job_cancel
from modeling.services.judge_runs import judge_run_start
from modeling.services.judges import judges_ensure

RUNS_LISTED = 100


class FigureOutput(serializers.Serializer[Any]):
    """An estimate with its 95 % interval; intervals resample whole prompts."""

    estimate = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()
    n_prompts = serializers.IntegerField()


class JudgeOutput(serializers.Serializer[Any]):
    """A judge beside the human majority, as last measured."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    provider = ChoiceField(choices=Judge.Provider.choices)
    model_name = serializers.CharField()
    n_labels = serializers.IntegerField()
    cost_usd = serializers.DecimalField(max_digits=14, decimal_places=6)
    accuracy = FigureOutput(allow_null=True)
    kappa = FigureOutput(allow_null=True)
    accuracy_without_ties = FigureOutput(allow_null=True)
    first_position = FigureOutput(allow_null=True)
    conflict = FigureOutput(allow_null=True)


class JudgeRunInput(serializers.Serializer[Any]):
    """Which comparisons to ask a judge about, and what that may cost."""

    judge = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    n_comparisons = serializers.IntegerField(required=False, min_value=1, max_value=100_000)
    comparison_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        max_length=100_000,
    )
    cap_usd = serializers.DecimalField(
        max_digits=12, decimal_places=2, min_value=0, required=False, allow_null=True
    )
    n_workers = serializers.IntegerField(required=False, min_value=1, max_value=32)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take either a number of comparisons or their ids."""
        if ("n_comparisons" in attrs) == ("comparison_ids" in attrs):
            raise serializers.ValidationError("Send either n_comparisons or comparison_ids.")
        return attrs


class JudgeRunOutput(serializers.Serializer[Any]):
    """Where a run stands and what it has cost."""

    id = serializers.UUIDField()
    judge = serializers.IntegerField()
    state = ChoiceField(choices=JobState.choices)
    progress = serializers.FloatField()
    message = serializers.CharField()
    n_comparisons = serializers.IntegerField()
    n_done = serializers.IntegerField()
    n_conflicts = serializers.IntegerField()
    n_unparsed = serializers.IntegerField()
    n_failed = serializers.IntegerField()
    n_to_people = serializers.IntegerField()
    n_workers = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_usd = serializers.DecimalField(max_digits=12, decimal_places=6)
    cap_usd = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class JudgesView(APIView):
    """List the judges."""

    @extend_schema(responses=JudgeOutput(many=True), operation_id="judges_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        judges_ensure(project=project)
        rows = [_judge(figures) for figures in judge_accuracy(project)]
        return Response(JudgeOutput(rows, many=True).data)


class JudgeRunsView(APIView):
    """List runs, or start one."""

    @extend_schema(responses=JudgeRunOutput(many=True), operation_id="judge_runs_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        runs = judge_runs(project)[:RUNS_LISTED]
        return Response(JudgeRunOutput([run_row(run) for run in runs], many=True).data)

    @extend_schema(request=JudgeRunInput, responses={202: JudgeRunOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = JudgeRunInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        judge = get_judge_for(access, values.pop("judge"))
        run = judge_run_start(judge=judge, user=access.user, **values)
        return Response(JudgeRunOutput(run_row(run)).data, status=status.HTTP_202_ACCEPTED)


class JudgeRunView(APIView):
    """Read one run."""

    @extend_schema(responses=JudgeRunOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_judge_run_for(get_owned_project_for(request.user, slug), public_id)
        return Response(JudgeRunOutput(run_row(run)).data)


class JudgeRunCancelView(APIView):
    """Ask a run to stop; replies that were paid for are kept."""

    @extend_schema(request=None, responses=JudgeRunOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_judge_run_for(get_owned_project_for(request.user, slug), public_id)
        job_cancel(run)
        return Response(JudgeRunOutput(run_row(run)).data)


def _judge(figures: JudgeFigures) -> dict[str, Any]:
    judge = figures.judge
    return {
        **vars(figures),
        "id": judge.pk,
        "provider": judge.provider,
        "model_name": judge.model_name,
    }


def run_row(run: JudgeRun) -> dict[str, Any]:
    """Return what the API says of a run."""
    fields = set(JudgeRunOutput().fields) - {"id", "judge"}
    return {
        **{name: getattr(run, name) for name in fields},
        "id": run.public_id,
        "judge": run.judge_id,
    }
