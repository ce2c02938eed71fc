"""Protocol, guideline, people, money and tokens of a project."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotate.access import Access, get_api_token_for, get_member_of, get_owned_project_for
from annotate.errors import ApplicationError
from annotate.forms import GuidelineForm, MemberForm, MoneyForm, TokenForm
from annotate.models import ApiToken, Membership, Protocol
from annotate.protocol_forms import ProtocolForm
from annotate.selectors.protocols import protocol_shape
from annotate.services.projects import (
    guideline_change,
    member_add,
    member_remove,
    project_money_change,
    protocol_change,
)
from annotate.services.tokens import api_token_create, api_token_revoke, api_token_rotate
from annotate.views.common import authenticated, page_context


def _page(
    request: HttpRequest, access: Access, *, status: int = 200, **replaced: Any
) -> HttpResponse:
    project = access.project
    guideline = project.guidelines.order_by("-version").first()
    members = project.memberships.select_related("user").order_by("role", "user__username")
    owners = [member.pk for member in members if member.role == Membership.Role.OWNER]
    context = page_context(access, nav="settings") | {
        "protocol": project.protocol,
        "protocol_form": ProtocolForm(instance=project.protocol),
        "guideline": guideline,
        "guideline_form": GuidelineForm(initial={"body": guideline.body if guideline else ""}),
        "money_form": MoneyForm(instance=project),
        "member_form": MemberForm(),
        "members": members,
        "only_owner": owners[0] if len(owners) == 1 else None,
        "token_form": TokenForm(),
        "tokens": access.user.api_tokens.filter(revoked_at__isnull=True).select_related("project"),
        "now": timezone.now(),
    }
    return render(request, "annotate/settings.html", context | replaced, status=status)


def _refused(
    request: HttpRequest,
    access: Access,
    name: str,
    form: forms.BaseForm,
    error: ApplicationError | None = None,
) -> HttpResponse:
    if error is not None:
        form.add_error(error.field if error.field in form.fields else None, error.message)
    return _page(request, access, status=422, **{name: form})


@require_safe
@login_required
def settings_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show every setting of the project on one page."""
    return _page(request, get_owned_project_for(request.user, slug))


@require_POST
@login_required
def protocol_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a new protocol version."""
    access = get_owned_project_for(request.user, slug)
    form = ProtocolForm(request.POST)
    if not form.is_valid():
        return _refused(request, access, "protocol_form", form)
    try:
        protocol = protocol_change(project=access.project, user=access.user, **form.cleaned_data)
    except ApplicationError as error:
        return _refused(request, access, "protocol_form", form, error)
    messages.success(request, f"Protocol version {protocol.version} is in force.")
    return redirect("annotate:settings", slug)


@require_POST
@login_required
def protocol_preview(request: HttpRequest, slug: str) -> HttpResponse:
    """Tell what the workspace would show for the form as it stands, or what is wrong with it."""
    access = get_owned_project_for(request.user, slug)
    form = ProtocolForm(request.POST)
    if not form.is_valid():
        errors = [*form.non_field_errors(), *(words[0] for words in form.errors.values())]
        return JsonResponse({"errors": list(dict.fromkeys(map(str, errors)))}, status=422)
    version = access.project.protocol.version + 1
    protocol = Protocol(project=access.project, version=version, **form.cleaned_data)
    return JsonResponse({"protocol": protocol_shape(protocol)})


@require_POST
@login_required
def guideline_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a new guideline version."""
    access = get_owned_project_for(request.user, slug)
    form = GuidelineForm(request.POST)
    if not form.is_valid():
        return _refused(request, access, "guideline_form", form)
    body = form.cleaned_data["body"]
    guideline = guideline_change(project=access.project, user=access.user, body=body)
    messages.success(request, f"Guideline version {guideline.version} is shown from now on.")
    return redirect("annotate:settings", slug)


@require_POST
@login_required
def money_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Change the price of a human label and the budget."""
    access = get_owned_project_for(request.user, slug)
    form = MoneyForm(request.POST)
    if not form.is_valid():
        return _refused(request, access, "money_form", form)
    project_money_change(project=access.project, user=access.user, **form.cleaned_data)
    messages.success(request, "Prices and budget are saved. Labels already given keep their price.")
    return redirect("annotate:settings", slug)


@require_POST
@login_required
def member_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Add somebody to the project or change their role."""
    access = get_owned_project_for(request.user, slug)
    form = MemberForm(request.POST)
    if not form.is_valid():
        return _refused(request, access, "member_form", form)
    try:
        member = member_add(project=access.project, actor=access.user, **form.cleaned_data)
    except ApplicationError as error:
        return _refused(request, access, "member_form", form, error)
    messages.success(request, f"{member.user} is now {member.get_role_display().lower()} here.")
    return redirect("annotate:settings", slug)


@require_POST
@login_required
def member_end(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take somebody out of the project."""
    access = get_owned_project_for(request.user, slug)
    member = get_member_of(access, pk)
    username = member.user.get_username()
    try:
        member_remove(project=access.project, actor=access.user, username=username)
    except ApplicationError as error:
        messages.error(request, error.message)
        return redirect("annotate:settings", slug)
    messages.success(request, f"{username} is out of {access.project.name}. Their labels stay.")
    if member.user == access.user:
        return redirect("annotate:project-list")
    return redirect("annotate:settings", slug)


@require_POST
@login_required
def token_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Make an API token and show its secret once."""
    access = get_owned_project_for(request.user, slug)
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _refused(request, access, "token_form", form)
    days = form.cleaned_data["days"]
    token, secret = api_token_create(
        user=access.user,
        name=form.cleaned_data["name"],
        scope=form.cleaned_data["scope"],
        expires_at=timezone.now() + timedelta(days=days) if days else None,
        project=access.project if form.cleaned_data["this_project_only"] else None,
        rate_per_minute=form.cleaned_data["rate_per_minute"],
    )
    return _secret_page(request, access, token, secret)


@require_POST
@login_required
def token_rotate(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Replace one of the user's own tokens and show the new secret once."""
    access = get_owned_project_for(request.user, slug)
    try:
        made = api_token_rotate(token=get_api_token_for(access.user, pk))
    except ApplicationError as error:
        messages.error(request, error.message)
        return redirect("annotate:settings", slug)
    return _secret_page(request, access, *made)


def _secret_page(
    request: HttpRequest, access: Access, token: ApiToken, secret: str
) -> HttpResponse:
    # Rendered, not redirected: the secret must not lie in a session or an address.
    response = _page(request, access, new_token=token, new_secret=secret)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@login_required
def token_revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """End one of the user's own tokens."""
    get_owned_project_for(request.user, slug)
    token = get_api_token_for(authenticated(request), pk)
    api_token_revoke(token=token)
    messages.success(request, f"Token {token.name} is revoked.")
    return redirect("annotate:settings", slug)
