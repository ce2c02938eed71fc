"""The project list, a new project, and the page that shows the loop as it stands."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from annotate import loop
from annotate.access import get_annotator_for, get_project_for, list_memberships_for
from annotate.errors import ApplicationError
from annotate.forms import ProjectForm
from annotate.selectors.labelling import annotator_progress
from annotate.selectors.projects import failed_imports, people_active, spend
from annotate.selectors.quality import alarms_open, flags_open, reviews_open
from annotate.services.projects import project_create
from annotate.services.qualification import qualification_state
from annotate.views.common import authenticated, page_context


@require_safe
@login_required
def project_list(request: HttpRequest) -> HttpResponse:
    """List the projects that the user belongs to."""
    memberships = list_memberships_for(request.user)
    return render(request, "annotate/project_list.html", {"memberships": memberships})


@require_http_methods(["GET", "POST"])
@login_required
def project_new(request: HttpRequest) -> HttpResponse:
    """Make a project; whoever makes it owns it."""
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = project_create(user=authenticated(request), **form.cleaned_data)
        except ApplicationError as error:
            form.add_error(error.field or None, error.message)
        else:
            messages.success(request, f"Project {project.name} is ready. Import comparisons next.")
            return redirect("annotate:project-home", project.slug)
    status = 422 if form.errors else 200
    return render(request, "annotate/project_form.html", {"form": form}, status=status)


@require_safe
@login_required
def project_home(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the loop to owners and their own work to annotators."""
    access = get_project_for(request.user, slug)
    context = page_context(access, nav="home")
    if not access.is_owner:
        annotator = get_annotator_for(access)
        context["progress"] = annotator_progress(annotator=annotator)
        context["annotator"] = annotator
        context["test"] = qualification_state(annotator=annotator)
        return render(request, "annotate/project_home_annotator.html", context)
    stages = loop.stages_of(access.project)
    context |= {
        "stages": stages,
        "next_place": loop.next_stage(stages),
        "spend": spend(project=access.project),
        "people": people_active(project=access.project),
        "n_failed_imports": failed_imports(project=access.project),
        "alarms": alarms_open(project=access.project)[:5],
        "n_flags": flags_open(project=access.project).count(),
        "n_reviews": reviews_open(project=access.project).count(),
    }
    return render(request, "annotate/project_home.html", context)
