import uuid

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotate.models import (
    Annotator,
    Flag,
    Gold,
    Membership,
    Project,
    QualificationAttempt,
    QualityAlarm,
    QualityPolicy,
    Review,
)
from tests.factories import (
    make_annotator,
    make_comparison,
    make_member,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db

OWNER_PAGES = [
    "annotate:quality",
    "annotate:quality-golds",
    "annotate:quality-test",
    "annotate:quality-flags",
    "annotate:quality-policy",
]


@pytest.fixture
def project() -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, make_user("ben"))
    make_member(project, make_user("rita"), role=Membership.Role.REVIEWER)
    make_user("cleo")
    return project


@pytest.fixture
def ben(project: Project) -> Annotator:
    return make_annotator(project, name="ben", user=User.objects.get(username="ben"))


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


@pytest.mark.parametrize("name", OWNER_PAGES)
@pytest.mark.parametrize(
    ("who", "status"), [("ada", 200), ("rita", 403), ("ben", 403), ("cleo", 404)]
)
def test_quality_pages_open_for_owners_only(
    project: Project, name: str, who: str, status: int
) -> None:
    assert signed_in(who).get(reverse(name, args=["answers"])).status_code == status


@pytest.mark.parametrize(
    ("who", "status"), [("ada", 200), ("rita", 200), ("ben", 403), ("cleo", 404)]
)
def test_reviews_open_for_owners_and_reviewers(project: Project, who: str, status: int) -> None:
    assert signed_in(who).get(reverse("annotate:reviews", args=["answers"])).status_code == status


@pytest.mark.parametrize(("who", "word"), [("ada", "Quality"), ("rita", "Review")])
def test_tabs_show_what_the_role_may_do(project: Project, who: str, word: str) -> None:
    body = signed_in(who).get(reverse("annotate:reviews", args=["answers"])).content.decode()
    assert f">{word}</a>" in body


def test_the_page_shows_everybody_with_intervals(project: Project, ben: Annotator) -> None:
    other = make_annotator(project, name="zoe")
    for _ in range(4):
        comparison = make_comparison(project)
        make_preference(comparison, ben, shown_order=[0, 1], active_ms=9_000)
        make_preference(comparison, other, shown_order=[1, 0])
    body = signed_in("ada").get(reverse("annotate:quality", args=["answers"])).content.decode()
    # Four of four: the Wilson interval is [.51, 1].
    assert '1.00 <span class="interval">[.51, 1.00], n\u00a0=\u00a04</span>' in body
    assert "Who agrees with whom" in body


def test_alarms_are_on_the_home_page_and_can_be_closed(project: Project, ben: Annotator) -> None:
    alarm = QualityAlarm.objects.create(annotator=ben, kind="speed", message="Reads 90 a second.")
    client = signed_in("ada")
    assert "Reads 90 a second." in client.get("/projects/answers/").content.decode()
    client.post(reverse("annotate:alarm-close", args=["answers", alarm.pk]))
    alarm.refresh_from_db()
    assert alarm.resolved_by == User.objects.get(username="ada")


def test_an_owner_pauses_and_resumes(project: Project, ben: Annotator) -> None:
    client = signed_in("ada")
    client.post(reverse("annotate:annotator-pause", args=["answers", ben.pk]))
    ben.refresh_from_db()
    assert ben.paused_at is not None
    client.post(reverse("annotate:annotator-resume", args=["answers", ben.pk]))
    ben.refresh_from_db()
    assert ben.paused_at is None


def test_a_comparison_becomes_a_known_answer(project: Project) -> None:
    comparison = make_comparison(project)
    url = reverse("annotate:gold-new", args=["answers", comparison.pk])
    answer = signed_in("ada").post(url, {"accepted": "B\ntie", "use": "work", "explanation": ""})
    assert answer.status_code == 302
    assert Gold.objects.get().accepted == [[1, 0], [0, 0]]


def test_an_unreadable_answer_is_told_beside_the_field(project: Project) -> None:
    comparison = make_comparison(project)
    url = reverse("annotate:gold-new", args=["answers", comparison.pk])
    answer = signed_in("ada").post(url, {"accepted": "Z", "use": "work"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["accepted"]


def test_the_policy_is_saved_and_audited(project: Project) -> None:
    url = reverse("annotate:quality-policy", args=["answers"])
    fields = {
        "gold_share": "0.1", "gold_feedback": "wrong", "pause_below": "0.7", "pause_window": "8",
        "repeat_share": "0.05", "qualification_pass_mark": "0.8", "qualification_attempts": "2",
        "review_gap": "3",
    }  # fmt: skip
    assert signed_in("ada").post(url, fields).status_code == 302
    policy = QualityPolicy.objects.get(project=project)
    assert (policy.gold_share, policy.pause_below, policy.review_gap) == (0.1, 0.7, 3)
    assert project.audit_events.filter(action="quality.change").exists()


def test_shares_beyond_all_of_the_work_are_refused(project: Project) -> None:
    url = reverse("annotate:quality-policy", args=["answers"])
    fields = {
        "gold_share": "0.8", "gold_feedback": "never", "pause_window": "8", "repeat_share": "0.4",
        "qualification_pass_mark": "0.8", "qualification_attempts": "2",
    }  # fmt: skip
    answer = signed_in("ada").post(url, fields)
    assert answer.status_code == 422
    assert answer.context["form"].errors["repeat_share"]


def test_a_flag_is_closed(project: Project, ben: Annotator) -> None:
    flag = Flag.objects.create(comparison=make_comparison(project), annotator=ben, reason="pii")
    client = signed_in("ada")
    body = client.get(reverse("annotate:quality-flags", args=["answers"])).content.decode()
    assert flag.comparison.external_id in body
    client.post(reverse("annotate:flag-close", args=["answers", flag.pk]))
    flag.refresh_from_db()
    assert flag.resolved_at is not None


def test_on_a_phone_each_cell_of_a_flag_says_what_it_is(project: Project, ben: Annotator) -> None:
    Flag.objects.create(comparison=make_comparison(project), annotator=ben, reason="pii")
    body = signed_in("ada").get(reverse("annotate:quality-flags", args=["answers"]))
    for label in ("Reason", "Note", "By", "When (UTC)"):
        assert f'data-label="{label}"' in body.content.decode()


def test_a_flags_reason_reads_as_the_annotator_chose_it(project: Project, ben: Annotator) -> None:
    flag = Flag.objects.create(comparison=make_comparison(project), annotator=ben, reason="pii")
    client = signed_in("ada")
    # An owner's page is English, whatever language they label in.
    client.cookies["django_language"] = "de"
    listed = client.get(reverse("annotate:quality-flags", args=["answers"])).content.decode()
    assert '<td data-label="Reason">Personal data</td>' in listed
    pages = reverse("annotate:comparison-detail", args=["answers", flag.comparison_id])
    assert "Flagged “Personal data”" in client.get(pages).content.decode()


@pytest.fixture
def review(project: Project, ben: Annotator) -> Review:
    comparison = make_comparison(project, models=("gpt-hidden", "llama-hidden"))
    make_preference(comparison, ben, (0, 1), strength=-2, rationale="Shorter.")
    zoe = make_annotator(project, name="zoe-secret")
    make_preference(comparison, zoe, (1, 0), strength=2, rationale="More exact.")
    judge = make_annotator(project, name="judge-secret", kind="judge")
    make_preference(comparison, judge, (1, 0), rationale="The judge says so.")
    return Review.objects.create(comparison=comparison, reason="2 people, 4 steps apart")


def test_on_a_phone_the_queue_says_in_german_what_its_cells_are(review: Review) -> None:
    client = signed_in("rita")
    client.cookies["django_language"] = "de"
    body = client.get(reverse("annotate:reviews", args=["answers"])).content.decode()
    for label in ("Warum", "Seit (UTC)"):
        assert f'data-label="{label}"' in body


@pytest.mark.parametrize(
    "hidden", ["ben", "zoe-secret", "judge-secret", "The judge says so", "gpt-hidden"]
)
def test_a_reviewer_sees_votes_and_reasons_but_no_names(review: Review, hidden: str) -> None:
    url = reverse("annotate:review", args=["answers", review.pk])
    body = signed_in("rita").get(url).content.decode()
    assert "Shorter." in body
    assert "More exact." in body
    assert hidden not in body


def test_the_reviewers_verdict_is_stored_in_canonical_order(review: Review) -> None:
    client = signed_in("rita")
    url = reverse("annotate:review", args=["answers", review.pk])
    page = client.get(url)
    first_shown = page.context["responses"][0]["html"]
    fields = {"idempotency_key": uuid.uuid4(), "choice": "ranked:-2", "rationale": "Exact."}
    assert client.post(url, fields).status_code == 302
    review.refresh_from_db()
    assert review.preference is not None
    better = "First" if review.preference.ranking == [0, 1] else "Second"
    assert better in first_shown


def test_a_voter_sees_none_of_the_votes(review: Review, ben: Annotator) -> None:
    Membership.objects.filter(user=ben.user).update(role=Membership.Role.REVIEWER)
    url = reverse("annotate:review", args=["answers", review.pk])
    body = signed_in("ben").get(url).content.decode()
    assert "another reviewer decides" in body
    assert "More exact." not in body


def test_the_annotator_sees_their_own_test(project: Project, ben: Annotator) -> None:
    QualityPolicy.objects.create(project=project, qualification_required=True)
    QualificationAttempt.objects.create(
        annotator=ben, number=1, n_questions=5, n_correct=2, has_passed=False,
        finished_at=ben.created_at,
    )  # fmt: skip
    body = signed_in("ben").get(reverse("annotate:qualification", args=["answers"]))
    assert "2 of 5 right, 80% needed" in body.content.decode()
    assert "Begin another attempt" in body.content.decode()
