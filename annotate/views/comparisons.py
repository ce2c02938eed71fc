"""The data explorer: what the project holds, found and shown."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotate.access import Access, get_comparison_for, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.explorer_forms import BulkForm, ExplorerForm, SavedViewForm
from annotate.models import Project
from annotate.rendering import markdown_to_html
from annotate.sections import sections_of
from annotate.selectors.comparison_page import comparison_history
from annotate.selectors.comparisons import comparison_preferences, vote_summaries
from annotate.selectors.explorer import (
    Filters,
    KeyPage,
    count_about,
    explored,
    is_sparse,
    key_page,
    terms_usual,
)
from annotate.selectors.saved_views import saved_views
from annotate.services.bulk_changes import change_to_undo
from annotate.services.figures import figures_behind
from annotate.views.common import page_context

ROWS = 50


@require_safe
@login_required
def comparison_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List comparisons, searched, filtered and sorted."""
    access = get_owned_project_for(request.user, slug)
    form = ExplorerForm(request.GET or None, flags=access.project.protocol.flags)
    return explorer_page(request, access, form=form)


def explorer_page(
    request: HttpRequest,
    access: Access,
    *,
    form: ExplorerForm,
    status: int = 200,
    **replaced: Any,
) -> HttpResponse:
    """Show the explorer for the filters of a form."""
    project = access.project
    filters = form.filters if form.is_bound else Filters()
    query = filters.as_query()
    found = explored(project=project, filters=filters).select_related("prompt", "figures")
    page = _page(project, filters, found, request.GET.get("cursor", ""))
    next_query = {**query, "cursor": page.next_cursor} if page.next_cursor else {}
    context = page_context(access, nav="comparisons") | {
        "form": form,
        "bulk_form": BulkForm(),
        "view_form": SavedViewForm(),
        "rows": vote_summaries(page.rows),
        "count": count_about(found),
        "n_behind": figures_behind(project=project),
        "query": urlencode(query),
        "next_query": urlencode(next_query),
        "is_first": not request.GET.get("cursor"),
        "views": [
            (view, urlencode(view.query)) for view in saved_views(project=project, user=access.user)
        ],
        "last_change": change_to_undo(project=project, user=access.user),
        "terms": terms_usual(project=project, kinds=("meta", "model")),
    }
    return render(request, "annotate/comparison_list.html", context | replaced, status=status)


def _page(project: Project, filters: Filters, found: Any, cursor: str) -> KeyPage:
    sparse_in = project if is_sparse(project=project, filters=filters) else None
    show = partial(key_page, found=found, order=filters.order, size=ROWS, sparse_in=sparse_in)
    try:
        return show(cursor=cursor)
    except ApplicationError:
        # An address that somebody cut short: the first page is better than an error.
        return show()


@require_safe
@login_required
def comparison_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one comparison with every label, judge reply and decision, and its history."""
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
        "sections": sections_of(comparison),
        "history": comparison_history(comparison=comparison),
    }
    return render(request, "annotate/comparison_detail.html", context)
