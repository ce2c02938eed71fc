"""Comparisons leave the database in chunks: whole, in order, and without holding a connection."""

from itertools import islice
from typing import Any

import pytest
from django.db import connection, transaction

from annotate.models import Preference, Project
from annotate.selectors.records import (
    comparison_records,
    dataset_cut,
    preferences_of,
    records_stream,
)
from tests.factories import make_annotator, make_comparison, make_preference, make_project

N = 7


@pytest.fixture(autouse=True)
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks that end in the middle of the comparisons."""
    monkeypatch.setattr("annotate.selectors.records.CHUNK", 3)
    monkeypatch.setattr("annotate.selectors.records.TAKE_EVERY", 2)


def labelled_project() -> Project:
    """Seven comparisons with a verdict each, among those of another project."""
    project, other = make_project(), make_project()
    annotator = make_annotator(project, name="p")
    for number in range(N):
        make_comparison(other)
        comparison = make_comparison(project, prompt=f"Why {number}?", external_id=f"c{number}")
        make_preference(comparison, annotator, (1, 0), strength=2.0)
    return project


def streamed(project: Project) -> list[Any]:
    """The project's comparisons."""
    return list(records_stream(project=project, cut=dataset_cut(project=project)))


@pytest.mark.django_db(transaction=True)
def test_both_ways_to_read_give_the_same_records_in_order() -> None:
    project = labelled_project()
    ahead = streamed(project)
    with transaction.atomic():
        in_turn = streamed(project)
    assert ahead == in_turn
    assert [record.external_id for record in ahead] == [f"c{number}" for number in range(N)]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_sees_what_it_has_not_committed() -> None:
    project = labelled_project()
    with transaction.atomic():
        make_comparison(project, external_id="new")
        assert streamed(project)[-1].external_id == "new"
        transaction.set_rollback(True)
    assert len(streamed(project)) == N


@pytest.mark.django_db(transaction=True)
def test_the_database_may_be_asked_between_two_records() -> None:
    project = labelled_project()
    records = records_stream(project=project, cut=dataset_cut(project=project))
    counts = [Preference.objects.filter(comparison=record.row).count() for record in records]
    assert counts == [1] * N


@pytest.mark.django_db(transaction=True)
def test_who_stops_early_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    own = connection.copy()
    monkeypatch.setattr(type(own), "copy", lambda self: own)
    project = labelled_project()
    records = records_stream(project=project, cut=dataset_cut(project=project))
    assert len(list(islice(records, 4))) == 4
    assert own.connection is not None
    records.close()  # type: ignore[attr-defined]
    assert own.connection is None


@pytest.mark.django_db
def test_whole_numbers_stay_what_they_were() -> None:
    project = make_project()
    judge = make_annotator(project, kind="judge")
    comparison = make_comparison(project, metadata={"whole": 1, "point": 1.0})
    make_preference(
        comparison, judge, strength=-2.0, confidence=3.0, probability=1.0, cost_usd=2, active_ms=4
    )
    (record,) = streamed(project)
    (verdict,) = record.preferences
    found = (verdict.strength, verdict.confidence, verdict.probability, verdict.origin["cost_usd"])
    assert repr(found) == "(-2.0, 3.0, 1.0, 2.0)"
    assert repr((verdict.active_ms, record.metadata)) == "(4, {'point': 1.0, 'whole': 1})"


@pytest.mark.django_db
def test_a_correction_counts_from_the_verdict_that_it_replaces() -> None:
    comparison = make_comparison(make_project())
    p = make_annotator(comparison.project, name="p")
    q = make_annotator(comparison.project, name="q")
    first = make_preference(comparison, p, (0, 1))
    make_preference(comparison, q, (0, 1))
    second = make_preference(comparison, p, (1, 0), supersedes=first)
    make_preference(comparison, p, (0, 0), supersedes=second)
    (record,) = comparison_records(comparison_ids=[comparison.pk])
    revisions = [(verdict.annotator, verdict.revision) for verdict in record.preferences]
    assert revisions == [("p", 0), ("q", 0), ("p", 1), ("p", 2)]
    assert preferences_of(comparison_ids=[comparison.pk]) == {
        comparison.pk: list(record.preferences)
    }


@pytest.mark.django_db
def test_ranks_with_gaps_come_out_dense() -> None:
    comparison = make_comparison(make_project(), texts=("x", "y", "z"))
    annotator = make_annotator(comparison.project)
    make_preference(comparison, annotator, (4, 0, 2), shown_order=[2, 0, 1])
    (record,) = comparison_records(comparison_ids=[comparison.pk])
    assert record.preferences[0].ranking == (2, 0, 1)
    assert record.preferences[0].shown_order == (2, 0, 1)
