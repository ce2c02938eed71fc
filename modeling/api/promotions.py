"""Gates, promotion, rollback and rewards of a whole project over REST; owners only."""

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
from modeling.access import get_gate_run_for, get_reward_model_for
from modeling.api.scoring import ScoreRunOutput, score_row
from modeling.models import GateRun, Promotion
from modeling.services.promotions import gate_run_start, promotion_rollback
from modeling.services.scoring import project_score_start

LISTED = 100


class GateRunOutput(serializers.Serializer[Any]):
    """An examination: every test with what was found; ``has_passed`` is null until it ends."""

    id = serializers.UUIDField()
    reward_model = serializers.IntegerField()
    against = serializers.IntegerField(allow_null=True)
    state = ChoiceField(choices=JobState.choices)
    progress = serializers.FloatField()
    message = serializers.CharField()
    has_passed = serializers.BooleanField(allow_null=True)
    tests = serializers.ListField(child=serializers.DictField())
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class PromotionOutput(serializers.Serializer[Any]):
    """A step in which model is current; null is none."""

    kind = ChoiceField(choices=Promotion.Kind.choices)
    reward_model = serializers.IntegerField(allow_null=True)
    by = serializers.CharField()
    created_at = serializers.DateTimeField()


class GatesView(APIView):
    """Examine a model; it is promoted if it passes."""

    @extend_schema(request=None, responses={202: GateRunOutput})
    def post(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        run = gate_run_start(model=get_reward_model_for(access, number), user=access.user)
        return Response(GateRunOutput(_gates(run)).data, status=status.HTTP_202_ACCEPTED)


class GateRunView(APIView):
    """Read an examination."""

    @extend_schema(responses=GateRunOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_gate_run_for(get_owned_project_for(request.user, slug), public_id)
        return Response(GateRunOutput(_gates(run)).data)


class PromotionsView(APIView):
    """List promotions and rollbacks, newest first."""

    @extend_schema(responses=PromotionOutput(many=True), operation_id="promotions_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        steps = Promotion.objects.filter(project=project).select_related(
            "reward_model", "created_by"
        )
        rows = [_step(step) for step in steps[:LISTED]]
        return Response(PromotionOutput(rows, many=True).data)


class RollbackView(APIView):
    """Make the model before the current one current again."""

    @extend_schema(request=None, responses=PromotionOutput)
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        step = promotion_rollback(project=access.project, user=access.user)
        return Response(PromotionOutput(_step(step)).data)


class RewardsView(APIView):
    """Score every response of the project, for the reward columns of exports."""

    @extend_schema(request=None, responses={202: ScoreRunOutput})
    def post(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        run = project_score_start(model=get_reward_model_for(access, number), user=access.user)
        return Response(ScoreRunOutput(score_row(run)).data, status=status.HTTP_202_ACCEPTED)


def _gates(run: GateRun) -> dict[str, Any]:
    fields = set(GateRunOutput().fields) - {"id", "reward_model", "against"}
    return {
        **{name: getattr(run, name) for name in fields},
        "id": run.public_id,
        "reward_model": run.reward_model.number,
        "against": run.against.number if run.against else None,
    }


def _step(step: Promotion) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "reward_model": step.reward_model.number if step.reward_model else None,
        "by": step.created_by.username if step.created_by else "",
        "created_at": step.created_at,
    }
