"""Prompts of judges: versions, an editor with a preview on a real comparison; model families."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_comparison_for, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.models import Comparison
from annotate.views.common import page_context
from modeling.access import get_judge_prompt_for, get_model_family_for
from modeling.core.judge_rankings import MAX_RESPONSES
from modeling.judge_forms import JudgePromptForm, ModelFamilyForm
from modeling.judges.families import FAMILIES
from modeling.models import JudgePrompt, ModelFamily
from modeling.services.judge_families import model_family_remove, model_family_set
from modeling.services.judge_prompts import judge_prompt_save, prompt_check, prompt_preview


@require_safe
@login_required
def prompt_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List every version of every prompt, and the judges that are asked with it."""
    access = get_owned_project_for(request.user, slug)
    prompts = access.project.judge_prompts.prefetch_related("judges__annotator")
    context = page_context(access, nav="judges") | {"tab": "prompts", "prompts": prompts}
    return render(request, "modeling/judge_prompts.html", context)


@login_required
def prompt_edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Write a prompt, from the standard one or from a version (``?from=``)."""
    access = get_owned_project_for(request.user, slug)
    initial = _initial(request, access)
    form = JudgePromptForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            prompt = judge_prompt_save(
                project=access.project, user=access.user, **form.cleaned_data
            )
        except ApplicationError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"Saved as {prompt}. Judges choose it in their settings.")
            return redirect("modeling:judge-prompts", slug)
    context = page_context(access, nav="judges") | {
        "form": form,
        **_preview(request, access, request.POST or _filled(form)),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "modeling/judge_prompt_form.html", context, status=status)


@require_POST
@login_required
def prompt_show(request: HttpRequest, slug: str) -> HttpResponse:
    """Render what is being written on a real comparison, in both orders."""
    access = get_owned_project_for(request.user, slug)
    context = page_context(access, nav="judges") | _preview(request, access, request.POST)
    return render(request, "modeling/partials/_prompt_preview.html", context)


@login_required
def family_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the table of model families, and add to it."""
    access = get_owned_project_for(request.user, slug)
    form = ModelFamilyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            model_family_set(
                project=access.project,
                user=access.user,
                prefix=form.cleaned_data["starts_with"],
                family=form.cleaned_data["family"],
            )
        except ApplicationError as error:
            form.add_error(None, error.message)
        else:
            return redirect("modeling:model-families", slug)
    context = page_context(access, nav="judges") | {
        "tab": "families",
        "form": form,
        "own": ModelFamily.objects.filter(project=access.project),
        "families": _built_in(),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "modeling/model_families.html", context, status=status)


@require_POST
@login_required
def family_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take an addition to the table back."""
    access = get_owned_project_for(request.user, slug)
    model_family_remove(row=get_model_family_for(access, pk), user=access.user)
    return redirect("modeling:model-families", slug)


def _initial(request: HttpRequest, access: Access) -> dict[str, Any]:
    source = request.GET.get("from", "")
    if not source.isdecimal():
        return {}
    prompt = get_judge_prompt_for(access, int(source))
    names = ("name", "kind", "reply_order", "instructions", "criterion")
    values = {name: getattr(prompt, name) for name in names}
    return {**values, "principles": "\n".join(prompt.principles)}


def _filled(form: JudgePromptForm) -> QueryDict:
    data = QueryDict(mutable=True)
    for field in form:
        data[field.name] = str(field.value() or "")
    return data


def _preview(request: HttpRequest, access: Access, data: QueryDict) -> dict[str, Any]:
    comparison = _comparison(request, access)
    context: dict[str, Any] = {"comparison": comparison, "orders": [], "problem": ""}
    draft = JudgePrompt(
        project=access.project,
        name=_text(data, "name") or "preview",
        kind=_text(data, "kind") or JudgePrompt.Kind.PAIRWISE,
        reply_order=_text(data, "reply_order") or JudgePrompt.ReplyOrder.VERDICT_FIRST,
        instructions=_text(data, "instructions"),
        criterion=_text(data, "criterion"),
        principles=[line.strip() for line in _text(data, "principles").splitlines() if line],
    )
    try:
        template = prompt_check(draft)
    except ApplicationError as error:
        return {**context, "problem": error.message}
    if comparison is not None:
        context["orders"] = prompt_preview(template=template, comparison=comparison)
    return context


def _text(data: QueryDict, name: str) -> str:
    return str(data.get(name, "")).strip()


def _comparison(request: HttpRequest, access: Access) -> Comparison | None:
    asked = request.POST.get("comparison", "") or request.GET.get("comparison", "")
    if asked.isdecimal() and len(asked) < 19:
        comparison = get_comparison_for(access, int(asked))
        return comparison if comparison.n_responses <= MAX_RESPONSES else None
    shown = Comparison.objects.filter(project=access.project, n_responses__lte=MAX_RESPONSES)
    return shown.select_related("prompt").order_by("pk").first()


def _built_in() -> list[tuple[str, str]]:
    found: dict[str, list[str]] = {}
    for prefix, family in sorted(FAMILIES.items()):
        found.setdefault(family, []).append(prefix)
    return [(family, ", ".join(prefixes)) for family, prefixes in sorted(found.items())]
