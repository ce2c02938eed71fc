"""The WSGI entry point, for gunicorn and every other WSGI server."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application

from config.services import ensure_services

ensure_services()
application = get_wsgi_application()
