"""`load_demo`: the project that a fresh installation shows."""

from typing import Any

from django.core.management.base import BaseCommand

from annotate.services.demo import NAME, demo_load


class Command(BaseCommand):
    """Make the demo users and project; a second time changes nothing."""

    help = "Load the demo project with its simulated verdicts."

    def handle(self, *args: Any, **options: Any) -> None:
        report = demo_load()
        self.stdout.write(
            f"{NAME}: {report.n_created} comparisons, {report.n_preferences} simulated verdicts."
        )
