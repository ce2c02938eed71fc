"""Label audits and data filters over REST; owners only."""

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
from modeling.access import get_audit_run_for, get_filter_run_for
from modeling.audit_selectors import audit_counts, chosen_findings, findings_shown
from modeling.encoder_names import NAME_LENGTH, TFIDF
from modeling.models import AuditFinding, AuditRun, FilterRun
from modeling.services import audits, filters
from modeling.services.training import LABELS

LISTED = 100
MAX_FINDINGS = 1_000
REOPEN = "reopen"
DECISIONS = ("sent", "softened", "kept", REOPEN)


class AuditInput(serializers.Serializer[Any]):
    """How to audit labels."""

    encoder = serializers.CharField(default=TFIDF, max_length=NAME_LENGTH)
    labels = ChoiceField(choices=list(LABELS), default="human")
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)


class AuditOutput(serializers.Serializer[Any]):
    """Where an audit stands; ``counts`` says how many findings of each kind and how many open."""

    id = serializers.UUIDField()
    state = ChoiceField(choices=JobState.choices)
    progress = serializers.FloatField()
    message = serializers.CharField()
    encoder = serializers.CharField()
    labels = serializers.CharField()
    seed = serializers.IntegerField()
    counts = serializers.DictField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class FindingQuery(serializers.Serializer[Any]):
    """Which findings to list."""

    kind = ChoiceField(choices=AuditFinding.Finding.choices, default="wrong")
    limit = serializers.IntegerField(default=LISTED, min_value=1, max_value=MAX_FINDINGS)
    after_rank = serializers.IntegerField(default=-1, min_value=-1, max_value=2**31 - 1)


class FindingOutput(serializers.Serializer[Any]):
    """What an audit says about one label."""

    id = serializers.IntegerField()
    comparison = serializers.CharField()
    rank = serializers.IntegerField()
    finding = serializers.CharField()
    p_wrong = serializers.FloatField()
    probability = serializers.FloatField()
    strength = serializers.FloatField()
    spread = serializers.FloatField()
    label = serializers.FloatField()  # type: ignore[assignment]  # the field, not DRF's own
    n_labels = serializers.IntegerField()
    soft_target = serializers.FloatField()
    decision = serializers.CharField()


class DecideInput(serializers.Serializer[Any]):
    """Findings by id and what to do with them; ``reopen`` takes a decision back."""

    findings = serializers.ListField(
        child=serializers.IntegerField(min_value=1), min_length=1, max_length=MAX_FINDINGS
    )
    decision = ChoiceField(choices=DECISIONS)


class DecideOutput(serializers.Serializer[Any]):
    """How many findings changed."""

    n_changed = serializers.IntegerField()


class DataFilterInput(serializers.Serializer[Any]):
    """Which comparisons training leaves out; leave out what is not wanted."""

    near_identical = serializers.FloatField(required=False, min_value=0.5, max_value=1.0)
    duplicates = serializers.BooleanField(required=False)
    gap_low = serializers.FloatField(required=False)
    gap_high = serializers.FloatField(required=False)
    drop_wrong = serializers.BooleanField(required=False)


class FilterSwitchInput(serializers.Serializer[Any]):
    """Whether training leaves these comparisons out."""

    is_active = serializers.BooleanField()


class FilterOutput(serializers.Serializer[Any]):
    """A set of filters; ``counts`` says how many comparisons each leaves out."""

    id = serializers.UUIDField()
    state = ChoiceField(choices=JobState.choices)
    message = serializers.CharField()
    rules = serializers.DictField()
    is_active = serializers.BooleanField()
    counts = serializers.DictField()
    created_at = serializers.DateTimeField()


class AuditsView(APIView):
    """List audits, or start one."""

    @extend_schema(responses=AuditOutput(many=True), operation_id="label_audits_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        rows = [_audit(run) for run in AuditRun.objects.filter(project=project)[:LISTED]]
        return Response(AuditOutput(rows, many=True).data)

    @extend_schema(request=AuditInput, responses={202: AuditOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = AuditInput(data=request.data)
        body.is_valid(raise_exception=True)
        run = audits.audit_run_start(
            project=access.project, user=access.user, **body.validated_data
        )
        return Response(AuditOutput(_audit(run)).data, status=status.HTTP_202_ACCEPTED)


class AuditView(APIView):
    """Read one audit."""

    @extend_schema(responses=AuditOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_audit_run_for(get_owned_project_for(request.user, slug), public_id)
        return Response(AuditOutput(_audit(run)).data)


class FindingsView(APIView):
    """List the findings of an audit, most suspicious first; go on with ``after_rank``."""

    @extend_schema(
        parameters=[FindingQuery],
        responses=FindingOutput(many=True),
        operation_id="label_audit_findings_list",
    )
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_audit_run_for(get_owned_project_for(request.user, slug), public_id)
        query = FindingQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        rows = findings_shown(run, asked["kind"]).filter(rank__gt=asked["after_rank"])
        found = [_finding(row) for row in rows[: asked["limit"]]]
        return Response(FindingOutput(found, many=True).data)


class DecideView(APIView):
    """Send findings to a second person, make labels soft, keep them, or take that back."""

    @extend_schema(request=DecideInput, responses=DecideOutput)
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = DecideInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        findings = chosen_findings(access.project, [str(pk) for pk in values["findings"]])
        if values["decision"] == REOPEN:
            count = audits.findings_reopen(findings=findings, user=access.user)
        else:
            count = audits.findings_decide(
                findings=findings, decision=values["decision"], user=access.user
            )
        return Response(DecideOutput({"n_changed": count}).data)


class FiltersView(APIView):
    """List sets of filters, or work one out and switch it on."""

    @extend_schema(responses=FilterOutput(many=True), operation_id="data_filters_list")
    def get(self, request: Request, slug: str) -> Response:
        project = get_owned_project_for(request.user, slug).project
        rows = [_filter(run) for run in FilterRun.objects.filter(project=project)[:LISTED]]
        return Response(FilterOutput(rows, many=True).data)

    @extend_schema(request=DataFilterInput, responses={202: FilterOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = DataFilterInput(data=request.data)
        body.is_valid(raise_exception=True)
        rules = {name: value for name, value in body.validated_data.items() if value is not False}
        run = filters.filter_run_start(project=access.project, user=access.user, rules=rules)
        return Response(FilterOutput(_filter(run)).data, status=status.HTTP_202_ACCEPTED)


class FilterView(APIView):
    """Read a set of filters, or switch it on or off."""

    @extend_schema(responses=FilterOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        run = get_filter_run_for(get_owned_project_for(request.user, slug), public_id)
        return Response(FilterOutput(_filter(run)).data)

    @extend_schema(request=FilterSwitchInput, responses=FilterOutput)
    def patch(self, request: Request, slug: str, public_id: UUID) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = FilterSwitchInput(data=request.data)
        body.is_valid(raise_exception=True)
        run = filters.filter_run_switch(
            run=get_filter_run_for(access, public_id),
            is_active=body.validated_data["is_active"],
            user=access.user,
        )
        return Response(FilterOutput(_filter(run)).data)


def _audit(run: AuditRun) -> dict[str, Any]:
    fields = set(AuditOutput().fields) - {"id", "counts"}
    counts = {kind: {"n": n, "n_open": n_open} for kind, _, n, n_open in audit_counts(run)}
    return {
        **{name: getattr(run, name) for name in fields},
        "id": run.public_id,
        "counts": counts,
    }


def _finding(row: AuditFinding) -> dict[str, Any]:
    fields = set(FindingOutput().fields) - {"id", "comparison"}
    return {
        **{name: getattr(row, name) for name in fields},
        "id": row.pk,
        "comparison": row.comparison.external_id,
    }


def _filter(run: FilterRun) -> dict[str, Any]:
    fields = set(FilterOutput().fields) - {"id", "counts"}
    return {
        **{name: getattr(run, name) for name in fields},
        "id": run.public_id,
        "counts": dict(filters.reason_counts(run)),
    }
