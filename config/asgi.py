"""The ASGI entry point, for a server that speaks ASGI."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

from config.services import ensure_services

ensure_services()
application = get_asgi_application()
