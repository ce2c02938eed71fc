"""Routing and acquisition over REST; owners only."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import Access, get_annotator_of, get_owned_project_for
from annotate.api.common import PagesByRow
from annotate.api.fields import ChoiceField
from annotate.models import Annotator
from modeling.encoder_names import NAME_LENGTH, TFIDF
from modeling.services.jobs import job_cancel
from routing.access import get_batch_for, get_round_for, get_study_for
from routing.api_rows import (
    BatchRow,
    DecisionPage,
    DecisionRow,
    RoundDetail,
    RoundRow,
    StudyRow,
)
from routing.choices import (
    PAIR_HELP,
    PAIR_RULES,
    POLICIES,
    ROUND_POSTERIORS,
    STRATEGIES,
)
from routing.models import RoutingDecision, RoutingStudy
from routing.selectors import decisions_of, latest_done_study, rounds_of
from routing.services.acquisition_plans import plan_of, plan_round_start
from routing.services.batches import MAX_HUMANS, routing_batch_start, routing_undo
from routing.services.rounds import MAX_BATCH
from routing.services.studies import MAX_MIXES, MIN_MIXES, routing_study_start

_MAX_SEED = 2**31 - 1


class StudyInput(serializers.Serializer[Any]):
    """A new study."""

    judge = serializers.CharField(max_length=120, help_text="Name of one of the project's judges.")
    n_mixes = serializers.IntegerField(default=240, min_value=MIN_MIXES, max_value=MAX_MIXES)
    encoder = serializers.CharField(
        default=TFIDF,
        max_length=NAME_LENGTH,
        help_text="tfidf, minilm or transformers:FOLDER; a model of a folder adds BERTScore.",
    )
    seed = serializers.IntegerField(default=0, min_value=0, max_value=_MAX_SEED)
    is_weighted = serializers.BooleanField(
        default=False, help_text="Each label counts for one over the chance that routing gave it."
    )


class BatchOptions(serializers.Serializer[Any]):
    """What only some policies ask for."""

    max_error = serializers.FloatField(
        required=False, min_value=0.001, max_value=0.999, help_text="Of the conformal policy."
    )
    by_time = serializers.BooleanField(
        required=False, help_text="Price people's labels by reading time."
    )
    stop_early = serializers.BooleanField(
        required=False,
        help_text="Stop where the policy expects no further gain, instead of spending the rest "
        "where a person would most likely differ from the judge.",
    )


class BatchInput(serializers.Serializer[Any]):
    """A policy under a budget."""

    policy = ChoiceField(choices=list(POLICIES))
    budget_usd = serializers.DecimalField(max_digits=12, decimal_places=2, min_value=0)
    judge = serializers.CharField(
        required=False, max_length=120, help_text="Left out: the judge of the study."
    )
    study = serializers.IntegerField(
        required=False, min_value=1, help_text="Number of a study; left out: the newest result."
    )
    audit_share = serializers.FloatField(default=0.1, min_value=0, max_value=1)
    n_humans = serializers.IntegerField(default=1, min_value=1, max_value=MAX_HUMANS)
    dry_run = serializers.BooleanField(default=False)
    options = BatchOptions(required=False)
    seed = serializers.IntegerField(default=0, min_value=0, max_value=_MAX_SEED)


class RoundInput(serializers.Serializer[Any]):
    """A new acquisition round; what is left out is as the project's plan has it."""

    strategy = ChoiceField(choices=list(STRATEGIES), required=False)
    posterior = ChoiceField(choices=list(ROUND_POSTERIORS), required=False)
    pair_rule = ChoiceField(
        choices=list(PAIR_RULES), required=False, allow_blank=True, help_text=PAIR_HELP
    )
    batch_size = serializers.IntegerField(required=False, min_value=1, max_value=MAX_BATCH)
    random_share = serializers.FloatField(required=False, min_value=0, max_value=1)
    seed = serializers.IntegerField(required=False, min_value=0, max_value=_MAX_SEED)


def _judge(access: Access, name: str) -> Annotator:
    return get_object_or_404(
        Annotator, project=access.project, kind=Annotator.Kind.JUDGE, name=name
    )


class StudyListView(APIView):
    """Studies of a project."""

    @extend_schema(responses=StudyRow(many=True), operation_id="routing_studies_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        studies = access.project.routing_studies.select_related("judge").order_by("-number")
        return Response(StudyRow(studies, many=True).data)

    @extend_schema(request=StudyInput, responses={202: StudyRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = StudyInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        judge = _judge(access, values.pop("judge"))
        study = routing_study_start(project=access.project, user=access.user, judge=judge, **values)
        return Response(StudyRow(study).data, status=status.HTTP_202_ACCEPTED)


class StudyView(APIView):
    """One study with its figures."""

    @extend_schema(responses=StudyRow)
    def get(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(StudyRow(get_study_for(access, number)).data)


class StudyCancelView(APIView):
    """Stop a study."""

    @extend_schema(request=None, responses={202: StudyRow})
    def post(self, request: Request, slug: str, number: int) -> Response:
        study = get_study_for(get_owned_project_for(request.user, slug), number)
        job_cancel(study)
        return Response(StudyRow(study).data, status=status.HTTP_202_ACCEPTED)


class BatchListView(APIView):
    """Batches and dry runs of a project."""

    @extend_schema(responses=BatchRow(many=True), operation_id="routing_batches_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        batches = access.project.routing_batches.select_related("judge", "study")[:100]
        return Response(BatchRow(batches, many=True).data)

    @extend_schema(request=BatchInput, responses={202: BatchRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = BatchInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        study = _study(access, values.pop("study", None))
        judge = _judge_of_batch(access, values.pop("judge", None), study)
        # Another judge than the study's: the study has nothing to say about it.
        fits = study is not None and study.judge_id == judge.pk
        batch = routing_batch_start(
            project=access.project,
            user=access.user,
            judge=judge,
            study=study if fits else None,
            **values,
        )
        return Response(BatchRow(batch).data, status=status.HTTP_202_ACCEPTED)


def _study(access: Access, number: int | None) -> RoutingStudy | None:
    if number is not None:
        return get_study_for(access, number)
    return latest_done_study(project=access.project)


def _judge_of_batch(access: Access, name: str | None, study: RoutingStudy | None) -> Annotator:
    if name is not None:
        return _judge(access, name)
    if study is None or study.judge_id is None:
        raise serializers.ValidationError(
            {"judge": ["There is no study that names a judge; name one of the project's judges."]}
        )
    return get_annotator_of(access, study.judge_id)


class BatchView(APIView):
    """One batch or dry run with its summary."""

    @extend_schema(responses=BatchRow)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(BatchRow(get_batch_for(access, public_id)).data)


class BatchUndoView(APIView):
    """Take a batch back where nobody has labelled since."""

    @extend_schema(request=None, responses=BatchRow)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        batch = get_batch_for(access, public_id)
        routing_undo(batch=batch, user=access.user)
        return Response(BatchRow(batch).data)


class DecisionListView(APIView):
    """Frozen decisions, of one batch or of all."""

    @extend_schema(
        parameters=[
            OpenApiParameter("batch", int, description="Number of a batch."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description="Up to 1000."),
        ],
        responses=DecisionPage,
    )
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        rows = RoutingDecision.objects.filter(batch__project=access.project)
        number = request.query_params.get("batch")
        if number is not None:
            batches = access.project.routing_batches
            wanted = int(number) if number.isdecimal() and len(number) < 10 else 0
            rows = decisions_of(batch=get_object_or_404(batches, number=wanted))
        pages = PagesByRow()
        found = pages.paginate_queryset(rows.select_related("comparison", "batch"), request)
        return pages.get_paginated_response(DecisionRow(found, many=True).data)


class RoundListView(APIView):
    """Acquisition rounds of a project."""

    @extend_schema(responses=RoundRow(many=True), operation_id="acquisition_rounds_list")
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(RoundRow(rounds_of(project=access.project), many=True).data)

    @extend_schema(request=RoundInput, responses={202: RoundRow})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = RoundInput(data=request.data)
        body.is_valid(raise_exception=True)
        plan = plan_of(access.project)
        row = plan_round_start(plan=plan, user=access.user, **body.validated_data)
        started = rounds_of(project=access.project).get(pk=row.pk)
        return Response(RoundRow(started).data, status=status.HTTP_202_ACCEPTED)


class RoundView(APIView):
    """One round with its report and picks."""

    @extend_schema(responses=RoundDetail)
    def get(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        row = get_round_for(access, number)
        found = rounds_of(project=access.project).get(pk=row.pk)
        return Response(RoundDetail(found).data)
