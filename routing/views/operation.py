"""Operation of routing: pilot, groups of people, tagging, audit, drift, the next dollars."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.models import Annotator
from modeling.services.jobs import job_cancel
from routing.access import get_arm_for, get_tagging_for
from routing.forms import ArmForm, PilotForm, TaggingForm
from routing.models import RoutingStudy
from routing.next_dollars import next_dollars_of
from routing.reports import audit_report, drift_alarms
from routing.selectors import Pool, active_batch, judges_of, latest_done_study, pilot_of
from routing.services.arms import arm_create, arm_delete
from routing.services.pilots import RECOMMENDED, routing_pilot_start
from routing.services.tagging import tagging_run_start
from routing.views.jobs import job_partial
from routing.weighted_audit import pool_contradictions


def operation_context(
    request: HttpRequest,
    access: Access,
    study: RoutingStudy | None,
    judge: Annotator,
    pool: Pool,
) -> dict[str, Any]:
    """What the page says about pilot, audit, drift and the next dollars."""
    project = access.project
    pilot = pilot_of(project=project, judge=judge)
    missing = max(RECOMMENDED - pilot.n_comparisons, 0)
    audit = audit_report(project=project, judge=judge)
    batch = active_batch(project=project)
    return {
        "pilot_form": PilotForm(initial={"n": min(missing or RECOMMENDED, pool.n_comparisons)}),
        "pilot_recommended": RECOMMENDED,
        "pilot_missing": missing,
        "pilot_price_usd": (pool.human_price_usd + pool.judge_price_usd) * missing,
        "audit": audit,
        "alarms": drift_alarms(study=study, batch=batch, audit=audit),
        "next": study and next_dollars_of(study=study, pool=pool, worth_pp=_worth(request)),
        "pool_share": batch and pool_contradictions(batch=batch, judge=judge),
        "arms": project.routing_arms.all(),
        "arm_form": ArmForm(),
        "tagging_form": TaggingForm(project=project),
        "tagging": project.tagging_runs.order_by("-created_at").first(),
    }


def _worth(request: HttpRequest) -> float:
    """The smallest gain that $100 must buy, in points; nonsense counts as any gain."""
    try:
        return max(float(request.GET.get("worth", "0")), 0.0)
    except ValueError:
        return 0.0


@require_POST
@login_required
def pilot_start(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue the draw of a pilot."""
    access = get_owned_project_for(request.user, slug)
    form = PilotForm(request.POST)
    study = latest_done_study(project=access.project)
    judge = study.judge if study else judges_of(project=access.project).first()
    if judge is None or not form.is_valid():
        messages.error(request, f"The pilot was not drawn. {_errors(form)}")
        return redirect("routing:routing", slug)
    try:
        routing_pilot_start(
            project=access.project, judge=judge, user=access.user, **form.cleaned_data
        )
    except ApplicationError as error:
        messages.error(request, error.message)
    return redirect("routing:routing", slug)


@require_POST
@login_required
def arm_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Describe a group of people."""
    access = get_owned_project_for(request.user, slug)
    form = ArmForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"The group was not added. {_errors(form)}")
        return redirect("routing:routing", slug)
    try:
        arm_create(project=access.project, user=access.user, **form.cleaned_data)
    except ApplicationError as error:
        messages.error(request, error.message)
    return redirect("routing:routing", slug)


@require_POST
@login_required
def arm_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Forget a group of people; what was decided stays."""
    access = get_owned_project_for(request.user, slug)
    arm_delete(arm=get_arm_for(access, pk), user=access.user)
    return redirect("routing:routing", slug)


@require_POST
@login_required
def tagging_start(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue a run that describes prompts."""
    access = get_owned_project_for(request.user, slug)
    form = TaggingForm(request.POST, project=access.project)
    if not form.is_valid():
        messages.error(request, f"Nothing was started. {_errors(form)}")
        return redirect("routing:routing", slug)
    try:
        tagging_run_start(project=access.project, user=access.user, **form.cleaned_data)
    except ApplicationError as error:
        messages.error(request, error.message)
    return redirect("routing:routing", slug)


@require_safe
@login_required
def tagging_progress(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """How far a tagging run is."""
    access = get_owned_project_for(request.user, slug)
    return job_partial(request, access, get_tagging_for(access, pk))


@require_POST
@login_required
def tagging_cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask a tagging run to stop."""
    job_cancel(get_tagging_for(get_owned_project_for(request.user, slug), pk))
    return redirect("routing:routing", slug)


def _errors(form: Any) -> str:
    """The form's complaints in one line, each with its field."""
    return " ".join(
        f"{form.fields[name].label or name}: {' '.join(problems)}" if name in form.fields
        else " ".join(problems)
        for name, problems in form.errors.items()
    )  # fmt: skip
