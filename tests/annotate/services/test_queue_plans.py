"""Plans that stay right while a project's first labels come in faster than statistics do.

A plan is made once per connection, often when a table holds hardly anything. The walk along the
queue asks the labels and leases once for every row that it meets: those questions must be answered
by the comparison, or they grow with all that somebody has ever labelled.

Tables are not read from end to end here (``enable_seqscan``): how large the tables and indexes of a
test's database are depends on the tests before it, and which index is asked is what matters.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from annotate.models import Annotator, Assignment, Comparison
from annotate.prepared import Statement, _numbered, by_name
from annotate.selectors.labelling import standing_statement
from annotate.services.desk import desk_open
from annotate.services.queue import _QUEUE_SQL, NOTHING_SHOWN, _parameters, _taking
from tests.factories import make_annotator, make_comparison, make_preference, make_project

N_LABELS = 150
ASKED = {"annotate_assignment", "annotate_preference"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def asked_by(statement: Statement) -> list[dict[str, Any]]:
    """How a statement reads labels and leases when every index is better than none."""
    text, _ = _numbered(statement[0])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}".replace("%", "%%"), [])
        plan = dict(cursor.fetchone()[0][0]["Plan"])
    return [node for node in nodes(plan) if node.get("Relation Name") in ASKED]


def drop_indexes_by_comparison() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = ANY(%s)"
            " AND indexdef LIKE '%%USING btree (comparison_id%%'",
            [list(ASKED)],
        )
        names = [name for (name,) in cursor.fetchall()]
        assert len(names) == 4
        cursor.execute(f"DROP INDEX {', '.join(names)}")


def given_lease(comparison: Comparison, annotator: Annotator) -> Assignment:
    now = timezone.now()
    return Assignment(
        comparison=comparison,
        annotator=annotator,
        state=Assignment.State.SUBMITTED,
        shown_order=[0, 1],
        leased_at=now,
        expires_at=now,
        closed_at=now,
        price_usd=0,
    )


@pytest.fixture
def statements(db: None) -> dict[str, Statement]:
    """The two that walk the queue, in a project of which the planner knows few labels."""
    project = make_project()
    annotator = make_annotator(project)
    comparisons = [make_comparison(project) for _ in range(N_LABELS)]
    Assignment.objects.bulk_create(
        [given_lease(comparison, annotator) for comparison in comparisons]
    )
    for comparison in comparisons:
        make_preference(comparison, annotator)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    showing, values = by_name(NOTHING_SHOWN, "shown_")
    take = (
        _taking(_QUEUE_SQL, "SKIP LOCKED", showing),
        _parameters(desk_open(annotator=annotator)) | values,
    )
    return {"take": take, "standing": standing_statement(annotator=annotator)}


@pytest.mark.parametrize("name", ["take", "standing"])
def test_labels_and_leases_are_asked_by_their_comparison(
    name: str, statements: dict[str, Statement]
) -> None:
    asked = asked_by(statements[name])
    assert len([node for node in asked if "comparison_id" in node.get("Index Cond", "")]) >= 2
    assert [node for node in asked if "comparison_id" in node.get("Filter", "")] == []


@pytest.mark.parametrize("name", ["take", "standing"])
def test_no_index_by_annotator_could_answer_instead(
    name: str, statements: dict[str, Statement]
) -> None:
    drop_indexes_by_comparison()
    asked = [
        node for node in asked_by(statements[name]) if "comparison_id" in node.get("Filter", "")
    ]
    assert len(asked) >= 2
    assert [node for node in asked if "annotator_id" in node.get("Index Cond", "")] == []


def test_connections_suppose_a_disk_that_does_not_turn(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW random_page_cost")
        assert cursor.fetchone() == ("1.1",)
