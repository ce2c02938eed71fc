"""Known answers: listing, making and changing them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotate.access import Access, get_comparison_for, get_gold_for, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.models import Comparison
from annotate.quality_forms import GoldChangeForm, GoldForm
from annotate.quality_signals import wilson
from annotate.rendering import markdown_to_html
from annotate.selectors.quality import golds
from annotate.services.gold import (
    accepted_parse,
    accepted_text,
    gold_change,
    gold_create,
    golds_from_metadata,
)
from annotate.views.common import page_context

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@require_safe
@login_required
def gold_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List known answers with how often people find them."""
    access = get_owned_project_for(request.user, slug)
    page = Paginator(golds(project=access.project), 50).get_page(request.GET.get("page"))
    rows = [
        (gold, accepted_text(gold.accepted), wilson(gold.n_correct, gold.n_answers))  # type: ignore[attr-defined]  # annotated by the selector
        for gold in page
    ]
    context = page_context(access, nav="quality") | {
        "tab": "golds", "page_obj": page, "rows": rows,
    }  # fmt: skip
    return render(request, "annotate/quality_golds.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def gold_new(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Make the answer of a comparison known."""
    access = get_owned_project_for(request.user, slug)
    comparison = get_comparison_for(access, pk)
    form = GoldForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            accepted = accepted_parse(
                form.cleaned_data["accepted"], n_responses=comparison.n_responses
            )
            gold_create(
                comparison=comparison,
                user=access.user,
                **{**form.cleaned_data, "accepted": accepted},
            )
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"The answer of {comparison} is known from now on.")
            return redirect("annotate:quality-golds", slug)
    return _form_page(request, access, comparison, form)


@require_http_methods(["GET", "POST"])
@login_required
def gold_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change a known answer or withdraw it."""
    access = get_owned_project_for(request.user, slug)
    gold = get_gold_for(access, pk)
    fields = ("use", "explanation", "is_active")
    initial = {name: getattr(gold, name) for name in fields}
    initial["accepted"] = accepted_text(gold.accepted)
    form = GoldChangeForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        n_responses = gold.comparison.n_responses
        try:
            accepted = accepted_parse(form.cleaned_data["accepted"], n_responses=n_responses)
            gold_change(gold=gold, user=access.user, **{**form.cleaned_data, "accepted": accepted})
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, "Saved. Results so far keep the answer as it was.")
            return redirect("annotate:quality-golds", slug)
    return _form_page(request, access, gold.comparison, form)


def _form_page(
    request: HttpRequest, access: Access, comparison: Comparison, form: GoldForm
) -> HttpResponse:
    slots = comparison.slots.select_related("response").order_by("position")
    context = page_context(access, nav="quality") | {
        "tab": "golds",
        "comparison": comparison,
        "form": form,
        "turns": [
            {"role": turn["role"], "html": markdown_to_html(turn["content"])}
            for turn in comparison.prompt.turns
        ],
        "responses": [
            {"label": LETTERS[slot.position], "html": markdown_to_html(slot.response.text)}
            for slot in slots
        ],
    }
    status = 422 if form.errors else 200
    return render(request, "annotate/quality_gold.html", context, status=status)


@require_POST
@login_required
def gold_import(request: HttpRequest, slug: str) -> HttpResponse:
    """Make known answers of the comparisons that brought one along."""
    access = get_owned_project_for(request.user, slug)
    try:
        n_made = golds_from_metadata(project=access.project, user=access.user)
    except ApplicationError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{n_made} known answer{'' if n_made == 1 else 's'} made.")
    return redirect("annotate:quality-golds", slug)
