"""Reward models: training, live progress, and how good they are on held-out human labels."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.views.common import page_context
from modeling.access import get_reward_model_for, get_training_run_for
from modeling.charts import learning_curve_chart, reliability_chart
from modeling.forms import TrainForm
from modeling.models import RewardModel, TrainingRun
from modeling.selectors import latest_reward_model, model_figures, reward_models, training_runs
from modeling.services.jobs import job_cancel
from modeling.services.training import training_run_start

RUNS_SHOWN = 10


@require_safe
@login_required
def model_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the newest model, the form for the next one, and all before."""
    access = get_owned_project_for(request.user, slug)
    return _models_page(request, access, TrainForm(), latest_reward_model(access.project))


@require_safe
@login_required
def model_detail(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show one model on the same page."""
    access = get_owned_project_for(request.user, slug)
    return _models_page(request, access, TrainForm(), get_reward_model_for(access, number))


@require_POST
@login_required
def training_run_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Start training, or say what is missing."""
    access = get_owned_project_for(request.user, slug)
    form = TrainForm(request.POST)
    if form.is_valid():
        try:
            training_run_start(project=access.project, user=access.user, **form.cleaned_data)
        except ApplicationError as error:
            form.add_error(None, error.message)
        else:
            return redirect("modeling:models", slug)
    return _models_page(request, access, form, latest_reward_model(access.project), status=422)


@require_safe
@login_required
def training_run(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Answer a page that waits for a training run."""
    access = get_owned_project_for(request.user, slug)
    run = get_training_run_for(access, public_id)
    context = page_context(access, nav="models") | _run_context(run)
    response = render(request, "modeling/partials/_training_run.html", context)
    if run.is_finished:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@login_required
def training_run_cancel(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Ask a training run to stop."""
    access = get_owned_project_for(request.user, slug)
    job_cancel(get_training_run_for(access, public_id))
    return redirect("modeling:models", slug)


def _models_page(
    request: HttpRequest,
    access: Access,
    form: TrainForm,
    model: RewardModel | None,
    *,
    status: int = 200,
) -> HttpResponse:
    runs = list(training_runs(access.project)[:RUNS_SHOWN])
    live = next((run for run in runs if not run.is_finished), None)
    context = page_context(access, nav="models") | {
        "form": form,
        "model": model,
        "figures": model_figures(model) if model else None,
        "models": [(row, model_figures(row)) for row in reward_models(access.project)],
        "runs": runs,
        **_run_context(live),
    }
    if model is not None:
        curve = model.training_run.curve
        context["learning_curve"] = learning_curve_chart(curve, model.metrics)
        context["reliability"] = reliability_chart(model.metrics)
    return render(request, "modeling/models.html", context, status=status)


def _run_context(run: TrainingRun | None) -> dict[str, object]:
    if run is None:
        return {"run": None}
    return {
        "run": run,
        "percent": round(100 * run.progress),
        "live_curve": learning_curve_chart(run.curve, {}),
    }
