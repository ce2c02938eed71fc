"""Data in, frozen, and out."""

from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.middleware import HtmxDetails

from annotate.access import Access, get_import_job_for, get_owned_project_for
from annotate.data_forms import ExportForm, HubForm, ImportForm, MappingForm, VersionForm
from annotate.errors import ApplicationError
from annotate.formats.preview import FilePreview, file_preview
from annotate.formats.registry import AUTO, MAPPED
from annotate.models import ImportJob, JobState
from annotate.selectors.datasets import (
    dataset_versions,
    error_groups,
    export_jobs,
    freeze_jobs,
    import_jobs,
)
from annotate.services.freeze_jobs import freeze_job_create, freeze_needs_job
from annotate.services.import_jobs import (
    import_job_cancel,
    import_job_confirm,
    import_job_create,
    import_job_progress,
)
from annotate.services.version_links import version_links
from annotate.services.versions import dataset_version_create
from annotate.views.common import page_context

JOBS_SHOWN = 10


class HtmxRequest(HttpRequest):
    """A request that knows whether htmx sent it."""

    htmx: HtmxDetails


def data_page_response(
    request: HttpRequest,
    access: Access,
    *,
    import_form: ImportForm | None = None,
    hub_form: HubForm | None = None,
    version_form: VersionForm | None = None,
    export_form: ExportForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """The data page, with a form in which something was wrong."""
    versions = list(dataset_versions(project=access.project))
    if export_form is None:
        export_form = ExportForm()
        export_form.offer_versions(versions)
    links = version_links(access.project)
    export_url = reverse("annotate_api:export", args=[access.project.slug])
    context = page_context(access, nav="data") | {
        "import_form": import_form or ImportForm(),
        "hub_form": (hub_form or HubForm()) if settings.HUB_IMPORTS else None,
        "version_form": version_form or VersionForm(),
        "freezes": freeze_jobs(project=access.project)[:JOBS_SHOWN],
        "exports": export_jobs(project=access.project)[:JOBS_SHOWN],
        "export_form": export_form,
        "export_url": export_url,
        "export_example": request.build_absolute_uri(f"{export_url}?format=trl-preference"),
        "jobs": import_jobs(project=access.project)[:JOBS_SHOWN],
        "versions": [(version, links.get(version.number, [])) for version in versions],
    }
    return render(request, "annotate/data.html", context, status=status)


@require_safe
@login_required
def data_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show imports, versions and exports of the project."""
    return data_page_response(request, get_owned_project_for(request.user, slug))


@require_POST
@login_required
def import_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a file and check it; nothing is written before its owner has seen the result."""
    access = get_owned_project_for(request.user, slug)
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return data_page_response(request, access, import_form=form, status=422)
    try:
        job = import_job_create(
            project=access.project, user=access.user, dry_run=True, **form.cleaned_data
        )
    except ApplicationError as error:
        form.add_error(error.field or None, error.message)
        return data_page_response(request, access, import_form=form, status=422)
    return redirect("annotate:import-job", slug, job.public_id)


@require_safe
@login_required
def import_job(request: HtmxRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Show what a file holds, how far its import is, and its errors."""
    access = get_owned_project_for(request.user, slug)
    job = get_import_job_for(access, public_id)
    context = page_context(access, nav="data") | _job_context(job)
    if request.htmx:
        return render(request, "annotate/partials/_import_state.html", context)
    context["preview"] = preview = job_preview(job)
    if preview.columns and (job.format in (AUTO, MAPPED) or not preview.records):
        columns = [name for name, _ in preview.columns]
        initial = job.mapping or preview.proposal
        context["mapping_form"] = MappingForm(columns=columns, initial=initial)
    return render(request, "annotate/import_job.html", context)


def job_preview(job: ImportJob) -> FilePreview:
    """The first rows of a job's file, once there is one."""
    if not job.file:
        return FilePreview("Not fetched yet", [], [])
    return file_preview(Path(job.file.path), job.format, job.mapping)


def _job_context(job: ImportJob) -> dict[str, object]:
    return {
        "job": job,
        "is_finished": job.state in JobState.finished(),
        "can_confirm": job.dry_run
        and job.state == JobState.DONE
        and job.n_created + job.n_preferences > 0,
        "import_progress": import_job_progress(job=job),
        "error_groups": error_groups(job),
        "n_more_errors": job.n_errors - len(job.errors),
    }


@require_POST
@login_required
def import_confirm(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Import for real what the check found to be right."""
    job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
    try:
        import_job_confirm(job=job)
    except ApplicationError as error:
        messages.error(request, error.message)
    return redirect("annotate:import-job", slug, public_id)


@require_POST
@login_required
def import_cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Stop an import; nothing of it stays."""
    job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
    if import_job_cancel(job=job):
        messages.success(request, "The import is cancelled. Nothing of it was kept.")
    return redirect("annotate:import-job", slug, public_id)


@require_POST
@login_required
def version_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Freeze what is labelled now."""
    access = get_owned_project_for(request.user, slug)
    form = VersionForm(request.POST)
    if not form.is_valid():
        return data_page_response(request, access, version_form=form, status=422)
    asked = {"label_rule": form.cleaned_data["label_rule"], "filters": form.filters()}
    try:
        if freeze_needs_job(project=access.project, label_rule=asked["label_rule"]):
            job = freeze_job_create(project=access.project, user=access.user, **asked)
            return redirect("annotate:freeze-job", slug, job.public_id)
        version = dataset_version_create(project=access.project, user=access.user, **asked)
    except ApplicationError as error:
        form.add_error(error.field or None, error.message)
        return data_page_response(request, access, version_form=form, status=422)
    messages.success(request, f"Version {version} holds {version.n_rows:,} rows.")
    return redirect(reverse("annotate:data", args=[slug]) + "#versions")
