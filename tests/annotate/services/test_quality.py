import random
import uuid
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from annotate.errors import ApplicationError, ConflictError, NoWork
from annotate.labels import HUMAN_MAJORITY, JUDGE_MAJORITY, pair_labels
from annotate.models import (
    Annotator,
    Assignment,
    Comparison,
    Gold,
    GoldResult,
    Membership,
    Preference,
    Project,
    QualityAlarm,
    QualityPolicy,
    Review,
)
from annotate.selectors.quality import dated_answers, repeat_agreements
from annotate.selectors.records import dataset_cut, records_stream
from annotate.services.alarms import alarms_check
from annotate.services.assignments import assignment_lease_next
from annotate.services.flags import flag_raise, flag_resolve
from annotate.services.gold import (
    accepted_parse,
    accepted_text,
    gold_change,
    gold_create,
    golds_from_metadata,
)
from annotate.services.overrides import review_decide, review_order, verdict_of
from annotate.services.preferences import VerdictInput, verdict_submit
from annotate.services.qualification import qualification_start, qualification_state
from annotate.services.quality import (
    alarm_resolve,
    annotator_resume,
    quality_policy_change,
)
from annotate.services.quality_hooks import Feedback, special_lease
from annotate.services.versions import dataset_version_create
from tests.factories import (
    make_annotator,
    make_comparison,
    make_member,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db
RNG = random.Random


@pytest.fixture
def project() -> Project:
    return make_project(owner=make_user("ada"), slug="answers")


@pytest.fixture
def ben(project: Project) -> Annotator:
    return make_annotator(project, name="ben")


def make_policy(project: Project, **fields: Any) -> QualityPolicy:
    return QualityPolicy.objects.create(project=project, **fields)


def make_gold(
    project: Project, *, use: str = "work", accepted: str = "A", explanation: str = ""
) -> Gold:
    comparison = make_comparison(project)
    answers = accepted_parse(accepted, n_responses=comparison.n_responses)
    return gold_create(
        comparison=comparison, user=None, accepted=answers, use=use, explanation=explanation
    )


def leased(annotator: Annotator, seed: int = 1) -> Assignment:
    found = special_lease(annotator=annotator, rng=RNG(seed))
    assert found is not None
    return found


def say(assignment: Assignment, canonical: str) -> Feedback | None:
    """Answer "A" or "B" of the canonical order, wherever it stands on the screen."""
    is_left = assignment.shown_order.index("AB".index(canonical)) == 0
    given = VerdictInput(verdict="ranked", strength=-1 if is_left else 1)
    return verdict_submit(assignment=assignment, given=given, idempotency_key=uuid.uuid4()).feedback


# --- Known answers -------------------------------------------------------------------------------


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


# --- Pause ---------------------------------------------------------------------------------------


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


# --- Qualification -------------------------------------------------------------------------------


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


# --- Repeats -------------------------------------------------------------------------------------


def labelled(project: Project, annotator: Annotator, n: int) -> None:
    for _ in range(n):
        make_comparison(project)
        found = assignment_lease_next(annotator=annotator)
        assert found is not None
        say(found, "A")


def test_a_repeat_is_an_earlier_comparison_and_measures_self_consistency(
    project: Project, ben: Annotator
) -> None:
    labelled(project, ben, 11)
    make_policy(project, repeat_share=1.0)
    repeat = leased(ben)
    assert (repeat.kind, repeat.replicate) == ("repeat", 1)
    assert repeat.comparison_id == Comparison.objects.order_by("pk")[0].pk
    say(repeat, "B")
    assert repeat_agreements(project=project) == {ben.pk: [0.0]}


def test_nothing_is_repeated_too_soon(project: Project, ben: Annotator) -> None:
    labelled(project, ben, 10)
    make_policy(project, repeat_share=1.0)
    assert special_lease(annotator=ben) is None


# --- What leaves the project ---------------------------------------------------------------------


def exported(project: Project) -> dict[str, int]:
    records = records_stream(project=project, cut=dataset_cut(project=project))
    return {record.external_id: len(record.preferences) for record in records}


def test_repeats_and_known_answers_leave_no_export(project: Project, ben: Annotator) -> None:
    labelled(project, ben, 11)
    make_policy(project, repeat_share=1.0)
    say(leased(ben), "B")
    gold = make_gold(project)
    found = exported(project)
    assert gold.comparison.external_id not in found
    assert set(found.values()) == {1}


def test_a_frozen_version_keeps_what_was_ordinary_then(project: Project, ben: Annotator) -> None:
    comparison = make_comparison(project)
    make_preference(comparison, ben)
    version = dataset_version_create(project=project, label_rule=HUMAN_MAJORITY, user=None)
    gold_create(comparison=comparison, user=None, accepted=[[0, 1]])
    other = make_comparison(project)
    later = dataset_version_create(project=project, label_rule=HUMAN_MAJORITY, user=None)
    assert version.manifest["n_comparisons"] == 1
    assert later.manifest["n_comparisons"] == 1
    assert set(exported(project)) == {other.external_id}


# --- Reviews -------------------------------------------------------------------------------------


@pytest.fixture
def conflict(project: Project, ben: Annotator) -> Review:
    make_policy(project, review_gap=3)
    make_comparison(project, wanted_labels=2)
    for annotator, strength in ((ben, -2), (make_annotator(project, name="cy"), 1)):
        found = assignment_lease_next(annotator=annotator)
        assert found is not None
        sign = 1 if found.shown_order[0] == 0 else -1
        given = VerdictInput(verdict="ranked", strength=sign * strength, rationale="because")
        verdict_submit(assignment=found, given=given, idempotency_key=uuid.uuid4())
    return Review.objects.get()


@pytest.fixture
def rita(project: Project) -> Annotator:
    user = make_user("rita")
    make_member(project, user, role=Membership.Role.REVIEWER)
    return make_annotator(project, name="person-rita", user=user)


@pytest.mark.parametrize(("gap", "n_reviews"), [(3, 1), (4, 0), (None, 0)])
def test_a_conflict_opens_a_review_from_the_gap_on(
    project: Project, ben: Annotator, gap: int | None, n_reviews: int
) -> None:
    policy = make_policy(project, review_gap=gap)
    comparison = make_comparison(project)
    make_preference(comparison, ben, (0, 1), strength=-2)
    make_preference(comparison, make_annotator(project), (1, 0), strength=1)
    from annotate.services.reviews import review_open_if_conflict

    review_open_if_conflict(comparison_id=comparison.pk, policy=policy)
    assert Review.objects.count() == n_reviews


def decide(review: Review, annotator: Annotator, key: uuid.UUID) -> Preference:
    order = review_order(review=review, annotator=annotator)
    strength = 2 if order[0] == 0 else -2
    given = VerdictInput(verdict="ranked", strength=strength, rationale="B is right.")
    return review_decide(review=review, annotator=annotator, given=given, idempotency_key=key)


def test_a_reviewers_verdict_stands_above_the_votes(
    project: Project, conflict: Review, rita: Annotator
) -> None:
    preference = decide(conflict, rita, uuid.uuid4())
    conflict.refresh_from_db()
    conflict.comparison.refresh_from_db()
    assert (preference.is_override, preference.ranking) == (True, [1, 0])
    assert (conflict.reviewer, conflict.preference) == (rita, preference)
    assert conflict.comparison.open_slots == 0
    record = next(records_stream(project=project, cut=dataset_cut(project=project)))
    (label,) = pair_labels(record, HUMAN_MAJORITY)
    assert (label.outcome, label.source, label.n_votes) == ("second", "reviewer", 1)
    (judged,) = pair_labels(record, JUDGE_MAJORITY)
    assert judged.outcome == "unlabelled"
    assert project.audit_events.filter(action="review.decide", actor=rita.user).exists()


def test_a_verdict_sent_twice_is_stored_once(conflict: Review, rita: Annotator) -> None:
    key = uuid.uuid4()
    assert decide(conflict, rita, key) == decide(conflict, rita, key)


def test_a_decided_conflict_stays_decided(conflict: Review, rita: Annotator) -> None:
    decide(conflict, rita, uuid.uuid4())
    with pytest.raises(ConflictError, match="decided"):
        decide(conflict, rita, uuid.uuid4())


def test_nobody_reviews_their_own_vote(conflict: Review, ben: Annotator) -> None:
    with pytest.raises(ConflictError, match="yourself"):
        decide(conflict, ben, uuid.uuid4())


@pytest.mark.parametrize(
    ("order", "ranks"), [("B > A = C", (1, 0, 1)), ("c>b>a", (2, 1, 0)), ("A=B=C", (0, 0, 0))]
)
def test_a_reviewers_order_becomes_ranks(order: str, ranks: tuple[int, ...]) -> None:
    assert verdict_of(choice="", order=order, rationale="", n_responses=3).ranking == ranks


@pytest.mark.parametrize("order", ["A > B", "A > B > D", "A > A > B", ""])
def test_an_order_names_every_response_once(order: str) -> None:
    with pytest.raises(ApplicationError) as refused:
        verdict_of(choice="", order=order, rationale="", n_responses=3)
    assert refused.value.field == "order"


# --- Flags and alarms ----------------------------------------------------------------------------


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
