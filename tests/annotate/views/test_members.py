"""Owners take people out of a project on its settings page."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotate.access import get_annotator_in
from annotate.models import Assignment, Membership, Preference, Project
from annotate.services.assignments import assignment_lease_next
from tests.factories import make_comparison, make_member, make_preference, make_project, make_user


@pytest.fixture
def project(db: None) -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, make_user("ben"))
    return project


def removed(project: Project, username: str, *, by: str = "ada") -> tuple[int, str]:
    client = Client()
    client.force_login(User.objects.get(username=by))
    member = Membership.objects.get(project=project, user__username=username)
    address = reverse("annotate:member-end", args=[project.slug, member.pk])
    answer = client.post(address, follow=True)
    return answer.status_code, answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_who_is_removed_gives_back_what_they_hold_and_leaves_their_labels(
    project: Project,
) -> None:
    ben = get_annotator_in(User.objects.get(username="ben"), "answers")
    make_preference(make_comparison(project), ben)
    waiting = make_comparison(project)
    lease = assignment_lease_next(annotator=ben)
    assert lease is not None
    status, page = removed(project, "ben")
    assert status == 200
    assert "ben is out of" in page
    lease.refresh_from_db()
    waiting.refresh_from_db()
    assert lease.state == Assignment.State.RETURNED
    assert waiting.open_slots == waiting.wanted_labels
    assert Preference.objects.filter(annotator=ben).count() == 1
    ben_client = Client()
    ben_client.force_login(User.objects.get(username="ben"))
    assert ben_client.get(reverse("annotate:label", args=["answers"])).status_code == 404


def test_the_last_owner_stays(project: Project) -> None:
    status, page = removed(project, "ada")
    assert status == 200
    assert "A project needs an owner" in page
    assert 'aria-label="Remove ben"' in page
    assert 'aria-label="Remove ada"' not in page


def test_an_owner_who_leaves_sees_their_other_projects(project: Project) -> None:
    make_member(project, make_user("cleo"), role=Membership.Role.OWNER)
    status, page = removed(project, "ada")
    assert status == 200
    assert "ada is out of" in page
    assert Membership.objects.filter(project=project).count() == 2


def test_only_owners_remove(project: Project) -> None:
    assert removed(project, "ada", by="ben")[0] == 403


def test_somebody_of_another_project_cannot_be_removed_here(project: Project) -> None:
    other = make_project(owner=make_user("dora"), slug="other")
    member = other.memberships.get()
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    answer = client.post(reverse("annotate:member-end", args=["answers", member.pk]))
    assert answer.status_code == 404
    assert other.memberships.exists()
