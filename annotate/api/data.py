"""Data in and out over REST; owners only."""

from typing import Any
from uuid import UUID

from django.http import HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import (
    get_dataset_version_for,
    get_import_job_for,
    get_owned_project_for,
)
from annotate.api.fields import ChoiceField
from annotate.formats.containers import CONTAINERS
from annotate.formats.registry import AUTO, IMPORT_FORMATS, MAPPED
from annotate.models import ImportJob, JobState, LabelRule
from annotate.pairings import ALL, PAIRINGS
from annotate.selectors.datasets import dataset_versions, import_jobs
from annotate.services.exports import (
    AUTO_STYLE,
    EXPORT_FORMATS,
    PROMPTS,
    STYLES,
    export_open,
)
from annotate.services.import_jobs import (
    import_job_cancel,
    import_job_confirm,
    import_job_create,
    import_job_progress,
)
from annotate.services.versions import dataset_version_create

LISTED = 100


class ExportInput(serializers.Serializer[Any]):
    """What to export and how."""

    format = ChoiceField(choices=list(EXPORT_FORMATS), default="trl-preference")
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    label_rule = ChoiceField(choices=LabelRule.choices, required=False)
    columns = serializers.CharField(
        required=False, default="", help_text="More columns, separated by commas."
    )
    style = ChoiceField(  # type: ignore[assignment]  # the field, not DRF's own
        choices=STYLES, default=AUTO_STYLE
    )
    container = ChoiceField(
        choices=list(CONTAINERS), required=False, help_text="The kind of file; default: the usual."
    )
    prompt = ChoiceField(choices=PROMPTS, default=PROMPTS[0])
    pairing = ChoiceField(choices=PAIRINGS, default=ALL)


class ImportInput(serializers.Serializer[Any]):
    """A file to import."""

    file = serializers.FileField(allow_empty_file=True)
    format = ChoiceField(choices=[AUTO, *IMPORT_FORMATS, MAPPED], default=AUTO)
    mapping = serializers.JSONField(
        required=False, help_text="Which column holds what, for files of no known format."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only check the file.")


class RowErrorOutput(serializers.Serializer[Any]):
    """Why a row was refused."""

    row = serializers.IntegerField(help_text="Number of the line or row; 0 is the whole file.")
    field = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()


class ImportOutput(serializers.Serializer[Any]):
    """Where an import stands."""

    id = serializers.UUIDField()
    state = ChoiceField(choices=JobState.choices)
    file_name = serializers.CharField()
    format = serializers.CharField()
    dry_run = serializers.BooleanField()
    phase = serializers.CharField()
    n_rows = serializers.IntegerField(allow_null=True)
    n_done = serializers.IntegerField()
    n_created = serializers.IntegerField()
    n_unchanged = serializers.IntegerField()
    n_preferences = serializers.IntegerField()
    n_errors = serializers.IntegerField()
    errors = RowErrorOutput(many=True)  # type: ignore[assignment]  # the field, not DRF's own
    message = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class VersionInput(serializers.Serializer[Any]):
    """How votes become labels."""

    label_rule = ChoiceField(choices=LabelRule.choices, default=LabelRule.HUMAN_MAJORITY.value)


class VersionOutput(serializers.Serializer[Any]):
    """A frozen dataset version."""

    number = serializers.IntegerField()
    label_rule = serializers.CharField()
    n_rows = serializers.IntegerField()
    content_hash = serializers.CharField()
    manifest = serializers.DictField()
    created_at = serializers.DateTimeField()


class ExportView(APIView):
    """Stream a project's labelled data."""

    @extend_schema(
        parameters=[ExportInput, OpenApiParameter("If-None-Match", str, "header")],
        responses={
            (200, "application/x-ndjson"): OpenApiTypes.STR,
            (200, "application/json"): OpenApiTypes.ANY,
            (200, "application/gzip"): OpenApiTypes.BINARY,
            (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
            (200, "application/zip"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="The version's bytes have not changed."),
        },
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        access = get_owned_project_for(request.user, slug)
        query = ExportInput(data=request.query_params)
        query.is_valid(raise_exception=True)
        values = dict(query.validated_data)
        number = values.pop("version", None)
        columns = tuple(name for name in values.pop("columns").split(",") if name)
        version = get_dataset_version_for(access, number) if number is not None else None
        export = export_open(project=access.project, version=version, columns=columns, **values)
        if export.etag and request.headers.get("If-None-Match") == export.etag:
            return HttpResponseNotModified(headers={"ETag": export.etag})
        response = StreamingHttpResponse(export.stream(), content_type=export.content_type)
        response["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
        response["X-Accel-Buffering"] = "no"
        if export.etag:
            response["ETag"] = export.etag
        return response


class ImportListView(APIView):
    """List imports; send a file, which is imported in the background."""

    parser_classes = (MultiPartParser,)

    @extend_schema(responses=ImportOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response([_import(job) for job in import_jobs(project=access.project)[:LISTED]])

    @extend_schema(request=ImportInput, responses={202: ImportOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = ImportInput(data=request.data)
        body.is_valid(raise_exception=True)
        job = import_job_create(project=access.project, user=access.user, **body.validated_data)
        return import_accepted(job, slug)


class ImportView(APIView):
    """Where one import stands."""

    @extend_schema(responses=ImportOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
        return Response(_import(job))


class ImportConfirmView(APIView):
    """Import for real what a dry run found to be right."""

    @extend_schema(request=None, responses={202: ImportOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
        return import_accepted(import_job_confirm(job=job), slug)


class ImportCancelView(APIView):
    """Stop an import; nothing of it stays."""

    @extend_schema(request=None, responses=ImportOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
        import_job_cancel(job=job)
        job.refresh_from_db()
        return Response(_import(job))


class VersionListView(APIView):
    """List and freeze dataset versions."""

    @extend_schema(responses=VersionOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        versions = dataset_versions(project=access.project)
        return Response(VersionOutput(versions, many=True).data)

    @extend_schema(request=VersionInput, responses={201: VersionOutput, 200: VersionOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = VersionInput(data=request.data)
        body.is_valid(raise_exception=True)
        newest = dataset_versions(project=access.project).first()
        version = dataset_version_create(
            project=access.project, user=access.user, **body.validated_data
        )
        is_new = newest is None or version.number > newest.number
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(VersionOutput(version).data, status=code)


def import_accepted(job: ImportJob, slug: str) -> Response:
    """Answer that an import is under way, and where it can be looked at."""
    place = reverse("annotate_api:import", args=[slug, job.public_id])
    return Response(_import(job), status=status.HTTP_202_ACCEPTED, headers={"Location": place})


def _import(job: ImportJob) -> dict[str, Any]:
    progress = import_job_progress(job=job)
    told = {"phase": progress.phase, "n_done": progress.n_done, "n_rows": progress.n_rows}
    return {**ImportOutput({**vars(job), "id": job.public_id, **told}).data}


project_urls = [
    # /api/v1/projects/<slug>/…
    path("export", ExportView.as_view(), name="export"),
    path("imports", ImportListView.as_view(), name="import-list"),
    path("imports/<uuid:public_id>", ImportView.as_view(), name="import"),
    path("imports/<uuid:public_id>/confirm", ImportConfirmView.as_view(), name="import-confirm"),
    path("imports/<uuid:public_id>/cancel", ImportCancelView.as_view(), name="import-cancel"),
    path("versions", VersionListView.as_view(), name="version-list"),
]
