"""Comparisons and verdicts over REST: found, read, sent and changed, many at a time."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import Access, get_comparison_for, get_owned_project_for
from annotate.api.common import (
    CursorPageParameters,
    IfMatchParameter,
    PageInput,
    PagesByRow,
    match_require,
    next_link,
    tagged,
    valid,
)
from annotate.api.data import RowErrorOutput
from annotate.api.data_rows import (
    ComparisonRow,
    PreferenceRow,
    comparison_page_schema,
    preference_page_schema,
)
from annotate.api.errors import CONTENT_TYPE, problem
from annotate.api.fields import ChoiceField
from annotate.api.known_fields import KnownFields
from annotate.errors import ApplicationError
from annotate.models import Annotator, Comparison, Preference
from annotate.sections import sections_of
from annotate.selectors.comparison_page import comparison_history
from annotate.selectors.datasets import comparisons_in_order, preferences_in_order
from annotate.selectors.explorer import (
    ORDERS,
    SOURCES,
    STATES,
    Filters,
    explored,
    is_sparse,
    key_page,
)
from annotate.selectors.rows import comparison_row, preference_row, with_texts
from annotate.services.bulk_changes import MAX_PRIORITY, MAX_WANTED, Action, bulk_change
from annotate.services.bulk_create import comparisons_add
from annotate.services.imports import ImportReport

MAX_ROWS = 1000


class FilterInput(KnownFields):
    """Which comparisons."""

    q = serializers.CharField(
        required=False, max_length=200, help_text="Words of id, prompt or responses."
    )
    state = ChoiceField(choices=[state for state in STATES if state], required=False)
    source = ChoiceField(  # type: ignore[assignment]  # the field, not DRF's own
        choices=[source for source in SOURCES if source], required=False
    )
    model = serializers.CharField(
        required=False, max_length=200, help_text="The source of one of the responses."
    )
    slice = serializers.CharField(
        required=False, max_length=250, help_text="`key=value` of the metadata."
    )
    flag = serializers.CharField(
        required=False, max_length=40, help_text="Reason of an open flag, or `any`."
    )
    skill = serializers.CharField(required=False, max_length=60)
    disagreement = serializers.FloatField(
        required=False, min_value=0, max_value=1, help_text="At least this share of human pairs."
    )
    judge_disagreement = serializers.FloatField(
        required=False, min_value=0, max_value=1, help_text="The same between people and judges."
    )


class ComparisonListInput(FilterInput, PageInput):
    """Which comparisons, in which order."""

    order = ChoiceField(choices=list(ORDERS), default="oldest")


class ComparisonsInput(serializers.Serializer[Any]):
    """Comparisons in the native form, with or without labels."""

    comparisons = serializers.ListField(
        child=serializers.DictField(), min_length=1, max_length=MAX_ROWS
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only check them.")


class ComparisonsOutput(serializers.Serializer[Any]):
    """What came of them."""

    n_rows = serializers.IntegerField()
    n_created = serializers.IntegerField()
    n_unchanged = serializers.IntegerField()
    n_preferences = serializers.IntegerField()
    errors = RowErrorOutput(many=True)  # type: ignore[assignment]  # the field, not DRF's own


class ReadInput(serializers.Serializer[Any]):
    """Ids of comparisons."""

    ids = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=MAX_ROWS
    )


class ReadOutput(serializers.Serializer[Any]):
    """The comparisons that there are, and the ids that there are not."""

    results = ComparisonRow(many=True)
    missing = serializers.ListField(child=serializers.CharField())


class ComparisonChangeInput(serializers.Serializer[Any]):
    """What may change about a comparison; its texts never do."""

    priority = serializers.FloatField(
        required=False, min_value=-MAX_PRIORITY, max_value=MAX_PRIORITY
    )
    wanted_labels = serializers.IntegerField(required=False, min_value=0, max_value=MAX_WANTED)
    skill = serializers.CharField(required=False, allow_blank=True, max_length=60)


class HistoryOutput(serializers.Serializer[Any]):
    """Something that happened to a comparison."""

    at = serializers.DateTimeField()
    kind = serializers.CharField()
    who = serializers.CharField()
    text = serializers.CharField()


class SectionOutput(serializers.Serializer[Any]):
    """What judges, routing or acquisition have to do with a comparison."""

    title = serializers.CharField()
    rows = serializers.ListField(child=serializers.DictField())


class ComparisonDetailRow(ComparisonRow):
    """A comparison with everything that belongs to it."""

    labels = PreferenceRow(many=True)
    history = HistoryOutput(many=True)
    sections = serializers.DictField(child=SectionOutput())


class ComparisonListView(APIView):
    """A project's comparisons."""

    @extend_schema(
        parameters=[ComparisonListInput],
        responses=comparison_page_schema,
        operation_id="comparisons_list",
    )
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        query = valid(ComparisonListInput(data=request.query_params))
        filters = Filters.read(query, order="oldest")
        is_few = is_sparse(project=access.project, filters=filters)
        found = with_texts(explored(project=access.project, filters=filters))
        page = key_page(
            found=found,
            order=filters.order,
            cursor=query["cursor"],
            size=query["page_size"],
            sparse_in=access.project if is_few else None,
        )
        rows = [comparison_row(row) for row in page.rows]
        return Response({"next": next_link(request, page.next_cursor), "results": rows})

    @extend_schema(
        request=ComparisonsInput,
        responses={201: ComparisonsOutput, 200: ComparisonsOutput},
        operation_id="comparisons_create",
    )
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = valid(ComparisonsInput(data=request.data))
        report = comparisons_add(
            project=access.project,
            user=access.user,
            rows=body["comparisons"],
            dry_run=body["dry_run"],
        )
        if not report.is_ok:
            return _refused(report)
        is_new = not body["dry_run"] and report.n_created + report.n_preferences > 0
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(ComparisonsOutput(report).data, status=code)


class ComparisonReadView(APIView):
    """Many comparisons by their ids, in the order asked for."""

    @extend_schema(request=ReadInput, responses=ReadOutput, operation_id="comparisons_read")
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        ids = valid(ReadInput(data=request.data))["ids"]
        rows = comparisons_in_order(project=access.project).filter(external_id__in=ids)
        known = {row.external_id: comparison_row(row) for row in rows}
        wanted = list(dict.fromkeys(ids))
        found = [known[each] for each in wanted if each in known]
        return Response({"results": found, "missing": [i for i in wanted if i not in known]})


class ComparisonView(APIView):
    """One comparison with labels, judges' replies, decisions and history."""

    @extend_schema(responses=ComparisonDetailRow, operation_id="comparisons_retrieve")
    def get(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        return tagged(_detail(access, get_comparison_for(access, pk)))

    @extend_schema(
        request=ComparisonChangeInput,
        parameters=[IfMatchParameter],
        responses=ComparisonDetailRow,
        operation_id="comparisons_change",
    )
    def patch(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        comparison = get_comparison_for(access, pk)
        match_require(request, _detail(access, comparison))
        body = valid(ComparisonChangeInput(data=request.data))
        for name, value in body.items():
            bulk_change(
                project=access.project,
                user=access.user,
                action=Action(name),
                comparison_ids=[comparison.pk],
                value=value,
            )
        return tagged(_detail(access, get_comparison_for(access, pk)))


class PreferenceFilterInput(serializers.Serializer[Any]):
    """Which verdicts."""

    comparison = serializers.CharField(required=False, max_length=200)
    annotator = serializers.CharField(required=False, max_length=120)
    kind = ChoiceField(choices=Annotator.Kind.choices, required=False)
    verdict = ChoiceField(choices=Preference.Verdict.choices, required=False)
    source = ChoiceField(  # type: ignore[assignment]  # the field, not DRF's own
        choices=Preference.Source.choices, required=False
    )
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    current = serializers.BooleanField(
        required=False, default=False, help_text="Only those that no correction replaces."
    )


LOOKUPS = {
    "comparison": "comparison__external_id",
    "annotator": "annotator__name",
    "kind": "annotator__kind",
    "verdict": "verdict",
    "source": "source",
    "since": "created_at__gte",
    "until": "created_at__lt",
}


class PreferenceListView(APIView):
    """Every verdict of a project, oldest first, the corrected ones too."""

    @extend_schema(
        parameters=[PreferenceFilterInput, *CursorPageParameters],
        responses=preference_page_schema,
        operation_id="preferences_list",
    )
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        query = valid(PreferenceFilterInput(data=request.query_params))
        wanted = {LOOKUPS[name]: value for name, value in query.items() if name in LOOKUPS}
        found = preferences_in_order(project=access.project).filter(**wanted)
        if query["current"]:
            found = found.filter(superseded_by__isnull=True)
        pages = PagesByRow()
        rows = pages.paginate_queryset(found, request) or []
        return pages.get_paginated_response([preference_row(row) for row in rows])


class AnnotatorOutput(serializers.Serializer[Any]):
    """Somebody whose labels the project holds."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    kind = ChoiceField(choices=Annotator.Kind.choices)
    is_simulated = serializers.BooleanField()
    is_active = serializers.BooleanField()
    skills = serializers.ListField(child=serializers.CharField())


class AnnotatorListView(APIView):
    """People and judges whose labels the project holds."""

    @extend_schema(
        parameters=[OpenApiParameter("kind", str, enum=Annotator.Kind.values)],
        responses=AnnotatorOutput(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        rows = access.project.annotators.order_by("kind", "name")
        kind = request.query_params.get("kind")
        if kind is not None and kind not in Annotator.Kind.values:
            raise ApplicationError(
                f"Unknown kind {kind!r}; use one of {', '.join(Annotator.Kind.values)}.",
                field="kind",
            )
        found = rows.filter(kind=kind) if kind else rows
        return Response(AnnotatorOutput(found, many=True).data)


def _refused(report: ImportReport) -> Response:
    rows = RowErrorOutput(report.errors, many=True).data
    detail = f"{report.n_errors:,} rows need another value; nothing was written."
    body = problem(status.HTTP_400_BAD_REQUEST, detail, {"comparisons": rows})
    return Response(body, status=status.HTTP_400_BAD_REQUEST, content_type=CONTENT_TYPE)


def _detail(access: Access, comparison: Comparison) -> dict[str, Any]:
    row = comparisons_in_order(project=access.project).get(pk=comparison.pk)
    labels = preferences_in_order(project=access.project).filter(comparison=comparison)
    history = comparison_history(comparison=comparison)
    return {
        **comparison_row(row),
        "labels": [preference_row(label) for label in labels],
        "history": [vars(event) for event in history],
        "sections": {
            section.key: {"title": section.title, "rows": section.as_rows()}
            for section in sections_of(comparison)
        },
    }


project_urls = [
    # /api/v1/projects/<slug>/…
    path("comparisons", ComparisonListView.as_view(), name="comparison-list"),
    path("comparisons/read", ComparisonReadView.as_view(), name="comparison-read"),
    path("comparisons/<int:pk>", ComparisonView.as_view(), name="comparison"),
    path("preferences", PreferenceListView.as_view(), name="preference-list"),
    path("annotators", AnnotatorListView.as_view(), name="annotator-list"),
]
