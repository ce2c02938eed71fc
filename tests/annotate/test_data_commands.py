"""The two data commands, as other tools call them."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from annotate.models import Comparison, Project
from tests.factories import (
    make_annotator,
    make_comparison,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db
ROW = '{"id": "q1", "prompt": "Why?", "responses": [{"text": "one"}, {"text": "two"}]}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(ROW)
    return path


def load(file: Path, *options: str, slug: str = "answers") -> None:
    """Run `load_comparisons` quietly."""
    call_command("load_comparisons", slug, str(file), *options, verbosity=0)


def test_create_makes_the_project_and_its_owner(file: Path) -> None:
    make_user("ada")
    load(file, "--create", "--owner", "ada")
    project = Project.objects.get()
    assert (project.slug, project.memberships.get().user.username) == ("answers", "ada")
    assert Comparison.objects.count() == 1


def test_loading_again_changes_nothing_and_says_so(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(file, "--create")
    load(file)
    assert "0 comparisons created, 0 got new verdicts, 1 unchanged" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(file: Path) -> None:
    load(file, "--create", "--dry-run")
    assert not Comparison.objects.exists()


def test_progress_goes_to_stderr(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("load_comparisons", "answers", str(file), "--create")
    assert "writing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--create"),
        (["--create", "--owner", "nobody"], "no user 'nobody'"),
    ],
)
def test_what_is_missing_is_named(file: Path, options: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        load(file, *options)


def test_a_slug_that_cannot_be_is_refused(file: Path) -> None:
    with pytest.raises(CommandError, match="slug"):
        load(file, "--create", slug="not a slug")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no file"):
        load(tmp_path / "none.jsonl", "--create")


def test_errors_are_listed_up_to_twenty(file: Path) -> None:
    file.write_text("{}\n" * 25)
    with pytest.raises(CommandError) as caught:
        load(file, "--create")
    lines = str(caught.value).splitlines()
    assert lines[0] == "Nothing was imported: 25 errors."
    assert lines[1].startswith("row 1, field responses")
    assert (len(lines), lines[-1]) == (22, "… and 5 more.")


def export(path: Path, *options: str) -> bytes:
    """Run `export_preferences` quietly."""
    call_command("export_preferences", "answers", "--output", str(path), *options, verbosity=0)
    return path.read_bytes()


def test_an_export_is_written_whole_under_its_name(tmp_path: Path) -> None:
    project = make_project(slug="answers")
    make_preference(make_comparison(project), make_annotator(project))
    assert export(tmp_path / "out.jsonl").count(b"\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--version", "3"], "no dataset version 3"),
        (["--columns", "secret"], "Unknown columns 'secret'"),
    ],
)
def test_an_export_that_cannot_be_is_refused(
    tmp_path: Path, options: list[str], message: str
) -> None:
    make_project(slug="answers")
    with pytest.raises(CommandError, match=message):
        export(tmp_path / "out.jsonl", *options)


def test_an_export_of_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no project"):
        export(tmp_path / "out.jsonl")
