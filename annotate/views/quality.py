"""Who labels how well: people, alarms, known answers, the test, flags and the policy."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotate.access import (
    get_alarm_for,
    get_annotator_of,
    get_flag_for,
    get_owned_project_for,
)
from annotate.errors import ApplicationError
from annotate.models import QualityPolicy
from annotate.quality_forms import QualityPolicyForm
from annotate.selectors.protocols import flag_title
from annotate.selectors.quality import alarms_open, attempts, display_name, flags_open
from annotate.selectors.quality_page import agreements, people
from annotate.services.alarms import alarms_check
from annotate.services.flags import flag_resolve
from annotate.services.qualification import annotator_qualify
from annotate.services.quality import (
    alarm_resolve,
    annotator_pause,
    annotator_resume,
    quality_policy_change,
)
from annotate.views.common import page_context


@require_safe
@login_required
def quality_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show everybody's figures, the open alarms and who agrees with whom."""
    access = get_owned_project_for(request.user, slug)
    matrix = agreements(project=access.project)
    context = page_context(access, nav="quality") | {
        "tab": "people",
        "people": people(project=access.project),
        "alarms": alarms_open(project=access.project),
        "matrix": matrix,
        "matrix_rows": list(zip(matrix.names, matrix.kinds, matrix.cells, strict=True)),
    }
    return render(request, "annotate/quality.html", context)


@require_POST
@login_required
def quality_check(request: HttpRequest, slug: str) -> HttpResponse:
    """Look at everybody's labels now."""
    access = get_owned_project_for(request.user, slug)
    n_new = alarms_check(project=access.project)
    told = f"{n_new} new alarm{'' if n_new == 1 else 's'}." if n_new else "No new alarm."
    messages.success(request, f"Everybody's latest labels are checked. {told}")
    return redirect("annotate:quality", slug)


@require_POST
@login_required
def alarm_close(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Close an alarm."""
    access = get_owned_project_for(request.user, slug)
    alarm = get_alarm_for(access, pk)
    try:
        alarm_resolve(alarm=alarm, user=access.user)
    except ApplicationError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The alarm is closed; labels given until now raise it no more.")
    return redirect("annotate:quality", slug)


@require_POST
@login_required
def annotator_change(request: HttpRequest, slug: str, pk: int, action: str) -> HttpResponse:
    """Pause, resume or qualify somebody."""
    access = get_owned_project_for(request.user, slug)
    annotator = get_annotator_of(access, pk)
    name = display_name(annotator)
    try:
        if action == "pause":
            reason = "Paused by the owner."
            annotator_pause(annotator=annotator, reason=reason, data={}, user=access.user)
            messages.success(request, f"{name} is paused and holds no comparison any more.")
        elif action == "resume":
            annotator_resume(annotator=annotator, user=access.user)
            messages.success(request, f"{name} may label again.")
        else:
            annotator_qualify(annotator=annotator, user=access.user)
            messages.success(request, f"{name} may label without the test.")
    except ApplicationError as error:
        messages.error(request, error.message)
    return redirect("annotate:quality", slug)


@require_safe
@login_required
def test_page(request: HttpRequest, slug: str) -> HttpResponse:
    """List everybody's tries at the qualification test."""
    access = get_owned_project_for(request.user, slug)
    page = Paginator(attempts(project=access.project), 50).get_page(request.GET.get("page"))
    context = page_context(access, nav="quality") | {"tab": "test", "page_obj": page}
    return render(request, "annotate/quality_test.html", context)


@require_safe
@login_required
def flag_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List what annotators flagged."""
    access = get_owned_project_for(request.user, slug)
    page = Paginator(flags_open(project=access.project), 50).get_page(request.GET.get("page"))
    rows = [(flag, flag_title(flag.reason), display_name(flag.annotator)) for flag in page]
    context = page_context(access, nav="quality") | {
        "tab": "flags", "page_obj": page, "rows": rows,
    }  # fmt: skip
    return render(request, "annotate/quality_flags.html", context)


@require_POST
@login_required
def flag_close(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Close a flag."""
    access = get_owned_project_for(request.user, slug)
    flag = get_flag_for(access, pk)
    try:
        flag_resolve(flag=flag, user=access.user)
    except ApplicationError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The flag on {flag.comparison} is closed.")
    return redirect("annotate:quality-flags", slug)


@require_http_methods(["GET", "POST"])
@login_required
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """Show and change how the project watches over its labels."""
    access = get_owned_project_for(request.user, slug)
    found = QualityPolicy.objects.filter(project=access.project).first()
    form = QualityPolicyForm(request.POST or None, instance=found or QualityPolicy())
    if request.method == "POST" and form.is_valid() and _policy_saved(access, form):
        messages.success(request, "The quality policy is saved and in force.")
        return redirect("annotate:quality-policy", slug)
    context: dict[str, Any] = page_context(access, nav="quality")
    context |= {"tab": "policy", "form": form}
    status = 422 if form.errors else 200
    return render(request, "annotate/quality_policy.html", context, status=status)


def _policy_saved(access: Any, form: QualityPolicyForm) -> bool:
    try:
        quality_policy_change(project=access.project, user=access.user, **form.cleaned_data)
    except ApplicationError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return False
    return True
