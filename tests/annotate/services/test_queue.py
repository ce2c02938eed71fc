"""Who gets what next: skills, gifts, quotas, skips, and the place in the queue that saves walking.

Most tests ask twice: an annotator's first request sets their place, the second one relies on it.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotate.errors import NoWork
from annotate.models import Annotator, Assignment, Comparison, Project, QueuePlace, Reservation
from annotate.services import queue
from annotate.services.assignments import (
    annotator_leases_return,
    assignment_close,
    assignment_lease_next,
    assignments_expire,
    comparisons_recount,
)
from annotate.services.desk import desk_open
from tests.factories import make_annotator, make_comparison, make_preference, make_project

pytestmark = pytest.mark.django_db
State = Assignment.State


@pytest.fixture
def project() -> Project:
    return make_project(protocol={"overlap": 2})


@pytest.fixture
def ben(project: Project) -> Annotator:
    return make_annotator(project, name="ben")


@pytest.fixture
def dora(project: Project) -> Annotator:
    return make_annotator(project, name="dora")


def change_protocol(project: Project, **fields: Any) -> None:
    project.protocols.update(**fields)


def label(assignment: Assignment) -> None:
    """Close a lease as a label does, without the form around it."""
    make_preference(assignment.comparison, assignment.annotator, assignment=assignment)
    Assignment.objects.filter(pk=assignment.pk).update(
        state=State.SUBMITTED, closed_at=timezone.now()
    )
    comparisons_recount(comparison_ids=[assignment.comparison_id])


def next_for(annotator: Annotator) -> Assignment:
    assignment = assignment_lease_next(annotator=annotator)
    assert assignment is not None
    return assignment


def labelled_all(annotator: Annotator) -> list[int]:
    """Label until nothing is left; the ids in the order in which they were served."""
    served = []
    while (assignment := assignment_lease_next(annotator=annotator)) is not None:
        label(assignment)
        served.append(assignment.comparison_id)
    return served


# --- The place in the queue ---------------------------------------------------------------------


def test_a_slot_that_comes_back_before_the_place_is_served_next(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    change_protocol(project, overlap=1)
    full = make_comparison(project, wanted_labels=1)
    others = [make_comparison(project, wanted_labels=1) for _ in range(3)]
    held = next_for(dora)
    label(next_for(ben))
    assignment_close(assignment=held, state=State.RETURNED)
    assert labelled_all(ben) == [full.pk, others[1].pk, others[2].pk]


def test_an_expired_slot_before_the_place_is_served_next(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    full, *others = [make_comparison(project, wanted_labels=1) for _ in range(3)]
    held = next_for(dora)
    label(next_for(ben))
    past = timezone.now() - timedelta(seconds=1)
    Assignment.objects.filter(pk=held.pk).update(expires_at=past)
    assert labelled_all(ben) == [full.pk, others[1].pk]


@pytest.mark.parametrize("n_newcomers", [1, 5])
def test_what_is_made_urgent_later_is_served_next(
    project: Project, ben: Annotator, n_newcomers: int
) -> None:
    comparisons = [make_comparison(project) for _ in range(8)]
    label(next_for(ben))
    urgent = [comparison.pk for comparison in comparisons[-n_newcomers:]]
    Comparison.objects.filter(pk__in=urgent).update(priority=2)
    # Above the limit everybody starts at the head again; both ways must serve the same.
    with patch.object(queue, "NEWCOMERS", 2):
        assert labelled_all(ben)[:n_newcomers] == urgent


def test_comparisons_that_arrive_when_nothing_was_left_are_served(
    project: Project, ben: Annotator
) -> None:
    make_comparison(project)
    assert len(labelled_all(ben)) == 1
    late = [make_comparison(project), make_comparison(project, priority=-3)]
    assert labelled_all(ben) == [comparison.pk for comparison in late]


def test_a_new_protocol_forgets_the_place(project: Project, ben: Annotator) -> None:
    ranking = make_comparison(project, texts=("One.", "Two.", "Three."))
    make_comparison(project)
    assert len(labelled_all(ben)) == 1
    protocol = project.protocol
    protocol.pk, protocol.version, protocol.kind = None, 2, "ranking"
    protocol.save()
    assert labelled_all(ben) == [ranking.pk]


def test_a_place_of_another_cluster_or_an_hour_ago_is_forgotten(
    project: Project, ben: Annotator
) -> None:
    make_comparison(project)
    labelled_all(ben)
    QueuePlace.objects.update(seen_xid=2**60)
    missed = make_comparison(project)
    assert labelled_all(ben) == [missed.pk]
    QueuePlace.objects.update(seen_xid=0, walked_at=timezone.now() - timedelta(hours=2))
    assert labelled_all(ben) == []
    assert QueuePlace.objects.get().walked_at > timezone.now() - timedelta(minutes=1)


def test_walking_from_the_place_reads_no_more_rows_than_from_a_fresh_head(
    project: Project, ben: Annotator
) -> None:
    for _ in range(30):
        make_comparison(project)
    for _ in range(20):
        label(next_for(ben))
    place = QueuePlace.objects.get()
    ids = list(Comparison.objects.order_by("pk").values_list("pk", flat=True))
    assert place.comparison_id == ids[19]


def test_a_request_costs_the_same_queries_in_any_project(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    for _ in range(3):
        make_comparison(project)
    label(next_for(ben))
    with CaptureQueriesContext(connection) as few:
        label(next_for(ben))
    for _ in range(40):
        make_comparison(project)
    for _ in range(15):
        label(next_for(ben))
    with CaptureQueriesContext(connection) as many:
        label(next_for(ben))
    assert len(few) == len(many)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["label", "return", "skip", "expire", "raise", "make", "free"]),
        st.integers(0, 2),
    ),
    max_size=25,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=OPERATIONS)
def test_a_place_never_hides_a_comparison(operations: list[tuple[str, int]]) -> None:
    project = make_project(protocol={"overlap": 2})
    people = [make_annotator(project) for _ in range(3)]
    for _ in range(3):
        make_comparison(project)
    for name, who in operations:
        happen(name, project, people[who])
        for person in people:
            assert head_with_place(person) == head_by_search(person)


def happen(name: str, project: Project, person: Annotator) -> None:
    """Let one thing happen that moves slots."""
    newest = project.comparisons.order_by("-pk")[0]
    if name == "make":
        make_comparison(project, priority=project.comparisons.count() % 3)
    elif name == "raise":
        Comparison.objects.filter(pk=newest.pk).update(priority=newest.priority + 1)
    elif name == "free":
        annotator_leases_return(annotator=person)
    else:
        move(name, assignment_lease_next(annotator=person))


def move(name: str, assignment: Assignment | None) -> None:
    """End a lease in one of the four ways."""
    if assignment is None:
        return
    if name == "label":
        label(assignment)
    elif name == "expire":
        past = timezone.now() - timedelta(seconds=1)
        Assignment.objects.filter(pk=assignment.pk).update(expires_at=past)
        assignments_expire()
    else:
        state = State.SKIPPED if name == "skip" else State.RETURNED
        assignment_close(assignment=assignment, state=state)


def head_with_place(person: Annotator) -> int | None:
    """What the person would get next; nothing of the lease stays."""
    held = Assignment.objects.filter(annotator=person, state=State.LIVE)
    with transaction.atomic():
        assignment = assignment_lease_next(
            annotator=person, exclude=list(held.values_list("public_id", flat=True))
        )
        transaction.set_rollback(True)
    return None if assignment is None else assignment.comparison_id


def head_by_search(person: Annotator) -> int | None:
    """The same by looking at every comparison."""
    final = Assignment.objects.filter(
        annotator=person, state__in=[State.LIVE, State.SUBMITTED, State.SKIPPED]
    )
    left = person.project.comparisons.filter(open_slots__gt=0).exclude(
        pk__in=final.values("comparison_id")
    )
    return left.order_by("-priority", "pk").values_list("pk", flat=True).first()


@pytest.mark.slow
def test_ten_thousand_leases_show_both_orders_equally_often(
    project: Project, ben: Annotator
) -> None:
    first = make_comparison(project)
    rows = [
        Comparison(project=project, prompt=first.prompt, external_id=f"more-{n}", n_responses=2)
        for n in range(10_000)
    ]
    pks = [row.pk for row in Comparison.objects.bulk_create(rows)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
    desk = replace(desk_open(annotator=ben), rank=0.0)
    for pk in pks:
        assert queue.slot_take(desk=replace(desk, comparison_id=pk)) is not None
    leases = Assignment.objects.filter(annotator=ben)
    straight = leases.filter(shown_order=[0, 1]).count()
    assert leases.count() == 10_000
    assert 4_850 <= straight <= 5_150


# --- Skills, gifts, quotas ----------------------------------------------------------------------


def test_only_who_has_the_skill_is_asked(project: Project, ben: Annotator, dora: Annotator) -> None:
    plain, medical = make_comparison(project), make_comparison(project, skill="medicine")
    Annotator.objects.filter(pk=dora.pk).update(skills=["law", "medicine"])
    assert labelled_all(ben) == [plain.pk]
    assert labelled_all(dora) == [plain.pk, medical.pk]


def test_a_skill_learnt_later_opens_what_was_passed_by(project: Project, ben: Annotator) -> None:
    medical = make_comparison(project, skill="medicine")
    make_comparison(project)
    labelled_all(ben)
    Annotator.objects.filter(pk=ben.pk).update(skills=["medicine"])
    assert labelled_all(ben) == [medical.pk]


def test_a_reserved_comparison_goes_first_to_its_annotator_and_never_to_others(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    plain = make_comparison(project, priority=9)
    reserved = make_comparison(project, is_reserved=True)
    Reservation.objects.create(comparison=reserved, annotator=ben)
    assert labelled_all(dora) == [plain.pk]
    assert labelled_all(ben) == [reserved.pk, plain.pk]


def test_a_quota_ends_the_work_of_one_person(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    for _ in range(3):
        make_comparison(project)
    change_protocol(project, quota=2)
    label(next_for(ben))
    label(next_for(ben))
    with pytest.raises(NoWork, match="as many labels"):
        assignment_lease_next(annotator=ben)
    assert next_for(dora).state == State.LIVE


def test_a_lease_counts_toward_the_quota_until_it_is_given_back(
    project: Project, ben: Annotator
) -> None:
    for _ in range(2):
        make_comparison(project)
    change_protocol(project, quota=1)
    held = next_for(ben)
    with pytest.raises(NoWork):
        assignment_lease_next(annotator=ben, exclude=[held.public_id])
    assignment_close(assignment=held, state=State.RETURNED)
    assert next_for(ben).comparison_id == held.comparison_id


def test_who_is_paused_meanwhile_gets_nothing_and_leaves_nothing_held(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    change_protocol(project, overlap=1)
    comparison = make_comparison(project, wanted_labels=1)
    next_for(ben)
    Annotator.objects.filter(pk=ben.pk).update(is_active=False)
    assert annotator_leases_return(annotator=ben) == 1
    with pytest.raises(NoWork, match="paused"):
        assignment_lease_next(annotator=ben)
    assert next_for(dora).comparison_id == comparison.pk


def test_gold_is_never_handed_out_as_work(project: Project, ben: Annotator) -> None:
    make_comparison(project, is_gold=True)
    assert assignment_lease_next(annotator=ben) is None


@pytest.mark.parametrize("kind", ["gold", "qualification", "repeat", "review"])
def test_other_leases_than_work_take_no_slot(
    project: Project, ben: Annotator, dora: Annotator, kind: str
) -> None:
    comparison = make_comparison(project, wanted_labels=1)
    Assignment.objects.create(
        comparison=comparison,
        annotator=dora,
        kind=kind,
        shown_order=[0, 1],
        leased_at=timezone.now(),
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    comparisons_recount(comparison_ids=[comparison.pk])
    assert next_for(ben).comparison_id == comparison.pk


def skip(lease: Assignment) -> None:
    assignment_close(assignment=lease, state=State.SKIPPED, skip_reason="too_hard")


def test_skipped_for_others_it_never_comes_back(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    comparison = make_comparison(project, wanted_labels=1)
    skip(next_for(ben))
    assert labelled_all(ben) == []
    assert labelled_all(dora) == [comparison.pk]


def test_skipped_for_later_it_comes_back_after_everything_else(
    project: Project, ben: Annotator
) -> None:
    change_protocol(project, skip_policy="me")
    first, second, third = (make_comparison(project) for _ in range(3))
    skip(next_for(ben))
    skip(next_for(ben))
    assert labelled_all(ben) == [third.pk, first.pk, second.pk]
    states = Assignment.objects.filter(annotator=ben).values_list("state", flat=True)
    assert sorted(states) == ["returned", "returned", "submitted", "submitted", "submitted"]


def test_skipped_for_nobody_it_is_closed_for_everybody(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    change_protocol(project, skip_policy="nobody")
    comparison = make_comparison(project, wanted_labels=3)
    held = next_for(dora)
    skip(next_for(ben))
    comparison.refresh_from_db()
    assert (comparison.wanted_labels, comparison.open_slots) == (1, 0)
    assert assignment_lease_next(annotator=make_annotator(project)) is None
    assignment_close(assignment=held, state=State.RETURNED)
    comparison.refresh_from_db()
    assert (comparison.wanted_labels, comparison.open_slots) == (0, 0)
