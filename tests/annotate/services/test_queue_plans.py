"""Plans that stay right while a project's first labels come in faster than statistics do.

A plan is made once per connection, often when a table holds hardly anything. The walk along the
queue asks the labels and leases once for every row that it meets: those questions must be answered
by the comparison, or they grow with all that somebody has ever labelled.
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


def plan_of(statement: Statement) -> dict[str, Any]:
    text, _ = _numbered(statement[0])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}".replace("%", "%%"), [])
        return dict(cursor.fetchone()[0][0]["Plan"])


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
    asked = [
        node for node in nodes(plan_of(statements[name])) if node.get("Relation Name") in ASKED
    ]
    by_comparison = [node for node in asked if "comparison_id" in node.get("Index Cond", "")]
    assert len(by_comparison) >= 2
    assert [node for node in asked if "comparison_id" in node.get("Filter", "")] == []
