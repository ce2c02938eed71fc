"""Judges: who they are, how good, what they cost, and asking them."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_comparison_for, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.models import Comparison
from annotate.views.common import page_context
from modeling.access import get_judge_for, get_judge_run_for
from modeling.charts import judges_chart
from modeling.forms import JudgeForm, JudgeRunForm
from modeling.models import Judge
from modeling.selectors import judge_accuracy, judge_runs
from modeling.services.jobs import job_cancel
from modeling.services.judge_runs import (
    judge_run_candidates,
    judge_run_estimate,
    judge_run_start,
)
from modeling.services.judges import judge_create, judge_preview, judges_refresh

RUNS_SHOWN = 10


@require_safe
@login_required
def judge_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show every judge beside the people; figures are measured in the background."""
    access = get_owned_project_for(request.user, slug)
    measuring = judges_refresh(project=access.project)
    runs = list(judge_runs(access.project)[:RUNS_SHOWN])
    figures = judge_accuracy(access.project)
    context = page_context(access, nav="judges") | {
        "figures": figures,
        "chart": judges_chart(figures),
        "measuring": measuring,
        "runs": runs,
        "live_runs": [run for run in runs if not run.is_finished],
    }
    return render(request, "modeling/judges.html", context)


@require_safe
@login_required
def judges_measuring(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer a waiting page: the same notice, or a reload once the figures are there."""
    access = get_owned_project_for(request.user, slug)
    measuring = judges_refresh(project=access.project)
    context = page_context(access, nav="judges") | {"measuring": measuring}
    response = render(request, "modeling/partials/_measuring.html", context)
    if not measuring:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@login_required
def judges_measure(request: HttpRequest, slug: str) -> HttpResponse:
    """Measure the judges again now."""
    access = get_owned_project_for(request.user, slug)
    judges_refresh(project=access.project, force=True)
    return redirect("modeling:judges", slug)


@login_required
def judge_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Add an endpoint as a judge."""
    access = get_owned_project_for(request.user, slug)
    form = JudgeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            judge = judge_create(project=access.project, user=access.user, **form.cleaned_data)
        except ApplicationError as error:
            form.add_error(error.field or None, error.message)
        else:
            messages.success(request, f"{judge} is added. Test it with one comparison.")
            return redirect("modeling:judge", slug, judge.pk)
    context = page_context(access, nav="judges") | {"form": form}
    status = 422 if request.method == "POST" else 200
    return render(request, "modeling/judge_form.html", context, status=status)


@require_safe
@login_required
def judge_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one judge: figures, the exact prompt, and what a run would cost."""
    access = get_owned_project_for(request.user, slug)
    judge = get_judge_for(access, pk)
    return _judge_page(request, access, judge, JudgeRunForm())


@require_POST
@login_required
def judge_run_create(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Start a run, or say why not."""
    access = get_owned_project_for(request.user, slug)
    judge = get_judge_for(access, pk)
    form = JudgeRunForm(request.POST)
    if form.is_valid():
        try:
            judge_run_start(judge=judge, user=access.user, **form.cleaned_data)
        except ApplicationError as error:
            form.add_error(None, error.message)
        else:
            return redirect("modeling:judge", slug, judge.pk)
    return _judge_page(request, access, judge, form, status=422)


@require_safe
@login_required
def judge_estimate(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Say what a run of the given size would send and cost."""
    access = get_owned_project_for(request.user, slug)
    judge = get_judge_for(access, pk)
    form = JudgeRunForm(request.GET)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        n_comparisons = form.cleaned_data["n_comparisons"]
        chosen = judge_run_candidates(judge=judge, n_comparisons=n_comparisons)
        context["estimate"] = judge_run_estimate(judge=judge, comparison_ids=chosen)
    return render(request, "modeling/partials/_estimate.html", context)


@require_safe
@login_required
def judge_run(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Answer a page that waits for a run."""
    access = get_owned_project_for(request.user, slug)
    run = get_judge_run_for(access, public_id)
    context = page_context(access, nav="judges") | {"run": run}
    response = render(request, "modeling/partials/_judge_run.html", context)
    if run.is_finished:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@login_required
def judge_run_cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Ask a run to stop; what it has paid for is kept."""
    access = get_owned_project_for(request.user, slug)
    run = get_judge_run_for(access, public_id)
    job_cancel(run)
    return redirect("modeling:judge", slug, run.judge_id)


def _judge_page(
    request: HttpRequest, access: Access, judge: Judge, form: JudgeRunForm, *, status: int = 200
) -> HttpResponse:
    comparison = _previewed(request, access)
    figures = [row for row in judge_accuracy(access.project) if row.judge == judge]
    runs = list(judge_runs(access.project).filter(judge=judge)[:RUNS_SHOWN])
    context = page_context(access, nav="judges") | {
        "judge": judge,
        "figures": figures[0] if figures else None,
        # What recorded verdicts once cost is not known.
        "cost": figures[0].cost_usd if figures and judge.base_url else None,
        "form": form,
        "runs": runs,
        "live_runs": [run for run in runs if not run.is_finished],
        "comparison": comparison,
        "preview": judge_preview(judge=judge, comparison=comparison) if comparison else [],
    }
    return render(request, "modeling/judge.html", context, status=status)


def _previewed(request: HttpRequest, access: Access) -> Comparison | None:
    asked = request.GET.get("comparison", "")
    if asked.isdecimal():
        comparison = get_comparison_for(access, int(asked))
        return comparison if comparison.n_responses == 2 else None
    pairs = Comparison.objects.filter(project=access.project, n_responses=2)
    return pairs.select_related("prompt").order_by("pk").first()
