"""Batch files of judges over REST; owners only."""

from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import get_owned_project_for
from annotate.api.fields import ChoiceField
from modeling.access import get_judge_batch_for, get_judge_for
from modeling.models import JudgeBatch
from modeling.services.judge_batches import (
    MAX_REPLY_BYTES,
    judge_batch_cancel,
    judge_batch_replies,
    judge_batch_start,
)

BIGGEST_ID = 2**63 - 1


class JudgeBatchInput(serializers.Serializer[Any]):
    """What a batch file is to ask, and what that may cost."""

    judge = serializers.IntegerField(min_value=1, max_value=BIGGEST_ID)
    n_comparisons = serializers.IntegerField(required=False, min_value=1, max_value=100_000)
    cap_usd = serializers.DecimalField(
        max_digits=12, decimal_places=2, min_value=0, required=False, allow_null=True
    )
    price_factor = serializers.DecimalField(
        max_digits=4, decimal_places=3, min_value=0, max_value=1, required=False
    )
    is_uploaded = serializers.BooleanField(required=False)


class BatchOutput(serializers.Serializer[Any]):
    """Where a batch stands."""

    id = serializers.UUIDField(source="public_id")
    judge = serializers.IntegerField(source="judge_id")
    stage = ChoiceField(choices=JudgeBatch.Stage.choices)
    message = serializers.CharField()
    n_requests = serializers.IntegerField()
    n_replies = serializers.IntegerField()
    cost_usd = serializers.DecimalField(max_digits=12, decimal_places=6)
    cap_usd = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True)
    run = serializers.UUIDField(source="run.public_id", allow_null=True, default=None)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class RepliesInput(serializers.Serializer[Any]):
    """The reply file of a batch."""

    file = serializers.FileField()


class JudgeBatchesView(APIView):
    """List batch files, or start one."""

    @extend_schema(responses=BatchOutput(many=True), operation_id="judge_batches_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        rows = JudgeBatch.objects.filter(judge__annotator__project=project)
        return Response(BatchOutput(rows.select_related("run")[:100], many=True).data)

    @extend_schema(request=JudgeBatchInput, responses={202: BatchOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = JudgeBatchInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        judge = get_judge_for(access, values.pop("judge"))
        batch = judge_batch_start(judge=judge, user=access.user, **values)
        return Response(BatchOutput(batch).data, status=status.HTTP_202_ACCEPTED)


class JudgeBatchView(APIView):
    """Read one batch."""

    @extend_schema(responses=BatchOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        batch = get_judge_batch_for(get_owned_project_for(request.user, slug), public_id)
        return Response(BatchOutput(batch).data)


class JudgeBatchCancelView(APIView):
    """Give a batch up."""

    @extend_schema(request=None, responses=BatchOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        batch = get_judge_batch_for(access, public_id)
        judge_batch_cancel(batch=batch, user=access.user)
        return Response(BatchOutput(get_judge_batch_for(access, public_id)).data)


class JudgeBatchRequestsView(APIView):
    """Hand out the request file of a batch."""

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.BINARY})
    def get(self, request: Request, slug: str, public_id: UUID) -> FileResponse:
        batch = get_judge_batch_for(get_owned_project_for(request.user, slug), public_id)
        if not batch.request_file or not default_storage.exists(batch.request_file):
            raise Http404("The request file is not written yet.")
        file = default_storage.open(batch.request_file, "rb")
        return FileResponse(file, content_type="application/jsonl")


class JudgeBatchRepliesView(APIView):
    """Take the reply file of a batch; a second time changes nothing."""

    parser_classes = [MultiPartParser]

    @extend_schema(request={"multipart/form-data": RepliesInput}, responses={202: BatchOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        batch = get_judge_batch_for(access, public_id)
        body = RepliesInput(data=request.data)
        body.is_valid(raise_exception=True)
        content = body.validated_data["file"].read(MAX_REPLY_BYTES + 1)
        judge_batch_replies(batch=batch, content=content)
        batch = get_judge_batch_for(access, public_id)
        return Response(BatchOutput(batch).data, status=status.HTTP_202_ACCEPTED)
