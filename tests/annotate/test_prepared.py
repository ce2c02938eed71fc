import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DataError, connection, transaction
from django.utils import timezone

from annotate.models import Annotator, Assignment, Comparison, Preference, Project
from annotate.prepared import (
    PreparedQuery,
    Statement,
    by_name,
    fetch_prepared,
    fetch_together,
    insert_prepared,
)
from tests.factories import make_annotator, make_comparison, make_project

COMPARISONS = PreparedQuery(
    lambda project, name: (
        Comparison.objects.select_related("prompt")
        .filter(project_id=project, external_id=name, n_responses=2)
        .order_by("pk")
    ),
    project=-7_001,
    name="the name",
)


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.mark.django_db
def test_a_prepared_query_gives_what_the_orm_gives(project: Project) -> None:
    comparison = make_comparison(project, metadata={"topic": "sky", "n": [1, 2]})
    (found,) = COMPARISONS.rows(project=project.pk, name=comparison.external_id)
    known = Comparison.objects.select_related("prompt").get(pk=comparison.pk)
    assert (found, found.metadata, found.prompt.turns, found.created_at) == (
        known, known.metadata, known.prompt.turns, known.created_at
    )  # fmt: skip


@pytest.mark.django_db
def test_a_prepared_query_is_asked_again_with_other_values(project: Project) -> None:
    first, second = make_comparison(project), make_comparison(project)
    names = [first.external_id, second.external_id, "unknown"]
    found = [COMPARISONS.first(project=project.pk, name=name) for name in names]
    assert found == [first, second, None]


@pytest.mark.django_db
def test_a_prepared_query_that_ignores_a_value_is_refused() -> None:
    query = PreparedQuery(
        lambda project, name: Project.objects.filter(pk=project), project=-1, name="x"
    )
    with pytest.raises(LookupError, match="does not use name"):
        query.rows(project=1, name="y")


@pytest.mark.django_db
def test_an_object_is_inserted_with_all_its_fields(project: Project) -> None:
    comparison, annotator = make_comparison(project), make_annotator(project)
    key = uuid.uuid4()
    row = Preference(
        comparison=comparison, annotator=annotator, protocol=project.protocol, verdict="ranked",
        ranking=[1, 0], strength=2.0, aspects={"a": 1}, spans=[{"start": 0}], active_ms=None,
        cost_usd="0.25", source="app", idempotency_key=key, rationale='"quoted" \N{GRINNING FACE}',
    )  # fmt: skip
    insert_prepared(row)
    found = Preference.objects.get(idempotency_key=key)
    assert found.pk == row.pk
    assert (found.ranking, found.strength, found.aspects, found.spans) == (
        [1, 0], 2.0, {"a": 1}, [{"start": 0}]
    )  # fmt: skip
    assert (found.rationale, found.active_ms, str(found.cost_usd)) == (
        '"quoted" \N{GRINNING FACE}', None, "0.250000"
    )  # fmt: skip
    assert abs((timezone.now() - found.created_at).total_seconds()) < 60


def backend_end() -> None:
    """End the server process behind this connection, as a restart of PostgreSQL does."""
    (pid,) = fetch_prepared("SELECT pg_backend_pid()", {})
    settings = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    known = {name: settings[name] for name in names if settings.get(name)}
    with psycopg.connect(**known, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.fixture
def new_request() -> Iterator[None]:
    """As Django leaves a connection before a request."""
    connection.ensure_connection()
    yield
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_the_first_statement_of_a_request_survives_a_restart_of_the_server(
    new_request: None,
) -> None:
    backend_end()
    connection.health_check_done = False  # type: ignore[attr-defined]
    assert fetch_together(("SELECT 42", {})) == [[(42,)]]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_again_in_the_middle_of_a_transaction(new_request: None) -> None:
    def change_half() -> None:
        with transaction.atomic():
            backend_end()
            connection.health_check_done = False  # type: ignore[attr-defined]
            fetch_together(("SELECT 42", {}))

    with pytest.raises(Exception, match=r"terminat|closed"):
        change_half()


@pytest.mark.django_db
def test_annotations_come_with_a_prepared_query(project: Project) -> None:
    from annotate.services.assignments import assignment_lease_next

    make_comparison(project, texts=("one", "two"))
    annotator = make_annotator(project, name="ben", kind=Annotator.Kind.HUMAN)
    lease = assignment_lease_next(annotator=annotator)
    assert isinstance(lease, Assignment)
    assert lease.canonical_texts == ["one", "two"]  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_statements_of_one_journey_see_what_those_before_them_did(project: Project) -> None:
    change = ("UPDATE annotate_project SET name = %(name)s WHERE id = %(pk)s RETURNING 1",)
    read = ("SELECT name, %(pk)s::int FROM annotate_project WHERE id = %(pk)s",)
    values = {"name": "Renamed", "pk": project.pk}
    assert fetch_together((*change, values), (*read, values)) == [[(1,)], [("Renamed", project.pk)]]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_a_journey_begins_ends_with_its_block() -> None:
    before = fetch_prepared("SELECT count(*) FROM auth_group", {})
    add = ("INSERT INTO auth_group (name) VALUES (%s) RETURNING 1", ["seen by nobody"])
    with transaction.atomic():
        fetch_together(add, ("SELECT 2", ()))
        transaction.set_rollback(True)
    assert fetch_prepared("SELECT count(*) FROM auth_group", {}) == before


@pytest.mark.django_db
def test_what_follows_a_failing_statement_is_not_done(project: Project) -> None:
    change = ("UPDATE annotate_project SET name = 'Renamed' RETURNING 1", ())
    with pytest.raises(DataError, match="division"), transaction.atomic():
        fetch_together(("SELECT 1 / %(zero)s::int", {"zero": 0}), change)
    project.refresh_from_db()
    assert project.name != "Renamed"


@pytest.mark.django_db
def test_an_object_is_inserted_only_for_what_is_given(project: Project) -> None:
    refused, stored = Project(name="A", slug="refused"), Project(name="B", slug="stored")
    insert_prepared(refused, given=("SELECT 1 WHERE %s = 2", [1]))
    (after,) = insert_prepared(stored, along=[("SELECT max(id) FROM annotate_project", ())])
    assert refused.pk is None
    assert after == [(stored.pk,)]
    assert not Project.objects.filter(slug="refused").exists()


@pytest.mark.parametrize(
    ("statement", "beside"),
    [
        (None, []),
        (
            ("SELECT 1, NULL, %(b)s::int + %(b)s::int + %(a)s::int", {"a": 4, "b": 5}),
            [(1, None, 14)],
        ),
        (("SELECT %s::int", [7]), [(7,)]),
        (("SELECT 1 WHERE false", ()), []),
    ],
)
@pytest.mark.django_db
def test_a_statement_of_one_row_comes_beside_an_object(
    project: Project, statement: Statement | None, beside: list[tuple[Any, ...]]
) -> None:
    comparison = make_comparison(project)
    values = {"project": project.pk, "name": comparison.external_id}
    assert COMPARISONS.rows_beside(statement, **values) == ([comparison], beside)


@pytest.mark.django_db
def test_nothing_comes_beside_no_object(project: Project) -> None:
    found = COMPARISONS.rows_beside(("SELECT 1", ()), project=project.pk, name="nobody")
    assert found == ([], [])


@pytest.mark.django_db(transaction=True)
def test_statements_outside_a_block_are_kept_or_undone_as_a_whole(project: Project) -> None:
    change = (
        "UPDATE annotate_project SET name = %s WHERE id = %s RETURNING id",
        ["New", project.pk],
    )
    with pytest.raises(DataError):
        fetch_together(change, ("SELECT 1 / (%s::int - 1)", [1]))
    assert not Project.objects.filter(name="New").exists()
    fetch_together(change, ("SELECT 1", ()))
    assert Project.objects.filter(name="New").exists()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (("SELECT %s, %s", [4, 5]), ("SELECT %(a0)s, %(a1)s", {"a0": 4, "a1": 5})),
        (("SELECT %(b)s", {"b": 4}), ("SELECT %(b)s", {"b": 4})),
        (("SELECT 1", ()), ("SELECT 1", {})),
    ],
)
def test_a_statement_is_named_so_that_it_fits_into_another(
    statement: Statement, named: Statement
) -> None:
    assert by_name(statement, "a") == named
