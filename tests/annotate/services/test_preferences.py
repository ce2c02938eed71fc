import uuid
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Annotator, Assignment, Preference, Project, Protocol
from annotate.selectors.labelling import given_verdict
from annotate.services.assignments import assignment_close, assignment_lease_next
from annotate.services.preferences import (
    Submission,
    VerdictInput,
    preference_submit,
    verdict_submit,
)
from tests.factories import make_annotator, make_comparison, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def ben(project: Project) -> Annotator:
    return make_annotator(project, name="ben")


@pytest.fixture
def assignment(project: Project, ben: Annotator) -> Assignment:
    make_comparison(project)
    leased = assignment_lease_next(annotator=ben)
    assert leased is not None
    return leased


def show(assignment: Assignment, order: list[int]) -> Assignment:
    Assignment.objects.filter(pk=assignment.pk).update(shown_order=order)
    assignment.refresh_from_db()
    return assignment


def submit(assignment: Assignment, **given: Any) -> Preference:
    verdict = VerdictInput(**{"verdict": "ranked", "strength": -2, **given})
    preference, _ = preference_submit(
        assignment=assignment, given=verdict, idempotency_key=uuid.uuid4()
    )
    return preference


@pytest.mark.parametrize(
    ("order", "strength", "ranking", "stored"),
    [
        ([0, 1], -2, [0, 1], -2),
        ([0, 1], 1, [1, 0], 1),
        ([1, 0], -2, [1, 0], 2),
        ([1, 0], 1, [0, 1], -1),
    ],
)
def test_a_verdict_is_stored_in_canonical_order(
    assignment: Assignment, order: list[int], strength: int, ranking: list[int], stored: int
) -> None:
    preference = submit(show(assignment, order), strength=strength)
    assert preference.ranking == ranking
    assert preference.strength == stored
    assert preference.shown_order == order


@pytest.mark.parametrize(("verdict", "ranking"), [("tie", [0, 0]), ("both_bad", None)])
def test_a_verdict_without_direction_has_no_winner(
    assignment: Assignment, verdict: str, ranking: list[int] | None
) -> None:
    preference = submit(assignment, verdict=verdict, strength=0)
    assert preference.verdict == verdict
    assert preference.ranking == ranking


def test_the_same_key_again_returns_the_first_row(assignment: Assignment) -> None:
    key, given = uuid.uuid4(), VerdictInput(verdict="ranked", strength=-1)
    first, is_new = preference_submit(assignment=assignment, given=given, idempotency_key=key)
    again, is_new_again = preference_submit(assignment=assignment, given=given, idempotency_key=key)
    assert (first.pk, is_new, is_new_again) == (again.pk, True, False)
    assert Preference.objects.count() == 1


def test_second_verdict_by_the_same_annotator_is_refused(assignment: Assignment) -> None:
    submit(assignment)
    with pytest.raises(ConflictError, match="labelled this comparison already"):
        submit(assignment)


def test_a_revision_is_a_new_row_that_keeps_the_old_one(assignment: Assignment) -> None:
    first = submit(assignment)
    revised, _ = preference_submit(
        assignment=assignment,
        given=VerdictInput(verdict="tie"),
        idempotency_key=uuid.uuid4(),
        revise=True,
    )
    assert revised.supersedes == first
    assert list(Preference.objects.current()) == [revised]
    assert Preference.objects.count() == 2
    assert revised.cost_usd == 0


def test_a_late_label_is_kept_while_its_slot_is_free(assignment: Assignment) -> None:
    Assignment.objects.filter(pk=assignment.pk).update(
        state=Assignment.State.EXPIRED, closed_at=timezone.now()
    )
    preference = submit(assignment)
    assignment.refresh_from_db()
    assert assignment.state == Assignment.State.SUBMITTED
    preference.comparison.refresh_from_db()
    assert preference.comparison.open_slots == 0


def test_a_late_label_is_refused_when_somebody_else_has_the_slot(
    project: Project, assignment: Assignment
) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=past)
    assert assignment_lease_next(annotator=make_annotator(project)) is not None
    with pytest.raises(ConflictError, match="somebody else"):
        submit(assignment)
    assert Preference.objects.count() == 0


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"verdict": "perhaps"}, "verdict"),
        ({"verdict": "cannot_judge", "strength": 0}, "verdict"),
        ({"strength": 0}, "strength"),
        ({"strength": -3}, "strength"),
        ({"verdict": "tie", "strength": 1}, "strength"),
        ({"ranking": (0, 1, 2)}, "ranking"),
        ({"ranking": (0, 5)}, "ranking"),
        ({"ranking": (0, 0)}, "ranking"),
    ],
)
def test_a_verdict_outside_the_protocol_names_its_field(
    assignment: Assignment, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ApplicationError) as refusal:
        submit(assignment, **given)
    assert refusal.value.field == field
    assert Preference.objects.count() == 0
    assignment.refresh_from_db()
    assert assignment.state == Assignment.State.LIVE


def test_a_required_reason_is_required() -> None:
    project = make_project(protocol={"rationale": "required", "rationale_min_chars": 10})
    make_comparison(project)
    assignment = assignment_lease_next(annotator=make_annotator(project))
    assert assignment is not None
    with pytest.raises(ApplicationError, match="at least 10"):
        submit(assignment, rationale="too few")
    assert submit(assignment, rationale="long enough now").rationale == "long enough now"


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_database_refuses_to_change_a_label(assignment: Assignment, change: str) -> None:
    preference = submit(assignment)
    rows = Preference.objects.filter(pk=preference.pk)
    changes = {"update": lambda: rows.update(rationale="edited"), "delete": rows.delete}
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        changes[change]()
    preference.refresh_from_db()
    assert preference.rationale == ""


@pytest.fixture
def two_aspects() -> Assignment:
    aspects = [{"key": "helpful", "name": "Helpful"}, {"key": "truthful", "name": "Truthful"}]
    project = make_project(protocol={"aspects": aspects})
    make_comparison(project)
    leased = assignment_lease_next(annotator=make_annotator(project))
    assert leased is not None
    return leased


@pytest.mark.parametrize(("order", "sign"), [([0, 1], 1), ([1, 0], -1)])
def test_aspect_strengths_are_stored_in_canonical_order(
    two_aspects: Assignment, order: list[int], sign: int
) -> None:
    shown = show(two_aspects, order)
    preference = submit(shown, aspects={"helpful": -2, "truthful": 1})
    assert preference.aspects == {"helpful": -2 * sign, "truthful": sign}
    given = given_verdict(assignment=shown)
    assert given is not None
    assert given["aspects"] == {"helpful": -2, "truthful": 1}


@pytest.mark.parametrize(
    "aspects", [{"funny": 1}, {"helpful": 3}, {"helpful": "2"}, {"helpful": True}]
)
def test_an_aspect_outside_the_protocol_is_refused(
    two_aspects: Assignment, aspects: dict[str, Any]
) -> None:
    with pytest.raises(ApplicationError) as refusal:
        submit(two_aspects, aspects=aspects)
    assert refusal.value.field == "aspects"


def submit_under(assignment: Assignment, version: int) -> Preference:
    done = verdict_submit(
        assignment=assignment,
        given=VerdictInput(verdict="ranked", strength=-2),
        idempotency_key=uuid.uuid4(),
        protocol_version=version,
    )
    return done.preference


def test_a_label_names_the_protocol_that_its_screen_asked_under(assignment: Assignment) -> None:
    Protocol.objects.create(project=assignment.annotator.project, version=2, scale_points=2)
    assert submit_under(assignment, 1).protocol.version == 1


@pytest.mark.parametrize("version", [1, 9])
def test_a_protocol_that_was_not_in_force_is_refused(project: Project, version: int) -> None:
    make_comparison(project)
    Protocol.objects.create(project=project, version=2)
    leased = assignment_lease_next(annotator=make_annotator(project))
    assert leased is not None
    with pytest.raises(ApplicationError) as refusal:
        submit_under(leased, version)
    assert refusal.value.field == "protocol_version"


def end(assignment: Assignment) -> None:
    """Return a lease, as a page does when it is left."""
    assignment_close(assignment=assignment, state=Assignment.State.RETURNED)


def test_a_late_label_ends_the_lease_that_the_same_person_got_since(
    ben: Annotator, assignment: Assignment
) -> None:
    end(assignment)
    again = assignment_lease_next(annotator=ben)
    assert again is not None
    submit(assignment)
    again.refresh_from_db()
    assert again.state == Assignment.State.RETURNED
    again.comparison.refresh_from_db()
    assert again.comparison.open_slots == 0


def test_a_late_label_on_a_comparison_that_was_skipped_since_is_refused(
    ben: Annotator, assignment: Assignment
) -> None:
    end(assignment)
    again = assignment_lease_next(annotator=ben)
    assert again is not None
    assignment_close(assignment=again, state=Assignment.State.SKIPPED)
    with pytest.raises(ConflictError, match="skipped"):
        submit(assignment)


def submit_at_once(assignment: Assignment, newest: Protocol, **more: Any) -> Submission:
    verdict = VerdictInput(verdict="ranked", strength=-2)
    values = {"idempotency_key": uuid.uuid4(), **more}
    return verdict_submit(assignment=assignment, given=verdict, newest=newest, **values)


def test_a_label_on_a_live_lease_is_stored_with_all_that_came_along(
    assignment: Assignment, project: Project
) -> None:
    done = submit_at_once(assignment, project.protocol)
    assignment.refresh_from_db()
    stored = Preference.objects.get()
    assert (done.is_new, done.preference, assignment.state) == (True, stored, "submitted")
    assert done.progress is not None
    assert done.progress.done == 1
    assert stored.protocol == project.protocol
    assert stored.cost_usd == assignment.price_usd


def test_a_protocol_that_came_into_force_since_it_was_read_is_the_one_that_counts(
    assignment: Assignment, project: Project
) -> None:
    seen = project.protocol
    newer = copy(seen)
    newer.pk, newer._state.adding, newer.version = None, True, seen.version + 1
    newer.save()
    assert submit_at_once(assignment, seen).preference.protocol == newer


def test_the_same_key_again_gives_the_first_row_whatever_was_read(
    assignment: Assignment, project: Project
) -> None:
    key, newest = uuid.uuid4(), project.protocol
    seen = copy(assignment)
    first = submit_at_once(assignment, newest, idempotency_key=key)
    # As it was read before the first was stored.
    seen.state = Assignment.State.LIVE
    again = submit_at_once(seen, newest, idempotency_key=key)
    assert (again.is_new, again.preference) == (False, first.preference)
    assert Preference.objects.count() == 1


def test_a_second_verdict_is_refused_whatever_was_read(
    assignment: Assignment, project: Project
) -> None:
    newest, seen = project.protocol, copy(assignment)
    submit_at_once(assignment, newest)
    seen.state = Assignment.State.LIVE
    with pytest.raises(ConflictError):
        submit_at_once(seen, newest)


def test_an_adaptive_overlap_is_settled_whatever_was_read(
    assignment: Assignment, project: Project
) -> None:
    Protocol.objects.update(overlap=1, overlap_max=3, settle_lead=2)
    submit_at_once(assignment, project.protocol)
    assignment.comparison.refresh_from_db()
    assert assignment.comparison.wanted_labels == 2
