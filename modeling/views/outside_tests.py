"""A reward model on the human labels of another project."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from annotate.access import get_owned_project_for
from annotate.errors import ApplicationError
from annotate.views.common import page_context
from modeling.access import get_outside_test_for, get_reward_model_for
from modeling.reward_forms import OutsideTestForm
from modeling.services.outside_tests import outside_test_start, testable_projects


@require_POST
@login_required
def outside_test_create(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Start a test on another project that the member owns."""
    access = get_owned_project_for(request.user, slug)
    model = get_reward_model_for(access, number)
    form = OutsideTestForm(request.POST, projects=testable_projects(model=model, user=access.user))
    if form.is_valid():
        try:
            outside_test_start(model=model, tested=form.cleaned_data["project"], user=access.user)
        except ApplicationError as error:
            messages.error(request, error.message)
    else:
        messages.error(request, "Choose a project that you own.")
    return redirect(f"{reverse('modeling:model', args=[slug, number])}#elsewhere")


@require_safe
@login_required
def outside_test(request: HttpRequest, slug: str, public_id: UUID) -> HttpResponse:
    """Answer a page that waits for a test."""
    access = get_owned_project_for(request.user, slug)
    run = get_outside_test_for(access, public_id)
    context = page_context(access, nav="models") | {
        "job": run,
        "percent": round(100 * run.progress),
        "job_url": reverse("modeling:outside-test", args=[slug, public_id]),
    }
    response = render(request, "modeling/partials/_job.html", context)
    if run.is_finished:
        response["HX-Refresh"] = "true"
    return response
