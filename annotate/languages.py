"""Which language a person reads: their own choice, else what their browser asks for."""

import re
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from annotate.services.workbench import language_of

SESSION_KEY = "language"
LANGUAGES = frozenset(code for code, _ in settings.LANGUAGES)
# Their session is read on a later journey, by whoever finds out who asks.
LABELLING = re.compile(r"/api/v1/projects/[^/]+/assignments/")


class LanguageMiddleware(LocaleMiddleware):
    """Speak the language that the session remembers, which costs no query of its own."""

    def process_request(self, request: HttpRequest) -> None:
        """Activate the chosen language after the one that the browser asks for."""
        super().process_request(request)
        if not LABELLING.match(request.path_info):
            language_recall(request)


def language_recall(request: HttpRequest) -> None:
    """Activate the language that the session remembers, if it does."""
    chosen = request.session.get(SESSION_KEY)
    if chosen in LANGUAGES:
        translation.activate(chosen)
        request.LANGUAGE_CODE = chosen


def recall_language(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Bring a person's own language into the session that they open."""
    own = language_of(user=user)
    if own:
        request.session[SESSION_KEY] = own


def connect() -> None:
    """Listen to log-ins."""
    user_logged_in.connect(cast(Any, recall_language), dispatch_uid="annotate.recall_language")
