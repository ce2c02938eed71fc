import pytest

from annotate.errors import ApplicationError
from annotate.models import Annotator, Project, QualityAlarm
from annotate.selectors.quality import dated_answers
from annotate.services.alarms import alarms_check
from annotate.services.assignments import assignment_lease_next
from annotate.services.flags import flag_raise, flag_resolve
from annotate.services.quality import alarm_resolve
from tests.factories import make_comparison, make_preference, make_user

pytestmark = pytest.mark.django_db


def test_a_flag_is_raised_once_and_closed_once(project: Project, ben: Annotator) -> None:
    make_comparison(project)
    assignment = assignment_lease_next(annotator=ben)
    assert assignment is not None
    flag = flag_raise(assignment=assignment, reason="pii", note="a name")
    assert flag_raise(assignment=assignment, reason="pii", note="a phone number") == flag
    flag_resolve(flag=flag, user=make_user("cy"))
    with pytest.raises(ApplicationError):
        flag_resolve(flag=flag, user=make_user("di"))


def test_an_unknown_flag_is_refused(project: Project, ben: Annotator) -> None:
    make_comparison(project)
    assignment = assignment_lease_next(annotator=ben)
    assert assignment is not None
    with pytest.raises(ApplicationError, match="unsafe, pii"):
        flag_raise(assignment=assignment, reason="boring")


@pytest.fixture
def left_clicker(project: Project, ben: Annotator) -> Annotator:
    for number in range(20):
        comparison = make_comparison(project)
        order = [number % 2, 1 - number % 2]
        make_preference(comparison, ben, (0, 1) if order[0] == 0 else (1, 0), shown_order=order)
    return ben


def test_who_always_clicks_left_is_told_to_the_owner_once(
    project: Project, left_clicker: Annotator
) -> None:
    assert alarms_check(project=project) == 1
    assert alarms_check(project=project) == 0
    alarm = QualityAlarm.objects.get()
    assert (alarm.annotator, alarm.kind) == (left_clicker, "straight_line")
    assert "100%" in alarm.message


def test_what_the_owner_has_looked_at_raises_no_second_alarm(
    project: Project, left_clicker: Annotator
) -> None:
    alarms_check(project=project)
    alarm_resolve(alarm=QualityAlarm.objects.get(), user=make_user("cy"))
    assert alarms_check(project=project) == 0


def test_answers_are_read_in_the_order_and_side_on_the_screen(
    project: Project, ben: Annotator
) -> None:
    comparison = make_comparison(project)
    make_preference(comparison, ben, (1, 0), shown_order=[1, 0], active_ms=2_000)
    (dated,) = dated_answers(project=project)
    assert dated.answer.outcomes == ("second",)
    assert (dated.answer.shown_first, dated.answer.shown_answer) == (1.0, "0,1")
    assert dated.answer.seconds_per_token is not None
