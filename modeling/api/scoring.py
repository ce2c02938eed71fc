"""Rewards of texts over REST: at once where a worker is quick, else to be asked for again."""

from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import Access, get_owned_project_for
from annotate.api.fields import ChoiceField
from annotate.errors import NotReady
from annotate.models import JobState
from modeling.access import get_reward_model_for, get_score_run_for
from modeling.models import RewardModel, ScoreRun
from modeling.selectors import promoted_model
from modeling.services.scoring import MAX_ITEMS, MAX_WAIT_S, score_run_start, score_run_wait

DEFAULT_WAIT_S = 5.0


class TurnInput(serializers.Serializer[Any]):
    """One turn of a conversation."""

    role = serializers.CharField(max_length=20)
    content = serializers.CharField(allow_blank=True, trim_whitespace=False)


class ItemInput(serializers.Serializer[Any]):
    """A response to score, with the prompt or the turns that it answers."""

    prompt = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    turns = TurnInput(many=True, required=False)
    response = serializers.CharField(allow_blank=True, trim_whitespace=False)


class ScoreInput(serializers.Serializer[Any]):
    """What to score and by which model; without a number the current one."""

    items = serializers.ListField(child=ItemInput(), min_length=1, max_length=MAX_ITEMS)
    reward_model = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    wait_s = serializers.FloatField(default=DEFAULT_WAIT_S, min_value=0, max_value=MAX_WAIT_S)


class ScoreRunOutput(serializers.Serializer[Any]):
    """Rewards in the order of the items; empty until the state is done.

    P(A over B) is 1 / (1 + exp(reward of B - reward of A)) for responses to the same prompt.
    ``spread`` is the standard deviation over the members, null for a fine-tuned model.
    """

    id = serializers.UUIDField()
    reward_model = serializers.IntegerField()
    state = ChoiceField(choices=JobState.choices)
    progress = serializers.FloatField()
    message = serializers.CharField()
    rewards = serializers.ListField(child=serializers.DictField())


class ScoreView(APIView):
    """Score up to a thousand responses."""

    @extend_schema(request=ScoreInput, responses={200: ScoreRunOutput, 202: ScoreRunOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = ScoreInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        model = _model(access, values.get("reward_model"))
        run = score_run_start(model=model, items=values["items"], user=access.user)
        return _answer(score_run_wait(run=run, seconds=values["wait_s"]), slug)


class ScoreRunView(APIView):
    """Ask again for the rewards of an earlier request."""

    @extend_schema(responses={200: ScoreRunOutput, 202: ScoreRunOutput})
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        return _answer(get_score_run_for(access, public_id), slug)


def score_row(run: ScoreRun) -> dict[str, Any]:
    """Return a run as the API shows it."""
    fields = set(ScoreRunOutput().fields) - {"id", "reward_model"}
    return {
        **{name: getattr(run, name) for name in fields},
        "id": run.public_id,
        "reward_model": run.reward_model.number,
    }


def _model(access: Access, number: int | None) -> RewardModel:
    if number is not None:
        return get_reward_model_for(access, number)
    current = promoted_model(access.project)
    if current is None:
        raise NotReady(
            "No model of this project is current. Promote one, or name one with reward_model.",
            field="reward_model",
        )
    return current


def _answer(run: ScoreRun, slug: str) -> Response:
    data = ScoreRunOutput(score_row(run)).data
    if run.is_finished:
        return Response(data)
    place = reverse("modeling_api:score-run", args=[slug, run.public_id])
    headers = {"Location": place, "Retry-After": "1"}
    return Response(data, status=status.HTTP_202_ACCEPTED, headers=headers)
