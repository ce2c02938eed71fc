"""The judge bench over REST: figures and qualification, gate, panels, alarms; owners only."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.fields import ChoiceField
from annotate.models import Project
from modeling.access import get_judge_alarm_for, get_judge_for
from modeling.api.judges import FigureOutput
from modeling.judge_reads import JudgeBench, judge_bench, open_alarms, panel_facts
from modeling.models import Judge, JudgeAlarm, JudgeGate, JudgePanel
from modeling.services.judge_drift import judge_alarm_resolve
from modeling.services.judge_gates import FIELDS, gate_change, gate_of
from modeling.services.judge_panels import MAX_MEMBERS, MIN_MEMBERS, panel_create


class SliceOutput(serializers.Serializer[Any]):
    """A judge on one slice."""

    name = serializers.CharField()
    n = serializers.IntegerField()
    accuracy = FigureOutput(allow_null=True)
    kappa = FigureOutput(allow_null=True)


class RankingOutput(serializers.Serializer[Any]):
    """A judge on more than two responses, over the pairs that rankings imply."""

    n_compared = serializers.IntegerField()
    n_pairs = serializers.IntegerField()
    accuracy = FigureOutput(allow_null=True)
    kappa = FigureOutput(allow_null=True)
    tau = FigureOutput(allow_null=True)
    conflict = FigureOutput(allow_null=True)


class JudgeBenchOutput(serializers.Serializer[Any]):
    """Everything measured about a judge, and whether routing may send it work."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    qualified = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField())
    accuracy = FigureOutput(allow_null=True)
    kappa = FigureOutput(allow_null=True)
    order_consistency = FigureOutput(allow_null=True)
    first_position = FigureOutput(allow_null=True)
    ece = FigureOutput(allow_null=True)
    ece_floor = serializers.FloatField(allow_null=True)
    parse_failures = FigureOutput(allow_null=True)
    latency_ms = serializers.DictField(allow_null=True)
    tokens_per_label = serializers.FloatField(allow_null=True)
    usd_per_label = serializers.FloatField(allow_null=True)
    slices = SliceOutput(many=True)
    rankings = RankingOutput(allow_null=True)


class GateBody(serializers.ModelSerializer[JudgeGate]):
    """What a judge must show before it gets routed work; null is not asked for."""

    class Meta:
        model = JudgeGate
        fields = FIELDS


class PanelInput(serializers.Serializer[Any]):
    """Which judges make a panel."""

    name = serializers.CharField(max_length=120)
    members = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        min_length=MIN_MEMBERS,
        max_length=MAX_MEMBERS,
    )
    method = ChoiceField(JudgePanel.Method.choices, default=JudgePanel.Method.AUTO)


class PanelMemberOutput(serializers.Serializer[Any]):
    """A member with the log odds that its verdict adds."""

    name = serializers.CharField()
    weight = serializers.FloatField(allow_null=True)
    discount = serializers.FloatField(allow_null=True)


class PanelOutput(serializers.Serializer[Any]):
    """A panel as last weighed; without members' weights before the first time."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    method = serializers.CharField()
    n_gold = serializers.IntegerField()
    members = PanelMemberOutput(many=True)
    best_member = serializers.CharField(allow_blank=True)
    above_best = FigureOutput(allow_null=True)


class JudgeAlarmOutput(serializers.ModelSerializer[JudgeAlarm]):
    """A judge that is no longer what was measured."""

    class Meta:
        model = JudgeAlarm
        fields = ("id", "judge", "kind", "message", "data", "created_at")


class JudgeBenchView(APIView):
    """Read all figures of one judge."""

    @extend_schema(responses=JudgeBenchOutput)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        judge = get_judge_for(get_owned_project_for(request.user, slug), pk)
        bench = judge_bench(judge)
        return Response(JudgeBenchOutput(None if bench is None else _bench(bench)).data)


class JudgeGateView(APIView):
    """Read or change the gate."""

    @extend_schema(responses=GateBody)
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        return Response(GateBody(gate_of(project)).data)

    @extend_schema(request=GateBody, responses=GateBody)
    def patch(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = GateBody(gate_of(access.project), data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        gate = gate_change(project=access.project, user=access.user, **body.validated_data)
        return Response(GateBody(gate).data)


class JudgePanelsView(APIView):
    """List panels, or make one."""

    @extend_schema(responses=PanelOutput(many=True), operation_id="judge_panels_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        rows = [_panel(judge) for judge in _panels(project)]
        return Response(PanelOutput(rows, many=True).data)

    @extend_schema(request=PanelInput, responses={201: PanelOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = PanelInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        members = [get_judge_for(access, pk) for pk in values.pop("members")]
        judge = panel_create(project=access.project, user=access.user, members=members, **values)
        return Response(PanelOutput(_panel(judge)).data, status=status.HTTP_201_CREATED)


class JudgeAlarmsView(APIView):
    """List open alarms."""

    @extend_schema(responses=JudgeAlarmOutput(many=True), operation_id="judge_alarms_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        return Response(JudgeAlarmOutput(open_alarms(project), many=True).data)


class JudgeAlarmCloseView(APIView):
    """Close an alarm: what the judge is now is what it is measured against."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        judge_alarm_resolve(alarm=get_judge_alarm_for(access, pk), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _bench(bench: JudgeBench) -> dict[str, Any]:
    return {
        **vars(bench),
        "id": bench.judge.pk,
        "name": bench.figures.name,
        "qualified": bench.qualification.is_qualified,
        "reasons": bench.qualification.reasons,
        "accuracy": bench.figures.accuracy,
        "kappa": bench.figures.kappa,
        "first_position": bench.figures.first_position,
    }


def _panels(project: Project) -> list[Judge]:
    rows = Judge.objects.filter(annotator__project=project, provider=Judge.Provider.PANEL)
    return list(rows.select_related("annotator").order_by("annotator__name"))


def _panel(judge: Judge) -> dict[str, Any]:
    facts = panel_facts(judge)
    weighed = vars(facts) if facts else {"n_gold": 0, "best_member": "", "above_best": None}
    chosen = {"method": judge.panel.get_method_display(), "members": _members(judge)}
    return {**chosen, **weighed, "id": judge.pk, "name": str(judge)}


def _members(judge: Judge) -> list[dict[str, Any]]:
    members = judge.panel.members.select_related("annotator").order_by("annotator__name")
    return [{"name": str(member), "weight": None, "discount": None} for member in members]
