"""Adding a judge, copying one, and changing how one is asked."""

import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from annotate.access import Access, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.views.common import page_context
from modeling.access import get_judge_for
from modeling.judge_forms import FIELDS, JudgeForm
from modeling.models import Judge
from modeling.services.judges import SETTINGS, judge_create, judge_update


@login_required
def judge_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a judge, from scratch or as a copy of another (``?from=``)."""
    access = get_owned_project_for(request.user, slug)
    model = request.GET.get("from", "")
    source = get_judge_for(access, int(model)) if model.isdecimal() else None
    provider = source.provider if source else request.GET.get("provider", "")
    if provider not in FIELDS:
        provider = Judge.Provider.OPENAI
    form = JudgeForm(
        request.POST or None,
        initial=_values(source) if source else {},
        project=access.project,
        provider=provider,
    )
    if request.method == "POST" and form.is_valid():
        try:
            judge = judge_create(
                project=access.project, user=access.user, provider=provider, **form.cleaned_data
            )
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"{judge} is added. Test it with one comparison.")
            return redirect("modeling:judge", slug, judge.pk)
    return _page(request, access, form)


@login_required
def judge_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change how a judge is asked, priced and limited."""
    access = get_owned_project_for(request.user, slug)
    judge = get_judge_for(access, pk)
    if judge.provider not in FIELDS:
        messages.error(request, f"{judge} is not asked, so it has no settings.")
        return redirect("modeling:judge", slug, judge.pk)
    form = JudgeForm(
        request.POST or None,
        initial=_values(judge),
        project=access.project,
        provider=judge.provider,
        is_named=True,
    )
    if request.method == "POST" and form.is_valid():
        try:
            judge_update(judge=judge, user=access.user, **form.cleaned_data)
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"{judge} is changed.")
            return redirect("modeling:judge", slug, judge.pk)
    return _page(request, access, form, judge)


def _page(
    request: HttpRequest, access: Access, form: JudgeForm, judge: Judge | None = None
) -> HttpResponse:
    context = page_context(access, nav="judges") | {
        "form": form,
        "judge": judge,
        "providers": [(key.value, key.label) for key in FIELDS],
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "modeling/judge_form.html", context, status=status)


def _values(judge: Judge) -> dict[str, Any]:
    values = {name: getattr(judge, name) for name in SETTINGS}
    options = json.dumps(judge.options) if judge.options else ""
    terms = "\n".join(judge.pii_terms)
    return {**values, "options": options, "pii_terms": terms, "name": f"{judge} copy"}
