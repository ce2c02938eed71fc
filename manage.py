#!/usr/bin/env python
"""Run a Django command; commands that use the database start the embedded servers first."""

import os
import sys

# These neither read nor write a row, so they must not start a database server.
OFFLINE_COMMANDS = frozenset(
    {
        "check",
        "collectstatic",
        "compilemessages",
        "diffsettings",
        "evaluate_judges",
        "evaluate_reward_models",
        "findstatic",
        "help",
        "makemessages",
        "replay_acquisition",
        "replay_routing",
        "report",
        "spectacular",
        "startapp",
        "up",  # takes its lock and checks its port before it starts anything
        "version",
        "--version",
    }
)


def needs_services(arguments: list[str]) -> bool:
    """Tell whether the command line names a command that uses PostgreSQL or Redis."""
    if len(arguments) < 2 or {"--help", "-h"} & set(arguments):
        return False
    return arguments[1] not in OFFLINE_COMMANDS


def main() -> None:
    """Start what the command needs and hand over to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    if needs_services(sys.argv):
        from config.services import ensure_services

        ensure_services()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
