import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from annotate.access import annotator_row
from annotate.errors import BudgetExhausted, ConflictError, NoWork
from annotate.models import Annotator, Assignment, Comparison, Project
from annotate.prepared import fetch_together
from annotate.services.assignments import (
    assignment_close,
    assignment_heartbeat,
    assignment_lease_next,
    assignments_expire,
    comparisons_recount,
)
from annotate.services.desk import Desk, glance_read, glance_statement
from tests.factories import (
    make_annotator,
    make_comparison,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db
State = Assignment.State


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def ben(project: Project) -> Annotator:
    return make_annotator(project, name="ben")


@pytest.fixture
def dora(project: Project) -> Annotator:
    return make_annotator(project, name="dora")


def lease(annotator: Annotator) -> Assignment:
    assignment = assignment_lease_next(annotator=annotator)
    assert assignment is not None
    return assignment


def run_out(assignment: Assignment) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=past)


def test_the_queue_follows_priority_and_then_age(project: Project, ben: Annotator) -> None:
    first, second = make_comparison(project), make_comparison(project)
    urgent = make_comparison(project, priority=5)
    taken = []
    for _ in range(3):
        assignment = assignment_lease_next(
            annotator=ben, exclude=[a.public_id for a in Assignment.objects.all()]
        )
        assert assignment is not None
        taken.append(assignment.comparison_id)
    assert taken == [urgent.pk, first.pk, second.pk]


def test_a_lease_takes_a_slot_and_asking_again_returns_the_same_lease(
    project: Project, ben: Annotator
) -> None:
    comparison = make_comparison(project)
    assignment = lease(ben)
    comparison.refresh_from_db()
    assert comparison.open_slots == 0
    assert lease(ben) == assignment


def test_a_comparison_with_one_slot_goes_to_one_annotator(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    make_comparison(project)
    lease(ben)
    assert assignment_lease_next(annotator=dora) is None


def test_an_annotator_never_gets_a_comparison_they_labelled(
    project: Project, ben: Annotator
) -> None:
    comparison = make_comparison(project, wanted_labels=2)
    make_preference(comparison, ben)
    comparisons_recount(comparison_ids=[comparison.pk])
    assert assignment_lease_next(annotator=ben) is None


def test_a_skipped_comparison_goes_to_somebody_else(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    make_comparison(project)
    assignment_close(assignment=lease(ben), state=State.SKIPPED, skip_reason="Not my language")
    assert assignment_lease_next(annotator=ben) is None
    assert lease(dora).state == State.LIVE


def test_a_returned_comparison_may_come_back_to_the_same_annotator(
    project: Project, ben: Annotator
) -> None:
    make_comparison(project)
    returned = lease(ben)
    assert assignment_close(assignment=returned, state=State.RETURNED)
    assert lease(ben) != returned


def test_closing_twice_frees_one_slot_only(project: Project, ben: Annotator) -> None:
    comparison = make_comparison(project)
    assignment = lease(ben)
    assignment_close(assignment=assignment, state=State.RETURNED)
    assert not assignment_close(assignment=assignment, state=State.RETURNED)
    comparison.refresh_from_db()
    assert comparison.open_slots == 1


def test_an_expired_lease_frees_its_slot_for_others(
    project: Project, ben: Annotator, dora: Annotator
) -> None:
    make_comparison(project)
    assignment = lease(ben)
    run_out(assignment)
    assert assignments_expire() == 1
    assert assignments_expire() == 0
    assert lease(dora).comparison_id == assignment.comparison_id


def test_a_heartbeat_extends_a_live_lease(project: Project, ben: Annotator) -> None:
    make_comparison(project)
    assignment = lease(ben)
    run_out(assignment)
    assert assignment_heartbeat(assignment=assignment).expires_at > timezone.now()


def test_a_heartbeat_on_an_ended_lease_is_a_conflict(project: Project, ben: Annotator) -> None:
    make_comparison(project)
    assignment = lease(ben)
    assignment_close(assignment=assignment, state=State.RETURNED)
    with pytest.raises(ConflictError, match="no longer yours"):
        assignment_heartbeat(assignment=assignment)


def test_a_fifth_open_lease_is_refused(project: Project, ben: Annotator) -> None:
    for _ in range(5):
        make_comparison(project)
    for _ in range(4):
        assignment_lease_next(
            annotator=ben, exclude=[a.public_id for a in Assignment.objects.all()]
        )
    with pytest.raises(ConflictError, match="several open"):
        assignment_lease_next(
            annotator=ben, exclude=[a.public_id for a in Assignment.objects.all()]
        )


def test_the_budget_is_reserved_by_a_lease_and_given_back(ben: Annotator) -> None:
    Project.objects.filter(pk=ben.project_id).update(budget_usd="0.50", human_price_usd="0.50")
    project = Project.objects.get(pk=ben.project_id)
    make_comparison(project)
    assignment = lease(ben)
    project.refresh_from_db()
    assert project.committed_usd == Decimal("0.50")
    assignment_close(assignment=assignment, state=State.RETURNED)
    project.refresh_from_db()
    assert project.committed_usd == 0


def test_no_lease_is_given_beyond_the_budget(ben: Annotator, dora: Annotator) -> None:
    Project.objects.filter(pk=ben.project_id).update(budget_usd="0.99", human_price_usd="0.50")
    project = Project.objects.get(pk=ben.project_id)
    comparisons = [make_comparison(project), make_comparison(project)]
    lease(ben)
    with pytest.raises(BudgetExhausted, match="used up"):
        assignment_lease_next(annotator=dora)
    left = Comparison.objects.filter(pk__in=[c.pk for c in comparisons], open_slots=1)
    assert left.count() == 1


def test_a_pairwise_protocol_never_serves_a_ranking(project: Project, ben: Annotator) -> None:
    make_comparison(project, texts=("One.", "Two.", "Three."))
    assert assignment_lease_next(annotator=ben) is None


def test_the_database_refuses_negative_slots_and_a_second_live_lease(
    project: Project, ben: Annotator
) -> None:
    comparison = make_comparison(project)
    assignment = lease(ben)
    with pytest.raises(IntegrityError), transaction.atomic():
        Comparison.objects.filter(pk=comparison.pk).update(open_slots=-1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Assignment.objects.create(
            comparison=comparison,
            annotator=ben,
            shown_order=[0, 1],
            leased_at=assignment.leased_at,
            expires_at=assignment.expires_at,
        )


def test_both_orders_are_shown_about_equally_often(project: Project) -> None:
    for number in range(400):
        make_comparison(project, prompt=f"Prompt {number}")
    annotators = [make_annotator(project) for _ in range(100)]
    for annotator in annotators:
        held: list[Assignment] = []
        for _ in range(4):
            assignment = assignment_lease_next(
                annotator=annotator, exclude=[a.public_id for a in held]
            )
            assert assignment is not None
            held.append(assignment)
    swapped = Assignment.objects.filter(shown_order=[1, 0]).count()
    # Binomial(400, 1/2) leaves 150..250 with probability 1 - 6e-7.
    assert 150 <= swapped <= 250


@pytest.mark.django_db(transaction=True)
def test_overlap_holds_when_many_ask_at_once() -> None:
    project = make_project(protocol={"overlap": 2})
    comparisons = [make_comparison(project) for _ in range(6)]
    annotators = [make_annotator(project) for _ in range(8)]
    together = threading.Barrier(8)

    def ask(annotator: Annotator) -> int:
        together.wait()
        held: list[Assignment] = []
        for _ in range(4):
            assignment = assignment_lease_next(
                annotator=annotator, exclude=[a.public_id for a in held]
            )
            if assignment is None:
                break
            held.append(assignment)
        connection.close()
        return len(held)

    with ThreadPoolExecutor(8) as pool:
        given = sum(pool.map(ask, annotators))
    assert given == 12
    for comparison in comparisons:
        comparison.refresh_from_db()
        assert comparison.open_slots == 0
        assert comparison.assignments.filter(state=State.LIVE).count() == 2


def glance(annotator: Annotator) -> Desk:
    """The annotator's desk, read without a lock as a request reads it."""
    assert annotator.user_id is not None
    statement = glance_statement(user_id=annotator.user_id, slug=annotator.project.slug)
    (rows,) = fetch_together(statement)
    desk = glance_read(annotator=annotator, rows=rows)
    assert desk is not None
    return desk


@pytest.fixture
def cleo(project: Project) -> Annotator:
    """Somebody with a place in the queue, who has labelled before."""
    make_comparison(project)
    cleo = annotator_row(project=project, user=make_user("cleo"))
    assignment_close(assignment=lease(cleo), state=State.SKIPPED)
    return cleo


def test_a_lease_on_a_desk_that_is_as_it_was_read_takes_the_head_of_the_queue(
    project: Project, cleo: Annotator
) -> None:
    first, _ = make_comparison(project, priority=2), make_comparison(project, priority=1)
    found = assignment_lease_next(annotator=cleo, glance=glance(cleo))
    assert found is not None
    assert (found.comparison_id, found.state) == (first.pk, State.LIVE)
    first.refresh_from_db()
    assert first.open_slots == first.wanted_labels - 1


def test_a_desk_that_another_request_used_meanwhile_gives_nothing_twice(
    project: Project, cleo: Annotator
) -> None:
    make_comparison(project, wanted_labels=3)
    make_comparison(project, wanted_labels=3)
    seen = glance(cleo)
    elsewhere = lease(cleo)
    # Asked with the old desk, it is the same lease: the annotator holds it and did not exclude it.
    assert assignment_lease_next(annotator=cleo, glance=seen) == elsewhere
    again = assignment_lease_next(annotator=cleo, exclude=[elsewhere.public_id], glance=seen)
    assert again is not None
    assert again.comparison_id != elsewhere.comparison_id


@pytest.mark.django_db(transaction=True)
def test_one_person_on_many_pages_at_once_gets_no_comparison_twice() -> None:
    project = make_project(protocol={"overlap": 3})
    cleo = annotator_row(project=project, user=make_user("cleo"))
    for _ in range(6):
        make_comparison(project)
    assignment_close(assignment=lease(cleo), state=State.RETURNED)
    together = threading.Barrier(4)

    def ask(_page: int) -> int:
        mine = Annotator.objects.select_related("project").get(pk=cleo.pk)
        seen = glance(mine)
        together.wait()
        found = assignment_lease_next(annotator=mine, glance=seen)
        connection.close()
        assert found is not None
        return found.comparison_id

    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(ask, range(4)))
    held = cleo.assignments.filter(state=State.LIVE).values_list("comparison_id", flat=True)
    # One took what all had seen at the head; the others found it held and were given it again.
    assert list(held) == given[:1]
    assert set(given) == set(held)


def test_a_pause_since_the_desk_was_read_holds(project: Project, cleo: Annotator) -> None:
    make_comparison(project)
    seen = glance(cleo)
    Annotator.objects.filter(pk=cleo.pk).update(paused_at=timezone.now())
    with pytest.raises(NoWork):
        assignment_lease_next(annotator=cleo, glance=seen)


def test_a_slot_that_somebody_took_since_the_desk_was_read_is_not_given_again(
    project: Project, cleo: Annotator, ben: Annotator
) -> None:
    make_comparison(project, wanted_labels=1, priority=9)
    seen = glance(cleo)
    lease(ben)
    assert assignment_lease_next(annotator=cleo, glance=seen) is None


def test_a_spent_budget_is_told_at_once(project: Project, cleo: Annotator) -> None:
    make_comparison(project)
    seen = glance(cleo)
    Project.objects.filter(pk=project.pk).update(budget_usd=0, human_price_usd=1)
    with pytest.raises(BudgetExhausted):
        assignment_lease_next(annotator=cleo, glance=replace(seen, price_usd=Decimal(1)))
