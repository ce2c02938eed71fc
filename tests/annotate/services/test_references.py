"""Foreign keys of copied rows, checked row by row or in sets: the same rows, the same refusals."""

import json
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from annotate.models import Annotator, Comparison, ComparisonResponse, Preference, Prompt, Response
from annotate.services import import_plans
from annotate.services.copying import lines_copy
from annotate.services.imports import comparisons_import
from annotate.services.references import (
    Copied,
    references_in_sets,
    sets_are_allowed,
)
from tests.factories import make_comparison, make_project

pytestmark = pytest.mark.django_db
NOWHERE = 2**40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with prompts, responses and people that come again, and a correction."""
    human = [
        {"annotator": "p", "preference": 0},
        {"annotator": "p", "preference": 1, "revision": 1},
        {"annotator": "q", "preference": "tie"},
    ]
    rows = [
        {
            "id": f"q{number}",
            "prompt": f"Why {number % 2}?\tReally\\?\r\n",
            "responses": [{"text": "one\\n"}, {"text": f"two {number}\n"}],
            "human": human[: number + 1],
            "meta": {"path": "a\\b", "line": "1\n2\t3"},
        }
        for number in range(3)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def contents(project_name: str) -> list[tuple[object, ...]]:
    """What an import left, without ids."""
    rows = Comparison.objects.filter(project__name=project_name).order_by("external_id")
    return [
        (
            row.external_id,
            row.prompt.turns,
            row.metadata,
            row.open_slots,
            list(row.slots.values_list("position", "response__text", "external_id")),
            list(
                row.preferences.order_by("pk").values_list(
                    "annotator__name", "ranking", "supersedes__ranking", "active_ms"
                )
            ),
        )
        for row in rows
    ]


def test_an_import_leaves_the_same_rows_however_references_are_checked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparisons_import(project=make_project(name="In sets"), path=path)
    monkeypatch.setattr(import_plans, "sets_are_allowed", lambda: False)
    comparisons_import(project=make_project(name="By row"), path=path)
    assert contents("In sets") == contents("By row")
    assert contents("In sets")[0][1] == [{"role": "user", "content": "Why 0?\tReally\\?\r\n"}]
    assert contents("In sets")[0][2] == {"path": "a\\b", "line": "1\n2\t3"}


def test_a_superuser_may_check_in_sets() -> None:
    assert sets_are_allowed()


def test_a_plain_login_keeps_the_row_checks_until_it_is_granted_the_setting() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE plain_importer; SET LOCAL ROLE plain_importer")
        before = sets_are_allowed()
        cursor.execute(
            "RESET ROLE; GRANT SET ON PARAMETER session_replication_role TO plain_importer;"
            " SET LOCAL ROLE plain_importer"
        )
        after = sets_are_allowed()
        cursor.execute("RESET ROLE")
    assert (before, after) == (False, True)


def test_a_trigger_of_the_owners_keeps_the_row_checks() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER of_the_owner BEFORE INSERT ON annotate_response"
            " FOR EACH ROW EXECUTE FUNCTION tandem_refuse_change()"
        )
    assert not sets_are_allowed()


@pytest.mark.parametrize(
    ("columns", "line", "named"),
    [
        (("id", "prompt_id"), "{id}\t{nowhere}", "annotate_response.prompt_id"),
        (("id", "prompt_id"), "{id}\t{prompt}", None),
    ],
)
def test_a_response_without_its_prompt_is_refused(
    columns: tuple[str, ...], line: str, named: str | None
) -> None:
    prompt = Prompt.objects.create(project=make_project(), turns=[], content_hash="0")
    text = line.format(id=NOWHERE, nowhere=NOWHERE, prompt=prompt.pk)
    lines = [f"{text}\tx\tm\th\n"]
    refused = ""
    try:
        with transaction.atomic(), references_in_sets(allowed=True) as copied:
            lines_copy(Response, (*columns, "text", "source_model", "content_hash"), lines)
            copied.add(Response, "id", [NOWHERE])
    except IntegrityError as error:
        refused = str(error)
    assert refused == (f"Rows without what they point to: {named}." if named else "")


def test_every_foreign_key_of_a_copied_table_is_asked_in_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    comparison = make_comparison(make_project())
    copied = Copied()
    for model in (Prompt, Response, Comparison, Preference, Annotator):
        copied.add(model, "id", [1, NOWHERE])
    copied.add(ComparisonResponse, "comparison_id", [comparison.pk])
    with django_assert_num_queries(1):
        copied.check()


def test_the_row_checks_are_back_after_the_block() -> None:
    with references_in_sets(allowed=True), connection.cursor() as cursor:
        cursor.execute("SHOW session_replication_role")
        within = cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute("SHOW session_replication_role")
        assert (within, cursor.fetchone()) == (("replica",), ("origin",))
