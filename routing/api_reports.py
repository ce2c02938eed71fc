"""What routing has brought, what the next dollars buy, and tagging, over REST; owners only."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import Access, get_owned_project_for
from annotate.errors import ApplicationError, NotReady
from annotate.models import Annotator
from modeling.access import get_judge_for
from modeling.services.jobs import job_cancel
from routing.access import get_tagging_for
from routing.models import RoutingStudy, TaggingRun
from routing.next_dollars import NEXT_USD, next_dollars_of
from routing.reports import audit_report, drift_alarms
from routing.selectors import active_batch, judges_of, latest_done_study, pool_of
from routing.services.tagging import tagging_run_start
from routing.weighted_audit import pool_contradictions

_LISTED = 100


class ShareRow(serializers.Serializer[Any]):
    """A share of n labels with its 95 % interval."""

    share = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()


class PoolShareRow(ShareRow):
    """A share of a whole pool, each label weighted by one over its chance."""

    n_effective = serializers.FloatField(help_text="So many evenly drawn labels tell as much.")


class AlarmRow(serializers.Serializer[Any]):
    """Something that is no longer as in the study."""

    name = serializers.CharField()
    sentence = serializers.CharField()


class RoutingAuditRow(serializers.Serializer[Any]):
    """How often people contradict the judge, where the router sent them and at random."""

    judge = serializers.CharField(source="judge.name")
    routed = ShareRow(source="report.routed")
    audit = ShareRow(source="report.audit")
    lift = serializers.FloatField(source="report.lift", help_text="Routed less audit.")
    half_width = serializers.FloatField(
        source="report.half_width", help_text="Half of the 95 % interval of the lift."
    )
    is_ready = serializers.BooleanField(source="report.is_ready")
    pool = PoolShareRow(allow_null=True, help_text="Of the newest batch; null without labels.")
    alarms = AlarmRow(many=True)


class NextDollarsInput(serializers.Serializer[Any]):
    """What is to be spent next, and what it should bring."""

    usd = serializers.FloatField(default=NEXT_USD, min_value=0.01, max_value=1e9)
    worth_pp = serializers.FloatField(default=0.0, min_value=0, max_value=100)


class NextRow(serializers.Serializer[Any]):
    """Predicted change of performance in percentage points, with its 95 % interval."""

    usd = serializers.FloatField()
    gain_pp = serializers.FloatField()
    low_pp = serializers.FloatField()
    high_pp = serializers.FloatField()
    worth_pp = serializers.FloatField()
    is_stop = serializers.BooleanField(help_text="Even the better end is not worth it.")
    is_sure = serializers.BooleanField(help_text="Even the worse end is worth it.")
    has_signal = serializers.BooleanField(help_text="Without one the figures are noise.")


class TaggingInput(serializers.Serializer[Any]):
    """A run that describes prompts."""

    judge = serializers.IntegerField(help_text="Id of a judge that can be asked.")
    cap_usd = serializers.DecimalField(
        max_digits=12, decimal_places=2, min_value=0, required=False, allow_null=True
    )


class TaggingRow(serializers.ModelSerializer[TaggingRun]):
    """A tagging run."""

    judge = serializers.CharField(source="judge.annotator.name")

    class Meta:
        model = TaggingRun
        fields = (
            "id",
            "judge",
            "cap_usd",
            "cost_usd",
            "n_prompts",
            "n_unknown",
            "state",
            "progress",
            "message",
            "created_at",
            "finished_at",
        )


class AuditView(APIView):
    """Routed against random."""

    @extend_schema(responses=RoutingAuditRow)
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        study = latest_done_study(project=access.project)
        judge, batch = _judge(access, study), active_batch(project=access.project)
        report = audit_report(project=access.project, judge=judge)
        found = {
            "judge": judge,
            "report": report,
            "pool": pool_contradictions(batch=batch, judge=judge) if batch else None,
            "alarms": drift_alarms(study=study, batch=batch, audit=report),
        }
        return Response(RoutingAuditRow(found).data)


class NextDollarsView(APIView):
    """What the next dollars buy."""

    @extend_schema(parameters=[NextDollarsInput], responses=NextRow)
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        asked = NextDollarsInput(data=request.query_params)
        asked.is_valid(raise_exception=True)
        study = latest_done_study(project=access.project)
        if study is None:
            raise NotReady("There is no finished routing study. Run one first.")
        pool = pool_of(project=access.project, judge=_judge(access, study))
        found = next_dollars_of(study=study, pool=pool, **asked.validated_data)
        if found is None:
            raise NotReady(
                "There is nothing to buy: no comparison is left to route, or it is free."
            )
        judged = {"is_stop": found.is_stop, "is_sure": found.is_sure}
        judged["has_signal"] = study.result["ppm"]["has_signal"]
        return Response(NextRow(asdict(found) | judged).data)


class TaggingListView(APIView):
    """Runs that describe prompts by an LLM."""

    @extend_schema(responses=TaggingRow(many=True), operation_id="tagging_runs_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        runs = access.project.tagging_runs.select_related("judge__annotator")
        return Response(TaggingRow(runs.order_by("-created_at")[:_LISTED], many=True).data)

    @extend_schema(request=TaggingInput, responses={202: TaggingRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = TaggingInput(data=request.data)
        body.is_valid(raise_exception=True)
        run = tagging_run_start(
            project=access.project,
            judge=get_judge_for(access, body.validated_data["judge"]),
            user=access.user,
            cap_usd=body.validated_data.get("cap_usd"),
        )
        return Response(TaggingRow(run).data, status=status.HTTP_202_ACCEPTED)


class TaggingView(APIView):
    """One tagging run."""

    @extend_schema(responses=TaggingRow)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(TaggingRow(get_tagging_for(access, pk)).data)


class TaggingCancelView(APIView):
    """Stop a tagging run."""

    @extend_schema(request=None, responses={202: TaggingRow})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        run = get_tagging_for(get_owned_project_for(request.user, slug), pk)
        job_cancel(run)
        return Response(TaggingRow(run).data, status=status.HTTP_202_ACCEPTED)


def _judge(access: Access, study: RoutingStudy | None) -> Annotator:
    """The judge of the newest study, or the one with most labels."""
    if study is not None and study.judge is not None:
        return study.judge
    judge = judges_of(project=access.project).first()
    if judge is None:
        raise ApplicationError("This project has no judge.", field="judge")
    return judge
