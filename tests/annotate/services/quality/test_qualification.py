import pytest

from annotate.errors import ApplicationError, ConflictError, NoWork
from annotate.models import Annotator, Assignment, Project
from annotate.services.assignments import assignment_lease_next
from annotate.services.qualification import qualification_start, qualification_state
from annotate.services.quality import quality_policy_change
from annotate.services.quality_hooks import Feedback, special_lease
from tests.factories import make_comparison
from tests.quality_steps import leased, make_gold, make_policy, say

pytestmark = pytest.mark.django_db


@pytest.fixture
def tested(project: Project) -> Project:
    for _ in range(2):
        make_gold(project, use="qualification")
    make_policy(project, qualification_required=True, qualification_pass_mark=0.6)
    make_comparison(project)
    return project


def test_the_test_comes_before_the_work(tested: Project, ben: Annotator) -> None:
    first = assignment_lease_next(annotator=ben)
    assert first is not None
    assert first.kind == Assignment.Kind.QUALIFICATION
    assert say(first, "A") is None
    second = assignment_lease_next(annotator=ben)
    assert second is not None
    assert say(second, "A") == Feedback("You passed the test: 2 of 2 right.", True)  # noqa: FBT003
    ben.refresh_from_db()
    third = assignment_lease_next(annotator=ben)
    assert third is not None
    assert third.kind == Assignment.Kind.WORK


def fail(annotator: Annotator) -> Feedback | None:
    say(leased(annotator), "A")
    return say(leased(annotator), "B")


def test_who_fails_gets_no_work_until_another_attempt_is_begun(
    tested: Project, ben: Annotator
) -> None:
    feedback = fail(ben)
    assert feedback is not None
    assert not feedback.is_correct
    with pytest.raises(NoWork, match="1 of 2 right"):
        assignment_lease_next(annotator=ben)
    assert qualification_state(annotator=ben).can_start
    qualification_start(annotator=ben)
    again = assignment_lease_next(annotator=ben)
    assert again is not None
    assert (again.kind, again.replicate) == ("qualification", 1)


def test_attempts_run_out(tested: Project, ben: Annotator) -> None:
    fail(ben)
    qualification_start(annotator=ben)
    fail(ben)
    with pytest.raises(ConflictError, match="used all attempts"):
        qualification_start(annotator=ben)
    with pytest.raises(NoWork, match="No attempt is left"):
        assignment_lease_next(annotator=ben)


def test_the_last_question_on_screen_is_answered_first(tested: Project, ben: Annotator) -> None:
    leased(ben, 1)
    leased(ben, 2)
    with pytest.raises(NoWork, match="on your screen"):
        special_lease(annotator=ben)


def test_a_test_needs_questions(project: Project) -> None:
    with pytest.raises(ApplicationError) as refused:
        quality_policy_change(project=project, user=None, qualification_required=True)
    assert refused.value.field == "qualification_required"
