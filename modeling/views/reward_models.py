"""Reward models: training, live progress, and how good they are on held-out human labels."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.models import JobState
from annotate.views.common import page_context
from modeling.access import get_reward_model_for, get_training_run_for
from modeling.artifact_list import artifact_names
from modeling.charts import learning_curve_chart, reliability_chart
from modeling.model_report_rows import bias_rows, repetitions, slice_groups, source_rows
from modeling.models import GateRun, OutsideTest, RewardModel, TrainingRun
from modeling.outside_rows import outside_rows
from modeling.reward_charts import best_of_n_chart, gates_chart, loss_chart, sources_chart
from modeling.reward_forms import FineTuneForm, OutsideTestForm, TrainForm
from modeling.selectors import (
    model_figures,
    newest_model,
    promoted_model,
    promotion_stack,
    reward_models,
    training_runs,
)
from modeling.services import training
from modeling.services.curation import parameters_shown
from modeling.services.outside_tests import testable_projects
from modeling.services.scoring import n_unscored

RUNS_SHOWN = 10


@require_safe
@login_required
def model_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the newest model, the forms for the next one, and all before."""
    return _list_page(request, get_owned_project_for(request.user, slug))


@require_safe
@login_required
def model_detail(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show everything that is known of one model."""
    access = get_owned_project_for(request.user, slug)
    model = get_reward_model_for(access, number)
    context = page_context(access, nav="models") | _model_context(model) | _gates_context(model)
    context |= _outside_context(model, access.user)
    return render(request, "modeling/model.html", context)


@require_POST
@login_required
def training_run_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Start training heads, or say what is missing."""
    access = get_owned_project_for(request.user, slug)
    form = TrainForm(request.POST)
    if form.is_valid():
        try:
            training.training_run_start(
                project=access.project, user=access.user, **form.cleaned_data
            )
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return redirect("modeling:models", slug)
    return _list_page(request, access, status=422, form=form)


@require_POST
@login_required
def fine_tuning_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Start a fine-tuning, or say what is missing."""
    access = get_owned_project_for(request.user, slug)
    form = FineTuneForm(request.POST)
    if form.is_valid():
        values = {name: form.cleaned_data[name] for name in ("options", "labels", "seed")}
        try:
            training.fine_tuning_start(project=access.project, user=access.user, **values)
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return redirect("modeling:models", slug)
    return _list_page(request, access, status=422, fine_tune_form=form)


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
    training.training_run_cancel(run=get_training_run_for(access, public_id))
    return redirect("modeling:models", slug)


@require_POST
@login_required
def training_run_resume(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Let a stopped fine-tuning go on from its checkpoint."""
    access = get_owned_project_for(request.user, slug)
    run = get_training_run_for(access, public_id)
    try:
        training.training_run_resume(run=run, user=access.user)
    except ApplicationError as error:
        return _list_page(request, access, status=error.status, refusal=error.message)
    return redirect("modeling:models", slug)


@require_POST
@login_required
def training_run_repeat(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Run a training again, to see the same numbers."""
    access = get_owned_project_for(request.user, slug)
    training.training_run_repeat(run=get_training_run_for(access, public_id), user=access.user)
    return redirect("modeling:models", slug)


def _list_page(
    request: HttpRequest, access: Access, *, status: int = 200, **replaced: Any
) -> HttpResponse:
    project = access.project
    model = newest_model(project)
    runs = list(training_runs(project)[:RUNS_SHOWN])
    context = page_context(access, nav="models") | {
        "form": TrainForm(),
        "fine_tune_form": FineTuneForm(),
        "model": model,
        "promoted": promoted_model(project),
        "figures": model_figures(model) if model else None,
        "models": [(row, model_figures(row)) for row in reward_models(project)],
        "runs": runs,
        **_run_context(next((run for run in runs if not run.is_finished), None)),
    }
    return render(request, "modeling/models.html", context | replaced, status=status)


def _model_context(model: RewardModel) -> dict[str, Any]:
    metrics, run = model.metrics, model.training_run
    return {
        "model": model,
        "figures": model_figures(model),
        "learning_curve": learning_curve_chart(run.curve, metrics),
        "reliability": reliability_chart(metrics),
        "losses": loss_chart(run.losses),
        "best_of_n": best_of_n_chart(metrics.get("best_of_n", [])),
        "sources_chart": sources_chart(metrics.get("sources", {})),
        "sources": source_rows(metrics),
        "slices": slice_groups(metrics),
        "bias": bias_rows(metrics),
        "parameters": parameters_shown(run.parameters),
        "repetitions": repetitions(model),
        "files": [(name, _file_url(model, name)) for name in artifact_names(model)],
        "n_unscored": n_unscored(model),
    }


def _gates_context(model: RewardModel) -> dict[str, Any]:
    stack = promotion_stack(model.project)
    runs = GateRun.objects.filter(reward_model=model).select_related("against")
    last = runs.exclude(has_passed=None).first()
    live = next((run for run in runs if not run.is_finished), None)
    return {
        "is_promoted": bool(stack) and stack[-1] == model,
        "rolls_back_to": stack[-2] if len(stack) > 1 else None,
        "gate_run": live,
        "gate_failure": next((run for run in runs[:1] if run.state == "failed"), None),
        "gates": last,
        "gates_chart": gates_chart(last.tests) if last else None,
        "percent": round(100 * live.progress) if live else 0,
    }


def _outside_context(model: RewardModel, user: User) -> dict[str, Any]:
    last = OutsideTest.objects.filter(reward_model=model).select_related("tested").first()
    live = None
    if last is not None and not last.is_finished:
        url = reverse("modeling:outside-test", args=[model.project.slug, last.public_id])
        live = {"job": last, "percent": round(100 * last.progress), "url": url}
    return {
        "outside": outside_rows(model),
        "outside_form": OutsideTestForm(projects=testable_projects(model=model, user=user)),
        "live_outside": live,
        "outside_failure": last if last is not None and last.state == JobState.FAILED else None,
    }


def _file_url(model: RewardModel, name: str) -> str:
    return reverse("modeling_api:reward-model-file", args=[model.project.slug, model.number, name])


def _run_context(run: TrainingRun | None) -> dict[str, object]:
    if run is None:
        return {"run": None}
    waits_for = run.feature_run
    return {
        "run": run,
        "waits_for": waits_for,
        "percent": round(100 * (waits_for.progress if waits_for else run.progress)),
        "live_curve": learning_curve_chart(run.curve, {}),
        "live_losses": loss_chart(run.losses),
    }
