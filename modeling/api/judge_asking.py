"""Judges as they are asked, over REST: settings, prompts, estimates, batch files, families."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import Access, get_comparison_for, get_owned_project_for
from annotate.api.fields import ChoiceField
from annotate.errors import ApplicationError
from modeling.access import (
    get_judge_for,
    get_judge_prompt_for,
    get_judge_run_for,
    get_model_family_for,
    get_reward_model_for,
)
from modeling.api.judges import JudgeRunOutput, JudgesView, run_row
from modeling.core.judge_rankings import MAX_PAIRS, MAX_RESPONSES
from modeling.judge_forms import FIELDS
from modeling.judges.privacy import MAX_TERM_CHARACTERS, MAX_TERMS
from modeling.models import Judge, JudgeOutcome, JudgePrompt, ModelFamily
from modeling.selectors_runs import OUTCOMES_SHOWN, outcomes_of
from modeling.services.judge_families import model_family_remove, model_family_set
from modeling.services.judge_prompts import judge_prompt_save, prompt_check, prompt_preview
from modeling.services.judge_runs import (
    judge_run_candidates,
    judge_run_estimate,
    judge_run_resume,
)
from modeling.services.judges import judge_create, judge_update

BIGGEST_ID = 2**63 - 1
PRICE = {"max_digits": 10, "decimal_places": 4, "min_value": 0, "required": False}


class JudgeSettings(serializers.Serializer[Any]):
    """How a judge is asked; send what the provider needs, the rest has defaults."""

    base_url = serializers.URLField(max_length=300, required=False, allow_blank=True)
    model_name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    api_key_env = serializers.CharField(max_length=80, required=False, allow_blank=True)
    reward_model = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, allow_null=True,
        help_text="Number of one of the project's reward models.",
    )  # fmt: skip
    plugin = serializers.CharField(max_length=200, required=False, allow_blank=True)
    options = serializers.DictField(required=False)
    prompt = serializers.IntegerField(
        min_value=1, max_value=BIGGEST_ID, required=False, allow_null=True,
        help_text="Id of a prompt version; null for the standard prompt.",
    )  # fmt: skip
    structured = ChoiceField(choices=Judge.Structured.choices, required=False)
    n_samples = serializers.IntegerField(min_value=1, max_value=9, required=False)
    ask_logprobs = serializers.BooleanField(required=False)
    conflict_policy = ChoiceField(choices=Judge.ConflictPolicy.choices, required=False)
    ranking_by = ChoiceField(choices=Judge.RankingBy.choices, required=False)
    max_pairs = serializers.IntegerField(min_value=1, max_value=MAX_PAIRS, required=False)
    input_usd_per_million_tokens = serializers.DecimalField(**PRICE)  # type: ignore[arg-type]
    output_usd_per_million_tokens = serializers.DecimalField(**PRICE)  # type: ignore[arg-type]
    requests_per_minute = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, allow_null=True
    )
    tokens_per_minute = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, allow_null=True
    )
    pii_profile = ChoiceField(choices=Judge.PiiProfile.choices, required=False)
    pii_terms = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TERM_CHARACTERS),
        max_length=MAX_TERMS,
        required=False,
        help_text="Names and terms that count as personal data, found as whole words.",
    )
    family = serializers.CharField(max_length=60, required=False, allow_blank=True)
    allow_related = serializers.BooleanField(required=False)


class JudgeInput(JudgeSettings):
    """A new judge."""

    name = serializers.CharField(max_length=120)
    provider = ChoiceField(
        choices=[(key.value, key.label) for key in FIELDS], default=Judge.Provider.OPENAI
    )


class JudgeSettingsOutput(JudgeSettings):
    """A judge as it is asked; the key's variable is named, its value is nowhere."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    provider = ChoiceField(choices=Judge.Provider.choices)


class EstimateOutput(serializers.Serializer[Any]):
    """What a run would send and cost, both orders counted."""

    n_comparisons = serializers.IntegerField()
    n_questions = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_usd = serializers.DecimalField(max_digits=14, decimal_places=6)


class OutcomeOutput(serializers.Serializer[Any]):
    """What became of one comparison in a run."""

    comparison = serializers.IntegerField(source="comparison_id")
    kind = ChoiceField(choices=JudgeOutcome.Kind.choices)
    detail = serializers.CharField()
    is_conflict = serializers.BooleanField()
    is_to_people = serializers.BooleanField()
    cost_usd = serializers.DecimalField(max_digits=12, decimal_places=6)
    created_at = serializers.DateTimeField()


class PromptInput(serializers.Serializer[Any]):
    """A prompt; the same name again makes its next version."""

    name = serializers.CharField(max_length=80)
    kind = ChoiceField(choices=JudgePrompt.Kind.choices, required=False)
    reply_order = ChoiceField(choices=JudgePrompt.ReplyOrder.choices, required=False)
    instructions = serializers.CharField(max_length=8_000)
    criterion = serializers.CharField(max_length=300, required=False, allow_blank=True)
    principles = serializers.ListField(
        child=serializers.CharField(max_length=400), required=False, max_length=12
    )


class PromptOutput(serializers.Serializer[Any]):
    """A version of a prompt."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    kind = ChoiceField(choices=JudgePrompt.Kind.choices)
    reply_order = ChoiceField(choices=JudgePrompt.ReplyOrder.choices)
    instructions = serializers.CharField()
    criterion = serializers.CharField()
    principles = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


class PreviewInput(PromptInput):
    """A prompt and the comparison to see it on."""

    comparison = serializers.IntegerField(min_value=1, max_value=BIGGEST_ID)


class PreviewOutput(serializers.Serializer[Any]):
    """The exact messages of one order, and the schema of a reply."""

    swapped = serializers.BooleanField()
    messages = serializers.ListField(child=serializers.DictField())
    schema = serializers.DictField()


class FamilyRow(serializers.Serializer[Any]):
    """Model names with a prefix are of a family."""

    id = serializers.IntegerField(read_only=True)
    prefix = serializers.CharField(max_length=120)
    family = serializers.CharField(max_length=60)


class JudgesAndNewView(JudgesView):
    """List the judges, or add one."""

    @extend_schema(request=JudgeInput, responses={201: JudgeSettingsOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        values = _values(access, JudgeInput(data=request.data))
        judge = judge_create(project=access.project, user=access.user, **values)
        return Response(_settings(judge), status=status.HTTP_201_CREATED)


class JudgeView(APIView):
    """Read or change how a judge is asked."""

    @extend_schema(responses=JudgeSettingsOutput)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        return Response(_settings(get_judge_for(get_owned_project_for(request.user, slug), pk)))

    @extend_schema(request=JudgeSettings, responses=JudgeSettingsOutput)
    def patch(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        judge = get_judge_for(access, pk)
        values = _values(access, JudgeSettings(data=request.data))
        return Response(_settings(judge_update(judge=judge, user=access.user, **values)))


class JudgeEstimateView(APIView):
    """Say what a run over the next so many comparisons would cost."""

    @extend_schema(parameters=[OpenApiParameter("n_comparisons", int)], responses=EstimateOutput)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        judge = get_judge_for(get_owned_project_for(request.user, slug), pk)
        field = serializers.IntegerField(min_value=1, max_value=100_000)
        n_comparisons = field.run_validation(request.query_params.get("n_comparisons", "100"))
        chosen = judge_run_candidates(judge=judge, n_comparisons=n_comparisons)
        estimate = judge_run_estimate(judge=judge, comparison_ids=chosen)
        return Response(EstimateOutput(vars(estimate)).data)


class JudgeRunResumeView(APIView):
    """Let a run that ended early go on."""

    @extend_schema(request=None, responses={202: JudgeRunOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        run = judge_run_resume(run=get_judge_run_for(access, public_id), user=access.user)
        return Response(JudgeRunOutput(run_row(run)).data, status=status.HTTP_202_ACCEPTED)


class JudgeRunOutcomesView(APIView):
    """List the newest outcomes of a run."""

    @extend_schema(
        parameters=[OpenApiParameter("kind", str, enum=JudgeOutcome.Kind.values)],
        responses=OutcomeOutput(many=True),
        description=f"At most {OUTCOMES_SHOWN}, the newest first.",
    )
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_judge_run_for(get_owned_project_for(request.user, slug), public_id)
        rows = outcomes_of(run, request.query_params.get("kind", ""))
        return Response(OutcomeOutput(rows, many=True).data)


class JudgePromptsView(APIView):
    """List the versions of prompts, or save one."""

    @extend_schema(responses=PromptOutput(many=True), operation_id="judge_prompts_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        return Response(PromptOutput(project.judge_prompts.all(), many=True).data)

    @extend_schema(request=PromptInput, responses={201: PromptOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = PromptInput(data=request.data)
        body.is_valid(raise_exception=True)
        prompt = judge_prompt_save(project=access.project, user=access.user, **body.validated_data)
        return Response(PromptOutput(prompt).data, status=status.HTTP_201_CREATED)


class JudgePromptPreviewView(APIView):
    """Show a prompt on a comparison, in both orders, without saving it."""

    @extend_schema(request=PreviewInput, responses=PreviewOutput(many=True))
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = PreviewInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        comparison = get_comparison_for(access, values.pop("comparison"))
        if comparison.n_responses > MAX_RESPONSES:
            raise ApplicationError(
                f"Choose a comparison of at most {MAX_RESPONSES} responses.", field="comparison"
            )
        template = prompt_check(JudgePrompt(project=access.project, **values))
        orders = prompt_preview(template=template, comparison=comparison)
        return Response(PreviewOutput(orders, many=True).data)


class ModelFamiliesView(APIView):
    """List the owner's additions to the model families, or make one."""

    @extend_schema(responses=FamilyRow(many=True), operation_id="model_families_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        rows = ModelFamily.objects.filter(project=project)
        return Response(FamilyRow(rows, many=True).data)

    @extend_schema(request=FamilyRow, responses={201: FamilyRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = FamilyRow(data=request.data)
        body.is_valid(raise_exception=True)
        row = model_family_set(project=access.project, user=access.user, **body.validated_data)
        return Response(FamilyRow(row).data, status=status.HTTP_201_CREATED)


class ModelFamilyView(APIView):
    """Take an addition back."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        model_family_remove(row=get_model_family_for(access, pk), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _values(access: Access, body: serializers.Serializer[Any]) -> dict[str, Any]:
    body.is_valid(raise_exception=True)
    values = dict(body.validated_data)
    if values.get("prompt") is not None:
        values["prompt"] = get_judge_prompt_for(access, values["prompt"])
    if values.get("reward_model") is not None:
        values["reward_model"] = get_reward_model_for(access, values["reward_model"])
    return values


def _settings(judge: Judge) -> dict[str, Any]:
    fields = set(JudgeSettings().fields) - {"prompt", "reward_model"}
    row = {
        **{name: getattr(judge, name) for name in fields},
        "id": judge.pk,
        "name": judge.annotator.name,
        "provider": judge.provider,
        "prompt": judge.prompt_id,
        "reward_model": judge.reward_model.number if judge.reward_model else None,
    }
    return dict(JudgeSettingsOutput(row).data)
