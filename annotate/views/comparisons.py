"""What the project holds, for its owners."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotate.access import get_comparison_for, get_owned_project_for
from annotate.forms import ComparisonFilterForm
from annotate.rendering import markdown_to_html
from annotate.selectors.comparisons import (
    comparison_events,
    comparison_preferences,
    comparisons_found,
    vote_summaries,
)
from annotate.views.common import page_context


@require_safe
@login_required
def comparison_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List comparisons in the order of the queue, filtered."""
    access = get_owned_project_for(request.user, slug)
    form = ComparisonFilterForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    found = comparisons_found(
        project=access.project, state=wanted.get("state", ""), text=wanted.get("q", "")
    )
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    context = page_context(access, nav="comparisons") | {
        "form": form,
        "page_obj": page,
        "rows": vote_summaries(list(page)),
        "query": urlencode({key: value for key, value in wanted.items() if value}),
    }
    return render(request, "annotate/comparison_list.html", context)


@require_safe
@login_required
def comparison_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one comparison with every label ever given and who holds it."""
    access = get_owned_project_for(request.user, slug)
    comparison = get_comparison_for(access, pk)
    slots = comparison.slots.select_related("response").order_by("position")
    turns = comparison.prompt.turns
    context = page_context(access, nav="comparisons") | {
        "comparison": comparison,
        "turns": [{"role": t["role"], "html": markdown_to_html(t["content"])} for t in turns],
        "responses": [
            {
                "label": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[slot.position],
                "html": markdown_to_html(slot.response.text),
                "source": slot.response.source_model,
            }
            for slot in slots
        ],
        "preferences": comparison_preferences(comparison=comparison),
        "events": comparison_events(comparison=comparison),
    }
    return render(request, "annotate/comparison_detail.html", context)
