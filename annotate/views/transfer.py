"""Data in and out, step by step: mapping, versions and their differences, background exports."""

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from annotate.access import (
    get_dataset_version_for,
    get_export_job_for,
    get_freeze_job_for,
    get_import_job_for,
    get_owned_project_for,
)
from annotate.data_forms import ExportForm, HubForm, MappingForm, asked_in_words
from annotate.errors import ApplicationError
from annotate.selectors.datasets import dataset_versions, manifest_rows
from annotate.selectors.filters import filters_of
from annotate.services.data_jobs import data_job_cancel
from annotate.services.export_jobs import export_job_create, export_job_delete
from annotate.services.exports import export_open
from annotate.services.import_jobs import import_job_from_hub, import_job_remap
from annotate.services.version_diffs import version_diff
from annotate.services.version_links import version_links
from annotate.views.common import page_context
from annotate.views.data import HtmxRequest, data_page_response, job_preview


@require_POST
@login_required
def hub_import_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Check a data set of the Hugging Face hub."""
    access = get_owned_project_for(request.user, slug)
    form = HubForm(request.POST)
    if not form.is_valid():
        return data_page_response(request, access, hub_form=form, status=422)
    try:
        job = import_job_from_hub(project=access.project, user=access.user, **form.cleaned_data)
    except ApplicationError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return data_page_response(request, access, hub_form=form, status=422)
    return redirect("annotate:import-job", slug, job.public_id)


@require_POST
@login_required
def import_map(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Check a file again with its columns mapped by hand."""
    access = get_owned_project_for(request.user, slug)
    job = get_import_job_for(access, public_id)
    columns = [name for name, _ in job_preview(job).columns]
    form = MappingForm(request.POST, columns=columns)
    if not form.is_valid():
        messages.error(request, "Choose the column that holds the prompt.")
        return redirect("annotate:import-job", slug, public_id)
    try:
        import_job_remap(job=job, mapping=form.mapping())
    except ApplicationError as error:
        messages.error(request, error.message)
    return redirect("annotate:import-job", slug, public_id)


@require_safe
@login_required
def import_errors(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponseBase:
    """Download every error of an import by row and field."""
    job = get_import_job_for(get_owned_project_for(request.user, slug), public_id)
    if not job.error_file:
        raise Http404("The import has no errors.")
    return FileResponse(
        job.error_file.open("rb"), as_attachment=True, filename=f"{job.file_name}.errors.csv"
    )


@require_safe
@login_required
def version_page(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show what a version holds, where it comes from and what was made of it."""
    access = get_owned_project_for(request.user, slug)
    version = get_dataset_version_for(access, number)
    others = [other for other in dataset_versions(project=access.project) if other != version]
    context = page_context(access, nav="data") | {
        "version": version,
        "figures": manifest_rows(version),
        "filters": filters_of(version.manifest.get("filters", {})).in_words(),
        "parents": version.manifest.get("parents", []),
        "links": version_links(access.project).get(number, []),
        "others": others,
        "export_url": reverse("annotate_api:export", args=[slug]),
    }
    return render(request, "annotate/version.html", context)


@require_safe
@login_required
def manifest(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Download a version's manifest."""
    access = get_owned_project_for(request.user, slug)
    version = get_dataset_version_for(access, number)
    content = {
        "project": slug,
        "number": version.number,
        "content_hash": version.content_hash,
        "created_at": version.created_at.isoformat(),
        **version.manifest,
    }
    response = JsonResponse(content, json_dumps_params={"indent": 2, "ensure_ascii": False})
    name = f"{slug}-v{version.number}-manifest.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_safe
@login_required
def version_diff_page(request: HttpRequest, slug: str, number: int, before: int) -> HttpResponse:
    """Show what changed from one version to another."""
    access = get_owned_project_for(request.user, slug)
    diff = version_diff(
        before=get_dataset_version_for(access, before),
        after=get_dataset_version_for(access, number),
    )
    context = page_context(access, nav="data") | {"diff": diff}
    return render(request, "annotate/version_diff.html", context)


@require_safe
@login_required
def freeze_job(request: HtmxRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Show how far the freezing of a version is."""
    access = get_owned_project_for(request.user, slug)
    job = get_freeze_job_for(access, public_id)
    context = page_context(access, nav="data") | {"job": job}
    part = "annotate/partials/_freeze_state.html"
    return render(request, part if request.htmx else "annotate/freeze_job.html", context)


@require_POST
@login_required
def freeze_cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Stop freezing."""
    job = get_freeze_job_for(get_owned_project_for(request.user, slug), public_id)
    data_job_cancel(job=job)
    return redirect("annotate:freeze-job", slug, public_id)


@require_POST
@login_required
def export_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Download at once, or begin an export in the background."""
    access = get_owned_project_for(request.user, slug)
    form = ExportForm(request.POST)
    form.offer_versions(list(dataset_versions(project=access.project)))
    if not form.is_valid():
        return data_page_response(request, access, export_form=form, status=422)
    number, options = form.cleaned_data["version"], form.options()
    version = get_dataset_version_for(access, number) if number else None
    try:
        if request.POST.get("now"):
            export_open(project=access.project, version=version, **options)
            return redirect(f"{reverse('annotate_api:export', args=[slug])}?{_query(form)}")
        job = export_job_create(
            project=access.project, user=access.user, version=version, **options
        )
    except ApplicationError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return data_page_response(request, access, export_form=form, status=422)
    return redirect("annotate:export-job", slug, job.public_id)


def _query(form: ExportForm) -> str:
    options = {**form.options(), "version": form.cleaned_data["version"]}
    options["columns"] = ",".join(options["columns"])
    return urlencode({name: value for name, value in options.items() if value})


@require_safe
@login_required
def export_job(request: HtmxRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Show how far an export is, and where its file lies."""
    access = get_owned_project_for(request.user, slug)
    job = get_export_job_for(access, public_id)
    context = page_context(access, nav="data") | {
        "job": job,
        "n_written": job.n_done * 1024,
        "asked": asked_in_words(job.options),
    }
    part = "annotate/partials/_export_state.html"
    return render(request, part if request.htmx else "annotate/export_job.html", context)


@require_safe
@login_required
def export_file(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponseBase:
    """Download the file of a finished export, wherever it is stored."""
    job = get_export_job_for(get_owned_project_for(request.user, slug), public_id)
    if not job.file:
        raise Http404("The export has no file.")
    response = FileResponse(job.file.open("rb"), as_attachment=True, filename=job.file_name)
    response["ETag"] = f'"{job.sha256}"'
    return response


@require_POST
@login_required
def export_cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Stop an export; no file stays."""
    job = get_export_job_for(get_owned_project_for(request.user, slug), public_id)
    data_job_cancel(job=job)
    return redirect("annotate:export-job", slug, public_id)


@require_POST
@login_required
def export_delete(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Remove an export with its file."""
    job = get_export_job_for(get_owned_project_for(request.user, slug), public_id)
    if job.is_finished:
        export_job_delete(job=job)
        messages.success(request, "The file is gone.")
    return redirect(reverse("annotate:data", args=[slug]) + "#export")
