import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from annotate.errors import BudgetExhausted, ConflictError
from annotate.models import Annotator, Assignment, Comparison, Project
from annotate.services.assignments import (
    assignment_close,
    assignment_heartbeat,
    assignment_lease_next,
    assignments_expire,
    comparisons_recount,
)
from tests.factories import make_annotator, make_comparison, make_preference, make_project

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
