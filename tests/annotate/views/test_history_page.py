"""One's own labels, and that they do not tell which comparison is asked a second time."""

import json
import random
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotate.models import Annotator, Assignment, Preference, Project
from annotate.selectors.labelling import annotator_progress
from annotate.selectors.quality import repeat_agreements
from annotate.services.preferences import VerdictInput, verdict_submit
from annotate.services.quality_hooks import special_lease
from tests.factories import make_annotator, make_member, make_project, make_user
from tests.quality_steps import labelled, make_gold, make_policy, say

pytestmark = pytest.mark.django_db


@pytest.fixture
def ben() -> User:
    return make_user("ben")


@pytest.fixture
def project(ben: User) -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, ben)
    return project


@pytest.fixture
def worker(project: Project, ben: User) -> Annotator:
    """Ben with eleven labels, of which the first may come again."""
    worker = make_annotator(project, name="ben", user=ben)
    labelled(project, worker, 11)
    make_policy(project, repeat_share=1.0)
    return worker


@pytest.fixture
def client(ben: User) -> Client:
    client = Client()
    client.force_login(ben)
    return client


def again(worker: Annotator) -> Assignment:
    worker.refresh_from_db()
    lease = special_lease(annotator=worker, rng=random.Random(1))
    assert lease is not None
    assert lease.kind == "repeat"
    return lease


def listed(client: Client) -> list[tuple[int, str]]:
    """Comparisons of the history page with the words of the verdict, from top to bottom."""
    page = client.get(reverse("annotate:history", args=["answers"]))
    return [(label.comparison_id, words) for label, words in page.context["rows"]]


def test_what_was_said_cannot_be_looked_up_while_it_is_asked_again(
    client: Client, worker: Annotator
) -> None:
    before = [comparison for comparison, _ in listed(client)]
    lease = again(worker)
    shown = [comparison for comparison, _ in listed(client)]
    assert shown == [comparison for comparison in before if comparison != lease.comparison_id]


def test_a_comparison_asked_twice_looks_like_one_that_was_revised(
    client: Client, worker: Annotator
) -> None:
    lease = again(worker)
    say(lease, "B")
    rows = listed(client)
    assert len(rows) == 11
    assert rows[0][0] == lease.comparison_id
    page = client.get(reverse("annotate:history", args=["answers"])).content.decode()
    assert page.count(str(lease.public_id)) == 1


def revise(lease: Assignment, strength: int) -> Preference:
    given = VerdictInput(verdict="ranked", strength=strength)
    done = verdict_submit(assignment=lease, given=given, idempotency_key=uuid.uuid4(), revise=True)
    return done.preference


def test_a_corrected_repeat_corrects_the_label_that_counts(worker: Annotator) -> None:
    lease = again(worker)
    say(lease, "B")
    corrected = revise(lease, 2 if lease.shown_order[0] == 0 else -2)
    standing = Preference.objects.current().filter(comparison=lease.comparison, annotator=worker)
    assert {row.replicate: row.strength for row in standing} == {0: 2.0, 1: 2.0}
    assert {row.ranking[0] for row in standing if row.ranking} == {1}
    assert corrected.replicate == 1


def test_a_corrected_repeat_that_is_sent_twice_is_stored_once(worker: Annotator) -> None:
    lease = again(worker)
    say(lease, "B")
    key = uuid.uuid4()
    for _ in range(2):
        verdict_submit(
            assignment=lease, given=VerdictInput(verdict="tie"), idempotency_key=key, revise=True
        )
    assert Preference.objects.filter(comparison=lease.comparison, verdict="tie").count() == 2


def test_nobody_becomes_consistent_afterwards(project: Project, worker: Annotator) -> None:
    lease = again(worker)
    first = Assignment.objects.get(comparison=lease.comparison, annotator=worker, replicate=0)
    say(lease, "B")
    revise(first, 1 if first.shown_order[0] == 0 else -1)
    revise(lease, -1 if lease.shown_order[0] == 0 else 1)
    assert repeat_agreements(project=project) == {worker.pk: [0.0]}


def test_a_slip_that_was_mended_before_is_no_inconsistency(
    project: Project, worker: Annotator
) -> None:
    first = Assignment.objects.filter(annotator=worker).order_by("pk")[0]
    revise(first, 1 if first.shown_order[0] == 0 else -1)
    say(again(worker), "B")
    assert repeat_agreements(project=project) == {worker.pk: [1.0]}


def test_the_next_task_of_a_repeat_has_the_fields_and_figures_of_any_other(
    client: Client, project: Project, worker: Annotator
) -> None:
    def ask() -> dict[str, Any]:
        url = reverse("annotate_api:assignment-next", args=["answers"])
        answer = client.post(url, data=json.dumps({}), content_type="application/json")
        return dict(answer.json())

    make_policy_share(project, 0.0)
    labelled(project, worker, 0)
    idle = annotator_progress(annotator=worker)
    make_policy_share(project, 1.0)
    task = ask()
    lease = Assignment.objects.get(public_id=task["assignment"]["id"])
    assert lease.kind == "repeat"
    assert idle.open == 0
    # One is on the screen, so one is open.
    assert task["progress"] == {**vars(idle), "open": 1}
    assert set(task["assignment"]) == {"id", "expires_at", "lease_seconds"}
    assert set(task["comparison"]) == {"draft_key", "criterion", "prompt", "responses"}
    assert {tuple(sorted(shown)) for shown in task["comparison"]["responses"]} == {
        ("html", "label", "text")
    }


def make_policy_share(project: Project, share: float) -> None:
    type(project.quality_policy).objects.filter(project=project).update(repeat_share=share)


def test_no_comparison_comes_sooner_than_another_where_some_are_hidden(
    client: Client, project: Project, worker: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("annotate.api.labelling.EVEN_S", 60.0)
    monkeypatch.setattr("annotate.api.labelling.sleep", slept.append)
    url = reverse("annotate_api:assignment-next", args=["answers"])
    for share in (0.0, 1.0):
        make_policy_share(project, share)
        client.post(url, data="{}", content_type="application/json")
    # Once, in the project with hidden repeats: for what is left of the minute.
    assert [30 < seconds < 60 for seconds in slept] == [True]


def test_held_extras_show_in_no_figure_while_work_is_open(
    project: Project, worker: Annotator
) -> None:
    from tests.factories import make_comparison

    for _ in range(3):
        make_comparison(project)
    before = annotator_progress(annotator=worker).open
    again(worker)
    assert (before, annotator_progress(annotator=worker).open) == (3, 3)


def test_a_known_answer_is_listed_like_any_label(
    client: Client, project: Project, worker: Annotator
) -> None:
    make_policy_share(project, 0.0)
    type(project.quality_policy).objects.filter(project=project).update(gold_share=1.0)
    gold = make_gold(project)
    worker.refresh_from_db()
    lease = special_lease(annotator=Annotator.objects.get(pk=worker.pk), rng=random.Random(1))
    assert lease is not None
    say(lease, "A")
    assert listed(client)[0][0] == gold.comparison_id
