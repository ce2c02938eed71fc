from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class AnnotateConfig(AppConfig):
    """Register the app under its plain label."""

    name = "annotate"

    def ready(self) -> None:
        from annotate import languages
        from annotate.services.events import register_sources
        from annotate.stages import register_stages

        register_stages()
        register_sources()
        languages.connect()
        connection_created.connect(_keep_plans, dispatch_uid="annotate.keep_plans")


def _keep_plans(*, connection: Any, **_signal: Any) -> None:
    # What annotate.prepared sends is planned once; the values would not change its plan. Such plans
    # look dear, as they may not know the values, but compiling them takes longer than they do. A
    # table that is small when they are made grows: at the cost that PostgreSQL supposes for disks
    # that turn, it would be read from end to end ever after.
    settings = {"plan_cache_mode": "force_generic_plan", "jit": "off", "random_page_cost": "1.1"}
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
