"""Label audits and data filters."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.views.common import page_context
from modeling.access import get_audit_run_for, get_filter_run_for
from modeling.audit_selectors import (
    audit_counts,
    chosen_findings,
    findings_shown,
    latest_audit,
)
from modeling.models import AuditFinding, AuditRun, FilterRun, Job
from modeling.reward_forms import AuditForm, FilterForm, rules_in_words
from modeling.services import audits, filters
from modeling.services.jobs import job_cancel

PAGE_SIZE = 25
KINDS = dict(AuditFinding.Finding.choices)
REOPEN = "reopen"


@require_safe
@login_required
def audit_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the findings of the newest audit, and the data filters."""
    return _page(request, get_owned_project_for(request.user, slug))


@require_POST
@login_required
def audit_run_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Start an audit."""
    access = get_owned_project_for(request.user, slug)
    form = AuditForm(request.POST)
    if not form.is_valid():
        return _page(request, access, status=422, form=form)
    try:
        audits.audit_run_start(project=access.project, user=access.user, **form.cleaned_data)
    except ApplicationError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return _page(request, access, status=422, form=form)
    return redirect("modeling:audit", slug)


@require_safe
@login_required
def audit_run(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Answer a page that waits for an audit."""
    access = get_owned_project_for(request.user, slug)
    return _job_partial(request, access, get_audit_run_for(access, public_id), "modeling:audit-run")


@require_POST
@login_required
def audit_run_cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Ask an audit to stop."""
    job_cancel(get_audit_run_for(get_owned_project_for(request.user, slug), public_id))
    return redirect("modeling:audit", slug)


@require_POST
@login_required
def findings_decide(request: HttpRequest, slug: str) -> HttpResponse:
    """Send, soften or keep the chosen findings, or take that back."""
    access = get_owned_project_for(request.user, slug)
    findings = chosen_findings(access.project, request.POST.getlist("finding"))
    decision = request.POST.get("decision", "")
    try:
        if decision == REOPEN:
            count = audits.findings_reopen(findings=findings, user=access.user)
        else:
            count = audits.findings_decide(findings=findings, decision=decision, user=access.user)
    except ApplicationError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _told(decision, count))
    kind = request.POST.get("kind", "")
    shown = f"?kind={kind}" if kind in KINDS else ""
    return redirect(f"{reverse('modeling:audit', args=[slug])}{shown}#findings")


@require_POST
@login_required
def filter_run_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Work out a set of filters and switch them on."""
    access = get_owned_project_for(request.user, slug)
    form = FilterForm(request.POST)
    if form.is_valid():
        try:
            filters.filter_run_start(project=access.project, user=access.user, rules=form.rules())
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return redirect(f"{reverse('modeling:audit', args=[slug])}#filters")
    return _page(request, access, status=422, filter_form=form)


@require_safe
@login_required
def filter_run(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Answer a page that waits for filters."""
    access = get_owned_project_for(request.user, slug)
    run = get_filter_run_for(access, public_id)
    return _job_partial(request, access, run, "modeling:filter-run")


@require_POST
@login_required
def filter_run_switch(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Switch filters on or off."""
    access = get_owned_project_for(request.user, slug)
    run = get_filter_run_for(access, public_id)
    try:
        filters.filter_run_switch(
            run=run, is_active=request.POST.get("on") == "1", user=access.user
        )
    except ApplicationError as error:
        messages.error(request, error.message)
    return redirect(f"{reverse('modeling:audit', args=[slug])}#filters")


def _page(
    request: HttpRequest, access: Access, *, status: int = 200, **replaced: Any
) -> HttpResponse:
    project = access.project
    audit = latest_audit(project)
    kind = request.GET.get("kind", "wrong")
    kind = kind if kind in KINDS else "wrong"
    shown = findings_shown(audit, kind) if audit else AuditFinding.objects.none()
    runs = AuditRun.objects.filter(project=project)
    filter_runs = list(FilterRun.objects.filter(project=project)[:10])
    context = page_context(access, nav="models") | {
        "form": AuditForm(),
        "filter_form": FilterForm(),
        "audit": audit,
        "audit_counts": audit_counts(audit) if audit else [],
        "last_run": runs.first(),
        "live_audit": _live(list(runs[:1])),
        "kind": kind,
        "query": f"kind={kind}",
        "page_obj": Paginator(shown, PAGE_SIZE).get_page(request.GET.get("page")),
        "filter_runs": [
            (run, rules_in_words(run.rules), filters.reason_counts(run)) for run in filter_runs
        ],
        "live_filters": _live(filter_runs),
    }
    return render(request, "modeling/audit.html", context | replaced, status=status)


def _live(runs: list[Any]) -> Any:
    return next((run for run in runs if not run.is_finished), None)


def _job_partial(request: HttpRequest, access: Access, run: Job, name: str) -> HttpResponse:
    context = page_context(access, nav="models") | {
        "job": run,
        "percent": round(100 * run.progress),
        "job_url": reverse(name, args=[access.project.slug, run.public_id]),
    }
    response = render(request, "modeling/partials/_job.html", context)
    if run.is_finished:
        response["HX-Refresh"] = "true"
    return response


def _told(decision: str, count: int) -> str:
    what = f"{count:,} comparison{'' if count == 1 else 's'}"
    done = {
        AuditFinding.Decision.SENT: "sent to a second person",
        AuditFinding.Decision.SOFTENED: "made soft for the next training",
        AuditFinding.Decision.KEPT: "kept as labelled",
        REOPEN: "open again",
    }
    return f"{what} {done[decision]}." if count else "Nothing was chosen that could change."
