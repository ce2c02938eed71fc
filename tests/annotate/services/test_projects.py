"""Projects, protocols, guidelines, money and members."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from annotate.errors import ApplicationError
from annotate.models import AuditEvent, Comparison, Membership, Project, Protocol
from annotate.services.projects import (
    guideline_change,
    member_add,
    project_create,
    project_money_change,
    protocol_change,
)
from tests.factories import make_annotator, make_comparison, make_preference, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def project(ada: User) -> Project:
    return project_create(name="Answers", slug="answers", user=ada, overlap=2)


def test_a_new_project_has_an_owner_and_a_first_protocol(project: Project, ada: User) -> None:
    assert project.memberships.get().role == Membership.Role.OWNER
    assert (project.protocol.version, project.protocol.overlap) == (1, 2)
    assert AuditEvent.objects.get().action == "project.create"


def test_a_project_made_on_the_command_line_may_have_no_owner() -> None:
    project = project_create(name="Answers", slug="answers", user=None)
    assert not project.memberships.exists()


@pytest.mark.parametrize(
    ("slug", "fields", "field"),
    [
        ("answers", {}, "slug"),
        ("new", {}, "slug"),
        ("not a slug", {}, "slug"),
        ("fine", {"overlap": 0}, "overlap"),
        ("fine", {"lease_seconds": 5}, "lease_seconds"),
        ("fine", {"scale_points": 6}, "scale_points"),
        ("fine", {"human_price_usd": Decimal(-1)}, "human_price_usd"),
        ("fine", {"scale_points": 5, "allow_tie": False}, "allow_tie"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_field(
    project: Project, slug: str, fields: dict[str, int], field: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        project_create(name="Other", slug=slug, user=None, **fields)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert Project.objects.count() == 1


def test_a_changed_protocol_is_a_new_version_with_the_rest_kept(project: Project) -> None:
    protocol = protocol_change(project=project, user=None, scale_points=7)
    assert (protocol.version, protocol.scale_points, protocol.overlap) == (2, 7, 2)
    assert Protocol.objects.get(version=1).scale_points == 5


def test_an_unchanged_protocol_makes_no_version(project: Project) -> None:
    assert protocol_change(project=project, user=None, overlap=2).version == 1


@pytest.mark.parametrize(("overlap", "open_slots"), [(1, 0), (3, 2)])
def test_a_new_overlap_recounts_open_slots(project: Project, overlap: int, open_slots: int) -> None:
    comparison = make_comparison(project, open_slots=1)
    make_preference(comparison, make_annotator(project))
    protocol_change(project=project, user=None, overlap=overlap)
    comparison.refresh_from_db()
    assert (comparison.wanted_labels, comparison.open_slots) == (overlap, open_slots)


def test_a_new_overlap_leaves_what_routing_decided(project: Project) -> None:
    make_comparison(project, wanted_labels=0)
    protocol_change(project=project, user=None, overlap=5)
    assert Comparison.objects.get().wanted_labels == 0


def test_a_guideline_changes_by_versions(project: Project) -> None:
    first = guideline_change(project=project, user=None, body="Be fair.")
    same = guideline_change(project=project, user=None, body="Be fair.")
    second = guideline_change(project=project, user=None, body="Be kind.")
    assert (first.version, same.pk, second.version) == (1, first.pk, 2)


def test_price_and_budget_change_together(project: Project, ada: User) -> None:
    project_money_change(
        project=project, user=ada, human_price_usd=Decimal("0.25"), budget_usd=Decimal(100)
    )
    project.refresh_from_db()
    assert (project.human_price_usd, project.budget_usd) == (Decimal("0.25"), Decimal(100))


def test_a_member_is_added_and_may_change_role(project: Project, ada: User) -> None:
    make_user("ben")
    member_add(project=project, actor=ada, username="ben", role="annotator")
    member = member_add(project=project, actor=ada, username="ben", role="owner")
    assert (member.role, project.memberships.count()) == ("owner", 2)


@pytest.mark.parametrize(
    ("username", "role", "field"),
    [("nobody", "annotator", "username"), ("ada", "boss", "role"), ("ada", "annotator", "role")],
)
def test_a_member_that_cannot_be_is_refused(
    project: Project, ada: User, username: str, role: str, field: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        member_add(project=project, actor=ada, username=username, role=role)
    assert caught.value.field == field
    assert project.memberships.get().role == "owner"
