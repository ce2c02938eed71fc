import uuid
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from annotate.errors import ApplicationError, NoWork
from annotate.models import Annotator, Assignment, Gold, GoldResult, Project, QualityAlarm
from annotate.services.assignments import assignment_lease_next
from annotate.services.gold import (
    accepted_parse,
    accepted_text,
    gold_change,
    gold_create,
    golds_from_metadata,
)
from annotate.services.preferences import VerdictInput, verdict_submit
from annotate.services.quality import annotator_resume
from annotate.services.quality_hooks import special_lease
from tests.factories import make_comparison, make_preference, make_user
from tests.quality_steps import RNG, labelled, leased, make_gold, make_policy, say

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "n", "accepted"),
    [
        ("A", 2, [[0, 1]]),
        ("b\n tie ", 2, [[1, 0], [0, 0]]),
        ("both bad\ncannot judge", 2, ["both_bad", "cannot_judge"]),
        ("A > B = C", 3, [[0, 1, 1]]),
        ("C > A", 3, [[1, None, 0]]),
    ],
)
def test_accepted_answers_are_read_and_written(text: str, n: int, accepted: list[Any]) -> None:
    parsed = accepted_parse(text, n_responses=n)
    assert parsed == accepted
    assert accepted_parse(accepted_text(parsed), n_responses=n) == accepted


@pytest.mark.parametrize(("text", "n"), [("", 2), ("C", 2), ("A", 3), ("A > A", 2), ("left", 2)])
def test_an_unreadable_answer_is_refused(text: str, n: int) -> None:
    with pytest.raises(ApplicationError) as refused:
        accepted_parse(text, n_responses=n)
    assert refused.value.field == "accepted"


@pytest.mark.parametrize(
    ("known", "ranking", "is_right"),
    [
        ([0, 1], [0, 1], True),
        ([0, 1], [1, 0], False),
        ([0, 0], [0, 0], True),
        ([0, 1, None], [1, 2, 0], True),
        ([0, 1, None], [1, 1, 0], False),
    ],
)
def test_a_ranking_is_right_when_the_known_responses_stand_in_order(
    project: Project, ben: Annotator, known: list[int | None], ranking: list[int], is_right: bool
) -> None:
    comparison = make_comparison(project, texts=("one", "two", "three")[: len(known)])
    gold = gold_create(comparison=comparison, user=None, accepted=[known])
    assert gold.accepts(make_preference(comparison, ben, ranking)) is is_right


def test_a_known_answer_leaves_the_queue(project: Project, ben: Annotator) -> None:
    make_gold(project)
    assert assignment_lease_next(annotator=ben) is None


def test_a_known_answer_takes_no_slot_but_costs_money(project: Project, ben: Annotator) -> None:
    make_policy(project, gold_share=1.0)
    gold = make_gold(project)
    assignment = leased(ben)
    say(assignment, "A")
    gold.comparison.refresh_from_db()
    project.refresh_from_db()
    assert assignment.kind == Assignment.Kind.GOLD
    assert (gold.comparison.wanted_labels, gold.comparison.open_slots) == (0, 0)
    assert project.committed_usd == project.human_price_usd
    assert GoldResult.objects.get().is_correct


def test_nobody_meets_a_known_answer_twice(project: Project, ben: Annotator) -> None:
    make_policy(project, gold_share=1.0)
    make_gold(project)
    say(leased(ben), "A")
    assert special_lease(annotator=ben) is None


def test_the_hidden_share_of_known_answers_holds(project: Project, ben: Annotator) -> None:
    make_policy(project, gold_share=0.2)
    for _ in range(60):
        make_gold(project)
    for _ in range(150):
        done = make_comparison(project)
        Assignment.objects.create(
            comparison=done, annotator=ben, state="submitted", shown_order=[0, 1],
            leased_at=done.created_at, expires_at=done.created_at, closed_at=done.created_at,
        )  # fmt: skip
    rng = RNG(4)
    drawn = [special_lease(annotator=ben, rng=rng) for _ in range(150)]
    # 150 draws at .2: 30 expected, five standard deviations are 24.
    assert 15 <= sum(found is not None for found in drawn) <= 45


def test_asking_at_an_empty_queue_collects_no_endless_extras(
    project: Project, ben: Annotator
) -> None:
    make_policy(project, gold_share=0.2)
    for _ in range(10):
        make_gold(project)
    rng = RNG(4)
    drawn = [special_lease(annotator=ben, rng=rng) for _ in range(200)]
    assert sum(found is not None for found in drawn) == 3


@pytest.mark.parametrize(
    ("policy", "answer", "told"),
    [("never", "B", None), ("wrong", "A", None), ("wrong", "B", False), ("always", "A", True)],
)
def test_feedback_comes_as_the_owner_chose(
    project: Project, ben: Annotator, policy: str, answer: str, told: bool | None
) -> None:
    make_policy(project, gold_share=1.0, gold_feedback=policy)
    make_gold(project, explanation="A answers the question.")
    feedback = say(leased(ben), answer)
    assert (feedback and feedback.is_correct) is told
    assert feedback is None or "A answers the question." in feedback.text


def test_a_correction_after_feedback_changes_no_score(project: Project, ben: Annotator) -> None:
    make_policy(project, gold_share=1.0, gold_feedback="always")
    make_gold(project)
    assignment = leased(ben)
    say(assignment, "B")
    is_left = assignment.shown_order[0] == 0
    given = VerdictInput(verdict="ranked", strength=-1 if is_left else 1)
    verdict_submit(assignment=assignment, given=given, idempotency_key=uuid.uuid4(), revise=True)
    assert [result.is_correct for result in GoldResult.objects.all()] == [False]


def test_a_gold_result_cannot_be_changed(project: Project, ben: Annotator) -> None:
    make_policy(project, gold_share=1.0)
    make_gold(project)
    say(leased(ben), "B")
    with pytest.raises(DatabaseError), transaction.atomic():
        GoldResult.objects.update(is_correct=True)


def test_a_withdrawn_known_answer_is_asked_no_more(project: Project, ben: Annotator) -> None:
    make_policy(project, gold_share=1.0)
    gold_change(gold=make_gold(project), user=make_user("cy"), is_active=False)
    assert special_lease(annotator=ben) is None


def test_known_answers_come_with_the_data(project: Project) -> None:
    make_comparison(project, metadata={"gold": "A"})
    make_comparison(project, metadata={"gold": {"accepted": ["B", "tie"], "use": "qualification"}})
    make_comparison(project, metadata={})
    assert golds_from_metadata(project=project, user=None) == 2
    assert golds_from_metadata(project=project, user=None) == 0
    found = Gold.objects.order_by("pk").values_list("accepted", "use")
    assert list(found) == [([[0, 1]], "work"), ([[1, 0], [0, 0]], "qualification")]


def miss(project: Project, annotator: Annotator, n: int) -> None:
    for _ in range(n):
        make_gold(project)
        say(leased(annotator), "B")


def test_missing_known_answers_pauses_frees_leases_and_tells_the_owner(
    project: Project, ben: Annotator, django_capture_on_commit_callbacks: Any
) -> None:
    held = make_comparison(project)
    assert assignment_lease_next(annotator=ben) is not None
    make_policy(project, gold_share=1.0, pause_below=0.6, pause_window=3)
    with django_capture_on_commit_callbacks(execute=True):
        miss(project, ben, 3)
    ben.refresh_from_db()
    held.refresh_from_db()
    assert ben.paused_at is not None
    assert held.open_slots == 1
    alarm = QualityAlarm.objects.get(annotator=ben)
    assert (alarm.kind, alarm.has_paused) == ("gold", True)
    assert "0 of the last 3" in alarm.message
    with pytest.raises(NoWork):
        assignment_lease_next(annotator=ben)


def test_too_few_known_answers_pause_nobody(project: Project, ben: Annotator) -> None:
    make_policy(project, gold_share=1.0, pause_below=0.6, pause_window=4)
    miss(project, ben, 3)
    ben.refresh_from_db()
    assert ben.paused_at is None


def test_who_is_resumed_starts_with_a_clean_count(
    project: Project, ben: Annotator, django_capture_on_commit_callbacks: Any
) -> None:
    labelled(project, ben, 2)
    make_policy(project, gold_share=1.0, pause_below=0.6, pause_window=3)
    with django_capture_on_commit_callbacks(execute=True):
        miss(project, ben, 3)
    ben.refresh_from_db()
    annotator_resume(annotator=ben, user=make_user("cy"))
    miss(project, ben, 1)
    ben.refresh_from_db()
    assert ben.paused_at is None
    assert not QualityAlarm.objects.filter(resolved_at=None).exists()
