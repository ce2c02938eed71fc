"""`load_comparisons PROJECT FILE`: import a file from the command line."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotate.errors import ApplicationError
from annotate.formats.registry import AUTO, IMPORT_FORMATS
from annotate.models import Project
from annotate.services.imports import ImportProgress, ImportReport, comparisons_import
from annotate.services.projects import project_create

ERRORS_SHOWN = 20


class Command(BaseCommand):
    """Import comparisons with their recorded verdicts; a second time changes nothing."""

    help = "Import a file of comparisons; every row or none, and again without harm."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", default=AUTO, choices=[AUTO, *IMPORT_FORMATS])
        parser.add_argument("--create", action="store_true", help="make the project if it is new")
        parser.add_argument("--owner", default="", help="user name; default: the first superuser")
        parser.add_argument("--dry-run", action="store_true", help="check, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        project = _project(options["project"], create=options["create"], owner=options["owner"])
        with tqdm(unit=" rows", file=sys.stderr, disable=options["verbosity"] == 0) as bar:
            report = comparisons_import(
                project=project,
                path=path,
                format=options["format"],
                dry_run=options["dry_run"],
                progress=lambda progress: _show(bar, progress),
            )
        if not report.is_ok:
            raise CommandError(_refusal(report))
        self.stdout.write(_sentence(report))


def _project(slug: str, *, create: bool, owner: str) -> Project:
    found = Project.objects.filter(slug=slug).first()
    if found is not None:
        return found
    if not create:
        raise CommandError(f"There is no project {slug!r}; make it with --create.")
    if owner:
        user = User.objects.filter(username=owner).first()
        if user is None:
            raise CommandError(f"There is no user {owner!r}.")
    else:
        user = User.objects.filter(is_superuser=True).order_by("pk").first()
    try:
        return project_create(name=slug.replace("-", " ").capitalize(), slug=slug, user=user)
    except ApplicationError as error:
        raise CommandError(error.message) from error


def _show(bar: "tqdm[Any]", progress: ImportProgress) -> None:
    bar.set_description(progress.phase)
    bar.total = progress.n_rows
    bar.n = progress.n_done
    bar.refresh()


def _refusal(report: ImportReport) -> str:
    lines = [str(error) for error in report.errors[:ERRORS_SHOWN]]
    left = report.n_errors - len(lines)
    if left:
        lines.append(f"… and {left} more.")
    return "\n".join([f"Nothing was imported: {report.n_errors} errors.", *lines])


def _sentence(report: ImportReport) -> str:
    verb = "would be created" if report.dry_run else "created"
    return (
        f"{report.n_rows} rows ({report.format}): {report.n_created} comparisons {verb}, "
        f"{report.n_extended} got new verdicts, {report.n_unchanged} unchanged; "
        f"{report.n_preferences} verdicts."
    )
