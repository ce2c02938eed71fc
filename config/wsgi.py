"""The WSGI entry point, for gunicorn and every other WSGI server."""

import os
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config.services import ensure_services

ensure_services()
application = get_wsgi_application()
# Otherwise the first visitor of every process waits for all modules, and the collector, which
# leaves alone what was loaded at the start, walks through them for ever.
import_module(settings.ROOT_URLCONF)
