"""The chooser of the language in the header of every page."""

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from annotate.languages import SESSION_KEY
from annotate.services.workbench import language_change


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Change the language for this session, and for good where somebody is logged in."""
    chosen, back = request.POST.get("language", ""), request.POST.get("next", "")
    if chosen in dict(settings.LANGUAGES):
        request.session[SESSION_KEY] = chosen
        if isinstance(request.user, User):
            language_change(user=request.user, language=chosen)
    is_here = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(back if is_here else "annotate:project-list")
