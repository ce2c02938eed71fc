"""What an annotator may fetch and send. Nothing here knows a model name or another's label."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_annotator_for, get_assignment_for, get_project_for
from annotate.models import Annotator, Assignment, Preference
from annotate.rendering import markdown_to_html
from annotate.selectors.labelling import AnnotatorProgress, annotator_progress, given_verdict
from annotate.services.assignments import (
    assignment_close,
    assignment_heartbeat,
    assignment_lease_next,
)
from annotate.services.preferences import VerdictInput, preference_submit

LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NextInput(serializers.Serializer[Any]):
    """Leases that the client already has."""

    exclude = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=20)


class SubmitInput(serializers.Serializer[Any]):
    """A verdict in the order in which the responses were shown."""

    idempotency_key = serializers.UUIDField()
    verdict = serializers.ChoiceField(choices=Preference.Verdict.choices)
    strength = serializers.IntegerField(default=0, min_value=-10, max_value=10)
    ranking = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=25), required=False, max_length=26
    )
    aspects = serializers.DictField(default=dict)
    rationale = serializers.CharField(default="", allow_blank=True, max_length=20_000)
    active_ms = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=86_400_000
    )
    revise = serializers.BooleanField(default=False)


class SkipInput(serializers.Serializer[Any]):
    """Why a comparison is skipped."""

    reason = serializers.CharField(default="", allow_blank=True, max_length=300)


class AssignmentOutput(serializers.Serializer[Any]):
    """A lease."""

    id = serializers.UUIDField()
    expires_at = serializers.DateTimeField()
    lease_seconds = serializers.IntegerField()


class TurnOutput(serializers.Serializer[Any]):
    """One turn of the prompt as sanitised HTML."""

    role = serializers.CharField()
    html = serializers.CharField()


class ShownResponseOutput(serializers.Serializer[Any]):
    """One response under a neutral name."""

    label = serializers.CharField()  # type: ignore[assignment]  # the field, not its caption
    html = serializers.CharField()
    text = serializers.CharField()


class ShownComparisonOutput(serializers.Serializer[Any]):
    """A comparison as shown: responses left to right."""

    id = serializers.IntegerField()
    criterion = serializers.CharField()
    prompt = TurnOutput(many=True)
    responses = ShownResponseOutput(many=True)


class ProgressOutput(serializers.Serializer[Any]):
    """The annotator's own progress."""

    done = serializers.IntegerField()
    open = serializers.IntegerField()
    median_ms = serializers.IntegerField(allow_null=True)


class TaskOutput(serializers.Serializer[Any]):
    """The next comparison, or the reason why there is none."""

    assignment = AssignmentOutput(allow_null=True)
    comparison = ShownComparisonOutput(allow_null=True)
    progress = ProgressOutput()
    reason = serializers.CharField()
    given = serializers.DictField(allow_null=True)


class SubmitOutput(serializers.Serializer[Any]):
    """What was stored."""

    preference_id = serializers.IntegerField()
    progress = ProgressOutput()


class ExpiryOutput(serializers.Serializer[Any]):
    """When the lease ends now."""

    expires_at = serializers.DateTimeField()


class NextView(APIView):
    """Lease the next comparison."""

    @extend_schema(request=NextInput, responses=TaskOutput)
    def post(self, request: Request, slug: str) -> Response:
        annotator = get_annotator_for(get_project_for(request.user, slug))
        body = NextInput(data=request.data)
        body.is_valid(raise_exception=True)
        assignment = assignment_lease_next(
            annotator=annotator, exclude=body.validated_data["exclude"]
        )
        return Response(_task(assignment, annotator))


class AssignmentView(APIView):
    """Read one's own assignment again."""

    @extend_schema(responses=TaskOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        annotator = get_annotator_for(get_project_for(request.user, slug))
        return Response(_task(get_assignment_for(annotator, public_id), annotator))


class SubmitView(APIView):
    """Store a verdict once; the same idempotency key again changes nothing."""

    @extend_schema(request=SubmitInput, responses={201: SubmitOutput, 200: SubmitOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        annotator = get_annotator_for(get_project_for(request.user, slug))
        assignment = get_assignment_for(annotator, public_id)
        body = SubmitInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        key, revise = values.pop("idempotency_key"), values.pop("revise")
        ranking = values.pop("ranking", None)
        given = VerdictInput(**values, ranking=tuple(ranking) if ranking else None)
        preference, is_new = preference_submit(
            assignment=assignment, given=given, idempotency_key=key, revise=revise
        )
        progress = vars(annotator_progress(annotator=annotator))
        return Response(
            {"preference_id": preference.pk, "progress": progress},
            status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK,
        )


class HeartbeatView(APIView):
    """Keep a lease alive while its comparison is on screen."""

    @extend_schema(request=None, responses=ExpiryOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        annotator = get_annotator_for(get_project_for(request.user, slug))
        assignment = assignment_heartbeat(assignment=get_assignment_for(annotator, public_id))
        return Response({"expires_at": assignment.expires_at})


class ReturnView(APIView):
    """Give a comparison back unlabelled."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        annotator = get_annotator_for(get_project_for(request.user, slug))
        assignment_close(
            assignment=get_assignment_for(annotator, public_id), state=Assignment.State.RETURNED
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class SkipView(APIView):
    """Pass a comparison on to somebody else."""

    @extend_schema(request=SkipInput, responses={204: None})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        annotator = get_annotator_for(get_project_for(request.user, slug))
        body = SkipInput(data=request.data)
        body.is_valid(raise_exception=True)
        assignment_close(
            assignment=get_assignment_for(annotator, public_id),
            state=Assignment.State.SKIPPED,
            skip_reason=body.validated_data["reason"],
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


def _task(assignment: Assignment | None, annotator: Annotator) -> dict[str, Any]:
    progress = annotator_progress(annotator=annotator)
    if assignment is None:
        return {
            "assignment": None,
            "comparison": None,
            "progress": vars(progress),
            "reason": _reason(progress),
            "given": None,
        }
    return {
        "assignment": {
            "id": str(assignment.public_id),
            "expires_at": assignment.expires_at,
            "lease_seconds": annotator.project.protocol.lease_seconds,
        },
        "comparison": _shown(assignment),
        "progress": vars(progress),
        "reason": "",
        "given": given_verdict(assignment=assignment),
    }


def _shown(assignment: Assignment) -> dict[str, Any]:
    comparison = assignment.comparison
    texts = [
        slot.response.text
        for slot in comparison.slots.select_related("response").order_by("position")
    ]
    return {
        "id": comparison.pk,
        "criterion": comparison.criterion,
        "prompt": [
            {"role": turn["role"], "html": markdown_to_html(turn["content"])}
            for turn in comparison.prompt.turns
        ],
        "responses": [
            {"label": LABELS[place], "html": markdown_to_html(texts[index]), "text": texts[index]}
            for place, index in enumerate(assignment.shown_order)
        ],
    }


def _reason(progress: AnnotatorProgress) -> str:
    if progress.open:
        return "Every comparison that is still open is with somebody else. Come back later."
    return "Nothing is waiting for you. You have labelled everything that was open."
