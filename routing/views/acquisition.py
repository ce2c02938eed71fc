"""The acquisition page: start a round, see what was picked and why."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.models import JobState
from annotate.views.common import page_context
from modeling.selectors import latest_reward_model
from modeling.services.jobs import job_cancel
from routing.access import get_round_for
from routing.acquisition_figures import coverage_spec, latest_streams, streams_spec
from routing.choices import RANDOM_STRATEGY
from routing.forms import PlanForm, RoundForm
from routing.frontier import uncertainty_spec
from routing.selectors import candidates_of, picks_of, rounds_of
from routing.services.acquisition_plans import acquisition_plan_save, plan_next_round, plan_of
from routing.services.rounds import acquisition_round_start
from routing.views.jobs import job_partial


@require_safe
@login_required
def acquisition_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show every round and the picks of one."""
    return _page(request, get_owned_project_for(request.user, slug))


@require_POST
@login_required
def round_start(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue a round."""
    access = get_owned_project_for(request.user, slug)
    form = RoundForm(request.POST)
    if not form.is_valid():
        return _page(request, access, status=422, form=form)
    try:
        acquisition_round_start(project=access.project, user=access.user, **form.values())
    except ApplicationError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return _page(request, access, status=422, form=form)
    return redirect("routing:acquisition", slug)


@require_POST
@login_required
def plan_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Change how rounds follow one another."""
    access = get_owned_project_for(request.user, slug)
    form = PlanForm(request.POST, prefix="plan")
    if not form.is_valid():
        return _page(request, access, status=422, plan_form=form)
    try:
        acquisition_plan_save(project=access.project, user=access.user, **form.values())
    except ApplicationError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return _page(request, access, status=422, plan_form=form)
    messages.success(request, "The plan is saved.")
    return redirect("routing:acquisition", slug)


@require_POST
@login_required
def plan_to_random(request: HttpRequest, slug: str) -> HttpResponse:
    """Follow the gate's proposal: choose at random from the next round on."""
    access = get_owned_project_for(request.user, slug)
    acquisition_plan_save(project=access.project, user=access.user, strategy=RANDOM_STRATEGY)
    messages.success(request, "The next rounds of the plan are drawn at random.")
    return redirect("routing:acquisition", slug)


@require_safe
@login_required
def round_progress(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """How far a round is."""
    access = get_owned_project_for(request.user, slug)
    return job_partial(request, access, get_round_for(access, number))


@require_POST
@login_required
def round_cancel(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Ask a round to stop."""
    job_cancel(get_round_for(get_owned_project_for(request.user, slug), number))
    return redirect("routing:acquisition", slug)


def _page(
    request: HttpRequest, access: Access, *, status: int = 200, **replaced: Any
) -> HttpResponse:
    rounds = list(rounds_of(project=access.project))
    done = [row for row in rounds if row.state == JobState.DONE]
    wanted = request.GET.get("round", "")
    shown = next((row for row in done if str(row.number) == wanted), done[0] if done else None)
    compared = latest_streams(done)
    context = page_context(access, nav="acquisition") | {
        "plan": (plan := plan_of(access.project)),
        "form": RoundForm.of(plan_next_round(plan=plan)),
        "plan_form": PlanForm.of(plan),
        "rounds": rounds,
        "running": next((row for row in rounds if not row.is_finished), None),
        "reward_model": latest_reward_model(access.project),
        "n_candidates": candidates_of(project=access.project, by_pairs=True).count(),
        "has_many": access.project.comparisons.filter(n_responses__gt=2).exists(),
        "uncertainty": uncertainty_spec(done),
        "coverage": coverage_spec(done),
        "compared": compared,
        "streams": streams_spec(compared),
        "shown": shown,
        "query": f"round={shown.number}" if shown else "",
        "page_obj": _picks(request, shown) if shown else None,
    }
    return render(request, "routing/acquisition.html", context | replaced, status=status)


def _picks(request: HttpRequest, shown: Any) -> Any:
    return Paginator(picks_of(acquisition_round=shown), 25).get_page(request.GET.get("page"))
