import uuid

import pytest

from annotate.errors import ApplicationError, ConflictError
from annotate.labels import HUMAN_MAJORITY, JUDGE_MAJORITY, pair_labels
from annotate.models import Annotator, Membership, Preference, Project, Review
from annotate.selectors.records import dataset_cut, records_stream
from annotate.services.assignments import assignment_lease_next
from annotate.services.overrides import review_decide, review_order, verdict_of
from annotate.services.preferences import VerdictInput, verdict_submit
from tests.factories import make_annotator, make_comparison, make_member, make_preference, make_user
from tests.quality_steps import make_policy

pytestmark = pytest.mark.django_db


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
