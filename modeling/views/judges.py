"""Judges: who they are, how good, what they cost, and asking them."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_comparison_for, get_owned_project_for
from annotate.models import Comparison
from annotate.views.common import page_context
from modeling.access import get_judge_for
from modeling.charts import judges_chart
from modeling.core.judge_rankings import MAX_RESPONSES
from modeling.judge_charts import judge_reliability_chart
from modeling.judge_forms import FIELDS, JudgeBatchForm, JudgeRunForm
from modeling.judge_reads import (
    calibration_facts,
    judge_bench,
    judge_benches,
    open_alarms,
    panel_facts,
)
from modeling.models import Judge
from modeling.selectors import judge_runs
from modeling.selectors_runs import judge_batches
from modeling.services.judges import judge_preview, judges_refresh

RUNS_SHOWN = 10


@require_safe
@login_required
def judge_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show every judge beside the people; figures are measured in the background."""
    access = get_owned_project_for(request.user, slug)
    measuring = judges_refresh(project=access.project)
    runs = list(judge_runs(access.project)[:RUNS_SHOWN])
    benches = judge_benches(access.project)
    context = page_context(access, nav="judges") | {
        "tab": "judges",
        "benches": benches,
        "ranked": [bench for bench in benches if bench.rankings],
        "chart": judges_chart([bench.figures for bench in benches]),
        "alarms": open_alarms(access.project),
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


@require_safe
@login_required
def judge_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one judge: figures, the exact prompt, and what a run would cost."""
    access = get_owned_project_for(request.user, slug)
    judge = get_judge_for(access, pk)
    return judge_page(request, access, judge, JudgeRunForm())


def judge_page(
    request: HttpRequest, access: Access, judge: Judge, form: JudgeRunForm, *, status: int = 200
) -> HttpResponse:
    """Render a judge's page, with the run form as it is."""
    comparison = _previewed(request, access)
    bench = judge_bench(judge)
    runs = list(judge_runs(access.project).filter(judge=judge)[:RUNS_SHOWN])
    context = page_context(access, nav="judges") | {
        "judge": judge,
        "bench": bench,
        "ranked": [bench] if bench and bench.rankings else [],
        # What recorded verdicts once cost is not known.
        "cost": bench.figures.cost_usd if bench and judge.base_url else None,
        "calibration": calibration_facts(judge),
        "panel": panel_facts(judge),
        "chart": judge_reliability_chart(bench) if bench else None,
        "form": form,
        "batch_form": JudgeBatchForm(initial={"n_comparisons": 100}),
        "batches": judge_batches(judge),
        "is_askable": judge.provider in FIELDS,
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
        return comparison if comparison.n_responses <= MAX_RESPONSES else None
    shown = Comparison.objects.filter(project=access.project, n_responses__lte=MAX_RESPONSES)
    return shown.select_related("prompt").order_by("pk").first()
