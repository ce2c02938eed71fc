"""Data in and out, step by step, as the pages offer it: jobs, previews, mappings, differences."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.models.fields.files import FieldFile
from django.http import StreamingHttpResponse
from django.urls import path, reverse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import (
    get_dataset_version_for,
    get_export_job_for,
    get_freeze_job_for,
    get_import_job_for,
    get_owned_project_for,
)
from annotate.api.common import valid
from annotate.api.data import (
    LISTED,
    ExportInput,
    ImportOutput,
    RowErrorOutput,
    VersionInput,
    VersionOutput,
    import_accepted,
)
from annotate.api.fields import ChoiceField
from annotate.api.known_fields import KnownFields
from annotate.errors import ConflictError
from annotate.formats.preview import file_preview
from annotate.formats.registry import AUTO, IMPORT_FORMATS, MAPPED
from annotate.models import ExportJob, FreezeJob, JobState
from annotate.selectors.datasets import export_jobs, freeze_jobs
from annotate.selectors.filters import filters_of
from annotate.services.data_jobs import data_job_cancel
from annotate.services.export_jobs import export_job_create, export_job_delete
from annotate.services.freeze_jobs import freeze_job_create
from annotate.services.import_jobs import import_job_from_hub, import_job_remap
from annotate.services.version_diffs import version_diff


class FiltersInput(KnownFields):
    """What a version or an export leaves out."""

    criterion = serializers.CharField(required=False, allow_blank=True, max_length=300)
    protocol_version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    without_simulated = serializers.BooleanField(required=False)
    without_leaks = serializers.BooleanField(required=False)
    min_votes = serializers.IntegerField(required=False, min_value=0, max_value=10_000)
    meta = serializers.DictField(
        child=serializers.CharField(max_length=300), required=False,
        help_text="Exact values of metadata.",
    )  # fmt: skip


class ExportJobInput(ExportInput):
    """What to export into a file in the background."""

    columns = serializers.ListField(  # type: ignore[assignment]  # a body has lists
        child=serializers.CharField(max_length=60), required=False, max_length=60
    )
    filters = FiltersInput(required=False)


class JobOutput(serializers.Serializer[Any]):
    """Where a job stands."""

    id = serializers.UUIDField(source="public_id")
    state = ChoiceField(choices=JobState.choices)
    options = serializers.DictField()
    n_done = serializers.IntegerField()
    n_total = serializers.IntegerField()
    message = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField(source="version.number", allow_null=True, default=None)


class ExportJobOutput(JobOutput):
    """Where an export stands; ``n_done`` counts kilobytes. ``sha256`` is set once it is done."""

    file_name = serializers.CharField()
    n_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()


class FreezeJobInput(VersionInput):
    """What to freeze in the background."""

    filters = FiltersInput(required=False)


class FreezeJobOutput(JobOutput):
    """Where a freeze stands; ``version`` is set once it is done."""


class MappingInput(serializers.Serializer[Any]):
    """Which column holds what, or another format, for a file that is kept."""

    mapping = serializers.DictField(default=dict)
    format = ChoiceField(choices=[AUTO, *IMPORT_FORMATS, MAPPED], default=MAPPED)


class HubInput(serializers.Serializer[Any]):
    """A data set of the Hugging Face hub."""

    source = serializers.CharField(  # type: ignore[assignment]  # the field, not DRF's own
        max_length=200, help_text="owner/dataset"
    )
    config = serializers.CharField(default="", allow_blank=True, max_length=100)
    split = serializers.CharField(default="", allow_blank=True, max_length=100)
    format = ChoiceField(choices=[AUTO, *IMPORT_FORMATS, MAPPED], default=AUTO)


class ColumnOutput(serializers.Serializer[Any]):
    """A column with the beginning of its first value."""

    name = serializers.CharField()
    example = serializers.CharField()


class ImportPreviewOutput(serializers.Serializer[Any]):
    """What a file looks like before it is imported."""

    title = serializers.CharField()
    columns = ColumnOutput(many=True)
    mapping = serializers.DictField(help_text="A guess, to send back as the mapping.")
    ids = serializers.ListField(child=serializers.CharField())
    errors = RowErrorOutput(many=True)  # type: ignore[assignment]  # the field, not DRF's own


class VersionFigureOutput(serializers.Serializer[Any]):
    """A count in both versions."""

    before = serializers.IntegerField()
    after = serializers.IntegerField()


class VersionNameOutput(serializers.Serializer[Any]):
    """Which version."""

    number = serializers.IntegerField()
    content_hash = serializers.CharField()


class VersionDiffOutput(serializers.Serializer[Any]):
    """What changed from one version to another."""

    before = VersionNameOutput()
    after = VersionNameOutput()
    figures = serializers.DictField(child=VersionFigureOutput())
    n_added = serializers.IntegerField()
    n_removed = serializers.IntegerField()
    n_new_verdicts = serializers.IntegerField()
    n_touched = serializers.IntegerField()
    outcomes = serializers.DictField(child=serializers.IntegerField())
    changes = serializers.ListField(child=serializers.DictField())
    is_whole = serializers.BooleanField(help_text="Whether labels were compared, not only counts.")


class ExportListView(APIView):
    """Exports into files, made in the background."""

    @extend_schema(operation_id="exports_list", responses=ExportJobOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        jobs = export_jobs(project=access.project)[:LISTED]
        return Response(ExportJobOutput(jobs, many=True).data)

    @extend_schema(
        operation_id="exports_create", request=ExportJobInput, responses={202: ExportJobOutput}
    )
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        asked = valid(ExportJobInput(data=request.data))
        number = asked.pop("version", None)
        version = get_dataset_version_for(access, number) if number is not None else None
        if "filters" in asked:
            asked["filters"] = filters_of(asked["filters"]).as_json()
        job = export_job_create(project=access.project, user=access.user, version=version, **asked)
        return _accepted("export-job", slug, job, ExportJobOutput(job).data)


class ExportJobView(APIView):
    """One export."""

    @extend_schema(operation_id="exports_read", responses=ExportJobOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        return Response(ExportJobOutput(_export_job(request, slug, public_id)).data)

    @extend_schema(operation_id="exports_delete", responses={204: None})
    def delete(self, request: Request, slug: str, public_id: UUID) -> Response:
        """Remove a finished export with its file."""
        job = _export_job(request, slug, public_id)
        if not job.is_finished:
            raise ConflictError("The export is under way; cancel it first.")
        export_job_delete(job=job)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExportCancelView(APIView):
    """Stop an export; no file stays."""

    @extend_schema(operation_id="exports_cancel", request=None, responses=ExportJobOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = _export_job(request, slug, public_id)
        data_job_cancel(job=job)
        return Response(ExportJobOutput(job).data)


class ExportFileView(APIView):
    """The file of a finished export."""

    @extend_schema(
        operation_id="exports_file",
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (200, "application/json"): OpenApiTypes.ANY,
            (200, "application/gzip"): OpenApiTypes.BINARY,
            (200, "application/zip"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request, slug: str, public_id: UUID) -> StreamingHttpResponse:
        job = _export_job(request, slug, public_id)
        if not job.file:
            raise NotFound("The export has no file yet, or none any more.")
        response = _sent(job.file, job.file_name, "application/octet-stream")
        response["Content-Length"] = str(job.n_bytes)
        response["ETag"] = f'"{job.sha256}"'
        return response


class FreezeListView(APIView):
    """Versions that are frozen in the background."""

    @extend_schema(operation_id="freezes_list", responses=FreezeJobOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        jobs = freeze_jobs(project=access.project)[:LISTED]
        return Response(FreezeJobOutput(jobs, many=True).data)

    @extend_schema(
        operation_id="freezes_create", request=FreezeJobInput, responses={202: FreezeJobOutput}
    )
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        asked = valid(FreezeJobInput(data=request.data))
        job = freeze_job_create(
            project=access.project, user=access.user, label_rule=asked["label_rule"],
            filters=filters_of(asked.get("filters", {})),
        )  # fmt: skip
        return _accepted("freeze-job", slug, job, FreezeJobOutput(job).data)


class FreezeJobView(APIView):
    """One freeze."""

    @extend_schema(operation_id="freezes_read", responses=FreezeJobOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = get_freeze_job_for(get_owned_project_for(request.user, slug), public_id)
        return Response(FreezeJobOutput(job).data)


class FreezeCancelView(APIView):
    """Stop a freeze."""

    @extend_schema(operation_id="freezes_cancel", request=None, responses=FreezeJobOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = get_freeze_job_for(get_owned_project_for(request.user, slug), public_id)
        data_job_cancel(job=job)
        return Response(FreezeJobOutput(job).data)


class VersionView(APIView):
    """One version with its manifest."""

    @extend_schema(operation_id="versions_read", responses=VersionOutput)
    def get(self, request: Request, slug: str, number: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(VersionOutput(get_dataset_version_for(access, number)).data)


class VersionDiffView(APIView):
    """What changed from one version to another."""

    @extend_schema(operation_id="versions_diff", responses=VersionDiffOutput)
    def get(self, request: Request, slug: str, number: int, before: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        diff = version_diff(
            before=get_dataset_version_for(access, before),
            after=get_dataset_version_for(access, number),
        )
        return Response(diff.as_json())


class HubImportView(APIView):
    """Check a data set of the Hugging Face hub; confirm it to import it."""

    @extend_schema(operation_id="imports_hub", request=HubInput, responses={202: ImportOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        asked = valid(HubInput(data=request.data))
        job = import_job_from_hub(project=access.project, user=access.user, **asked)
        return import_accepted(job, slug)


class ImportPreviewView(APIView):
    """The first rows of an uploaded file, its columns, and a guess of what they hold."""

    @extend_schema(operation_id="imports_preview", responses=ImportPreviewOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
        if not job.file:
            raise NotFound("The file is not here yet, or no longer kept.")
        seen = file_preview(Path(job.file.path), job.format, job.mapping or None)
        body = {
            "title": seen.title,
            "columns": [{"name": name, "example": example} for name, example in seen.columns],
            "mapping": seen.proposal,
            "ids": [record.external_id for record in seen.records],
            "errors": seen.errors,
        }
        return Response(ImportPreviewOutput(body).data)


class ImportMappingView(APIView):
    """Check a kept file again with its columns mapped, or in another format."""

    @extend_schema(
        operation_id="imports_remap", request=MappingInput, responses={202: ImportOutput}
    )
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
        asked = valid(MappingInput(data=request.data))
        return import_accepted(import_job_remap(job=job, **asked), slug)


class ImportErrorsView(APIView):
    """Every error of an import by row and field, as CSV."""

    @extend_schema(operation_id="imports_errors", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, slug: str, public_id: UUID) -> StreamingHttpResponse:
        job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
        if not job.error_file:
            raise NotFound("The import has no errors.")
        return _sent(job.error_file, f"{job.file_name}.errors.csv", "text/csv")


def _sent(file: FieldFile, name: str, content_type: str) -> StreamingHttpResponse:
    """Send a stored file; it is opened with the first block, so that a HEAD opens none."""
    response = StreamingHttpResponse(_blocks(file), content_type=content_type)
    response["Content-Disposition"] = str(
        content_disposition_header(as_attachment=True, filename=name)
    )
    return response


def _blocks(file: FieldFile) -> Iterator[bytes]:
    with file.open("rb") as stream:
        yield from stream.chunks()


def _export_job(request: Request, slug: str, public_id: UUID) -> ExportJob:
    return get_export_job_for(get_owned_project_for(request.user, slug), public_id)


def _accepted(name: str, slug: str, job: ExportJob | FreezeJob, body: Any) -> Response:
    place = reverse(f"annotate_api:{name}", args=[slug, job.public_id])
    return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": place})


project_urls = [
    # /api/v1/projects/<slug>/…
    path("exports", ExportListView.as_view(), name="export-list"),
    path("exports/<uuid:public_id>", ExportJobView.as_view(), name="export-job"),
    path("exports/<uuid:public_id>/cancel", ExportCancelView.as_view(), name="export-cancel"),
    path("exports/<uuid:public_id>/file", ExportFileView.as_view(), name="export-file"),
    path("freezes", FreezeListView.as_view(), name="freeze-list"),
    path("freezes/<uuid:public_id>", FreezeJobView.as_view(), name="freeze-job"),
    path("freezes/<uuid:public_id>/cancel", FreezeCancelView.as_view(), name="freeze-cancel"),
    path("versions/<int:number>", VersionView.as_view(), name="version"),
    path(
        "versions/<int:number>/since/<int:before>", VersionDiffView.as_view(), name="version-diff"
    ),
    path("imports/hub", HubImportView.as_view(), name="import-hub"),
    path("imports/<uuid:public_id>/preview", ImportPreviewView.as_view(), name="import-preview"),
    path("imports/<uuid:public_id>/mapping", ImportMappingView.as_view(), name="import-mapping"),
    path("imports/<uuid:public_id>/errors", ImportErrorsView.as_view(), name="import-errors"),
]
