"""Importing files: every row or none, and a second time without harm."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from annotate.formats.base import RowError
from annotate.models import (
    Annotator,
    Comparison,
    Preference,
    Project,
    Prompt,
    Response,
)
from annotate.selectors.records import dataset_cut, records_stream
from annotate.services import import_batches, import_writes
from annotate.services.imports import ImportProgress, comparisons_import
from tests.factories import make_annotator, make_comparison, make_project

pytestmark = pytest.mark.django_db
Save = Callable[..., Path]


@pytest.fixture
def project() -> Project:
    return make_project(protocol={"overlap": 2})


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write rows (or raw bytes) to a file."""

    def write(*rows: dict[str, Any] | bytes) -> Path:
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        path = tmp_path / "rows.jsonl"
        path.write_bytes(b"\n".join(lines))
        return path

    return write


def a_row(external_id: str = "q1", **changes: Any) -> dict[str, Any]:
    """A valid row."""
    responses = [{"id": "a", "text": "one", "model": "m1"}, {"id": "b", "text": "two"}]
    return {"id": external_id, "prompt": "Why?", "responses": responses, **changes}


def counts() -> tuple[int, ...]:
    """How many rows each table has."""
    tables = (Prompt, Response, Comparison, Preference, Annotator)
    return tuple(table._default_manager.count() for table in tables)


def test_prompts_and_responses_are_stored_once(project: Project, save: Save) -> None:
    swapped = a_row("q2", responses=list(reversed(a_row()["responses"])))
    report = comparisons_import(project=project, path=save(a_row(), swapped, a_row("q3")))
    assert (report.n_rows, report.n_created) == (3, 3)
    assert counts() == (1, 2, 3, 0, 0)


def test_canonical_order_texts_models_and_metadata_are_kept(project: Project, save: Save) -> None:
    row = a_row(meta={"topic": "sky", "nested": [1, 2.5]}, criterion="Helpful?")
    comparisons_import(project=project, path=save(row))
    (found,) = records_stream(project=project, cut=dataset_cut(project=project))
    assert [tuple(response) for response in found.responses] == [
        ("a", "one", "m1"), ("b", "two", ""),
    ]  # fmt: skip
    assert (found.metadata, found.criterion) == (row["meta"], "Helpful?")


def test_recorded_verdicts_name_annotator_source_and_protocol(project: Project, save: Save) -> None:
    row = a_row(
        human=[{"annotator": "p1", "preference": 1, "seconds": 2.5}],
        llm=[{"judge": "j", "preference": "tie", "rationale": "Alike."}],
    )
    comparisons_import(project=project, path=save(row))
    human = Preference.objects.human().get()
    judge = Preference.objects.by_judges().get()
    assert (human.annotator.name, human.ranking, human.active_ms) == ("p1", [1, 0], 2500)
    assert (judge.annotator.name, judge.verdict, judge.rationale) == ("j", "tie", "Alike.")
    assert {human.source, judge.source} == {"import"}
    assert {human.protocol_id, judge.protocol_id} == {project.protocol.pk}


@pytest.mark.parametrize(
    ("names", "open_slots"), [([], 2), (["p"], 1), (["p", "q"], 0), (["p", "q", "r"], 0)]
)
def test_recorded_human_labels_take_slots(
    project: Project, save: Save, names: list[str], open_slots: int
) -> None:
    human = [{"annotator": name, "preference": 0} for name in names]
    row = a_row(human=human, llm=[{"judge": "j", "preference": 0}])
    comparisons_import(project=project, path=save(row))
    comparison = Comparison.objects.get()
    assert (comparison.wanted_labels, comparison.open_slots) == (2, open_slots)


def test_importing_again_changes_nothing(project: Project, save: Save) -> None:
    path = save(a_row(human=[{"preference": 0}, {"annotator": "p", "preference": 1}]), a_row("q2"))
    comparisons_import(project=project, path=path)
    before = counts()
    report = comparisons_import(project=project, path=path)
    assert (report.n_created, report.n_unchanged, report.n_preferences) == (0, 2, 0)
    assert counts() == before


def test_a_new_verdict_on_a_known_comparison_is_added(project: Project, save: Save) -> None:
    one = [{"annotator": "p", "preference": 0}]
    comparisons_import(project=project, path=save(a_row(human=one)))
    both = [{"annotator": "p", "preference": 0}, {"annotator": "q", "preference": 1}]
    report = comparisons_import(project=project, path=save(a_row(human=both)))
    assert (report.n_created, report.n_extended, report.n_preferences) == (0, 1, 1)
    assert Preference.objects.count() == 2
    assert Comparison.objects.get().open_slots == 0


def test_the_same_verdict_has_the_same_key_in_every_import(project: Project, save: Save) -> None:
    other = make_project()
    path = save(a_row(human=[{"annotator": "p", "preference": 0}]))
    keys = []
    for target in (project, project, other):
        comparisons_import(project=target, path=path)
    keys = list(Preference.objects.values_list("idempotency_key", flat=True))
    assert len(keys) == len(set(keys)) == 2


def test_a_correction_supersedes_and_takes_no_slot(project: Project, save: Save) -> None:
    human = [
        {"annotator": "p", "preference": 0},
        {"annotator": "p", "preference": 1, "revision": 1},
    ]
    comparisons_import(project=project, path=save(a_row(human=human)))
    first, second = Preference.objects.order_by("pk")
    assert second.supersedes_id == first.pk
    assert Comparison.objects.get().open_slots == 1


def test_a_correction_that_comes_later_supersedes_the_standing_verdict(
    project: Project, save: Save
) -> None:
    first = {"annotator": "p", "preference": 0}
    comparisons_import(project=project, path=save(a_row(human=[first])))
    correction = {"annotator": "p", "preference": 1, "revision": 1}
    comparisons_import(project=project, path=save(a_row(human=[first, correction])))
    assert Preference.objects.current().get().ranking == [1, 0]


def test_a_dry_run_counts_and_writes_nothing(project: Project, save: Save) -> None:
    path = save(a_row(human=[{"preference": 0}]), a_row("q2"))
    report = comparisons_import(project=project, path=path, dry_run=True)
    assert (report.is_ok, report.n_created, report.n_preferences) == (True, 2, 1)
    assert counts() == (0, 0, 0, 0, 0)


BAD_LINES: list[tuple[bytes | dict[str, Any], str]] = [
    (b'{"id": "q2", "prompt"', "not JSON"),
    (a_row("q2", score=1), "Unknown field 'score'"),
    (a_row("q1"), "used in row 1 already"),
    (a_row("q2", responses=[{"text": "only one"}]), "2 to 26 responses"),
    (b'{"id": "q2\xff"}', "not UTF-8"),
    (b'{"id": "q2", "prompt": "' + b"x" * 50_000_000 + b'"}', "longer than 20 MB"),
    (a_row("q2", human=[{"preference": 7}]), "no response number 7"),
    (a_row("q2", human=[{"preference": 0, "revision": 1}]), "corrects no verdict"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_one_bad_row_keeps_every_row_out(
    project: Project, save: Save, line: bytes | dict[str, Any], message: str
) -> None:
    report = comparisons_import(project=project, path=save(a_row(), line, a_row("q3")))
    (error,) = report.errors
    assert (report.is_ok, report.n_errors, error.row) == (False, 1, 2)
    assert message in error.message
    assert error.remedy
    assert (report.n_created, counts()) == (0, (0, 0, 0, 0, 0))


def test_a_good_file_imports_where_the_bad_ones_were_refused(project: Project, save: Save) -> None:
    assert comparisons_import(project=project, path=save(a_row(), a_row("q3"))).is_ok
    assert Comparison.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prompt": "Who?"}, "prompt"),
        ({"responses": [{"id": "a", "text": "uno"}, {"id": "b", "text": "two"}]}, "responses"),
        ({"criterion": "Kind?"}, "criterion"),
        ({"meta": {"x": 1}}, "meta"),
    ],
)
def test_a_known_id_with_another_content_is_refused(
    project: Project, save: Save, changes: dict[str, Any], field: str
) -> None:
    comparisons_import(project=project, path=save(a_row()))
    report = comparisons_import(project=project, path=save(a_row(**changes)))
    assert [(error.row, error.field) for error in report.errors] == [(1, field)]


def test_another_verdict_of_the_same_annotator_is_refused(project: Project, save: Save) -> None:
    first, other = ([{"annotator": "p", "preference": index}] for index in (0, 1))
    comparisons_import(project=project, path=save(a_row(human=first)))
    report = comparisons_import(project=project, path=save(a_row(human=other)))
    assert "has another verdict" in report.errors[0].message
    assert Preference.objects.count() == 1


def test_a_file_cannot_speak_for_somebody_who_labels_here(
    project: Project, save: Save, django_user_model: type[User]
) -> None:
    user = django_user_model.objects.create_user("ben")
    make_annotator(project, name="person-1", user=user)
    row = a_row(human=[{"annotator": "person-1", "preference": 0}])
    report = comparisons_import(project=project, path=save(row))
    assert "labels in this project" in report.errors[0].message


def test_a_hundred_errors_are_kept_and_all_are_counted(project: Project, save: Save) -> None:
    report = comparisons_import(project=project, path=save(*[b"{}"] * 250))
    assert (report.n_errors, len(report.errors)) == (250, 100)
    assert [error.row for error in report.errors] == list(range(1, 101))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04"])
def test_a_file_that_is_no_data_is_an_error_not_an_exception(
    project: Project, save: Save, content: bytes
) -> None:
    report = comparisons_import(project=project, path=save(content))
    assert (report.is_ok, isinstance(report.errors[0], RowError)) == (False, True)


def test_rows_of_one_csv_comparison_bring_one_label_each(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "id,prompt,response_a,response_b,preference,annotator\n"
        "q1,Why?,one,two,a,p\nq1,Why?,one,two,b,q\nq2,Why?,one,two,tie,p\n"
    )
    for _ in range(2):
        report = comparisons_import(project=project, path=path)
        assert report.is_ok
    assert (Comparison.objects.count(), Preference.objects.count()) == (2, 3)


def test_a_csv_row_that_comes_twice_is_one_verdict(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    row = "q1,Why?,one,two,a,p\n"
    path.write_text(f"id,prompt,response_a,response_b,preference,annotator\n{row}{row}")
    report = comparisons_import(project=project, path=path)
    assert (report.is_ok, report.n_created, report.n_preferences) == (True, 1, 1)
    assert Preference.objects.count() == 1


def test_rows_of_one_csv_comparison_may_lie_batches_apart(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 1)
    path = tmp_path / "rows.csv"
    path.write_text(
        "id,prompt,response_a,response_b,preference,annotator\n"
        "q1,Why?,one,two,a,p\nq2,Who?,one,two,a,p\nq1,Why?,one,two,b,q\n"
    )
    dry = comparisons_import(project=project, path=path, dry_run=True)
    report = comparisons_import(project=project, path=path)
    assert dry.n_created == report.n_created == 2
    assert Preference.objects.count() == 3


def test_a_contradiction_that_shows_only_while_writing_takes_everything_back(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 1)
    path = tmp_path / "rows.csv"
    path.write_text(
        "id,prompt,response_a,response_b,preference,annotator\n"
        "q1,Why?,one,two,a,p\nq1,Why?,one,two,b,p\n"
    )
    report = comparisons_import(project=project, path=path)
    assert (report.is_ok, report.errors[0].row) == (False, 3)
    assert (report.n_created, counts()) == (0, (0, 0, 0, 0, 0))


def test_csv_rows_of_one_id_must_agree_on_their_texts(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,prompt,response_a,response_b\nq1,Why?,one,two\nq1,Who?,one,two\n")
    (error,) = comparisons_import(project=project, path=path).errors
    assert (error.row, "another content" in error.message) == (3, True)


def test_progress_tells_phase_and_rows(project: Project, save: Save) -> None:
    told: list[ImportProgress] = []
    comparisons_import(project=project, path=save(a_row(), a_row("q2")), progress=told.append)
    comparisons_import(project=project, path=save(a_row(), a_row("q3")), progress=told.append)
    assert told == [
        ImportProgress("writing", 2, None),
        ImportProgress("checking", 2, None),
        ImportProgress("writing", 2, 2),
    ]


def test_a_crash_while_writing_leaves_nothing(
    project: Project, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 1)

    def fail_late(progress: ImportProgress) -> None:
        if progress == ImportProgress("writing", 2, None):
            raise ConnectionResetError

    path = save(a_row(), a_row("q2"), a_row("q3"))
    with pytest.raises(ConnectionResetError):
        comparisons_import(project=project, path=path, progress=fail_late)
    assert counts() == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(("n_rows", "is_known"), [(2, False), (3, True)])
def test_tables_believed_empty_are_made_known_to_the_planner_while_they_fill(
    project: Project, save: Save, monkeypatch: pytest.MonkeyPatch, n_rows: int, is_known: bool
) -> None:
    monkeypatch.setattr(import_writes, "ENOUGH", 3)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE annotate_comparison CASCADE")
        comparisons_import(project=project, path=save(*[a_row(f"q{n}") for n in range(n_rows)]))
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'annotate_comparison'")
        (believed,) = cursor.fetchone()
    assert (believed > 0) == is_known


def test_rows_made_in_the_app_stay_apart_from_imported_ones(project: Project, save: Save) -> None:
    made = make_comparison(project)
    comparisons_import(project=project, path=save(a_row()))
    assert Comparison.objects.exclude(pk=made.pk).get().external_id == "q1"
