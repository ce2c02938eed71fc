import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotate.models import Comparison, Project
from tests.factories import make_comparison, make_member, make_preference, make_project, make_user

pytestmark = pytest.mark.django_db

ANY_MEMBER = ["annotate:project-home", "annotate:label", "annotate:history"]
OWNERS_ONLY = ["annotate:comparison-list", "annotate:settings"]
OWNERS_POST = [
    "annotate:protocol-save",
    "annotate:guideline-save",
    "annotate:money-save",
    "annotate:member-save",
    "annotate:token-create",
]


@pytest.fixture
def project() -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, make_user("ben"))
    make_user("cleo")
    return project


@pytest.fixture
def comparison(project: Project) -> Comparison:
    return make_comparison(project)


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


@pytest.mark.parametrize("name", ANY_MEMBER + OWNERS_ONLY)
@pytest.mark.parametrize(
    ("who", "owned", "shared"), [("ada", 200, 200), ("ben", 403, 200), ("cleo", 404, 404)]
)
def test_pages_open_by_role(project: Project, name: str, who: str, owned: int, shared: int) -> None:
    expected = {True: owned, False: shared}[name in OWNERS_ONLY]
    assert signed_in(who).get(reverse(name, args=["answers"])).status_code == expected


@pytest.mark.parametrize("name", ANY_MEMBER + OWNERS_ONLY)
def test_an_anonymous_visitor_is_sent_to_log_in(project: Project, name: str) -> None:
    answer = Client().get(reverse(name, args=["answers"]))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/")


@pytest.mark.parametrize("name", OWNERS_POST)
@pytest.mark.parametrize(("who", "status"), [("ada", 422), ("ben", 403), ("cleo", 404)])
def test_settings_are_changed_by_owners_only(
    project: Project, name: str, who: str, status: int
) -> None:
    assert signed_in(who).post(reverse(name, args=["answers"]), {}).status_code == status


@pytest.mark.parametrize("name", OWNERS_POST)
def test_settings_refuse_a_get(project: Project, name: str) -> None:
    assert signed_in("ada").get(reverse(name, args=["answers"])).status_code == 405


@pytest.mark.parametrize(("who", "status"), [("ada", 200), ("ben", 403), ("cleo", 404)])
def test_a_comparison_opens_for_owners_only(comparison: Comparison, who: str, status: int) -> None:
    url = reverse("annotate:comparison-detail", args=["answers", comparison.pk])
    assert signed_in(who).get(url).status_code == status


def test_a_comparison_of_another_project_is_not_found(project: Project) -> None:
    other = make_comparison(make_project(slug="other"))
    url = reverse("annotate:comparison-detail", args=["answers", other.pk])
    assert signed_in("ada").get(url).status_code == 404


def test_the_list_shows_only_ones_own_projects(project: Project) -> None:
    make_project(slug="hidden", name="Hidden project")
    body = signed_in("ben").get("/").content.decode()
    assert project.name in body
    assert "Hidden project" not in body


def test_every_page_carries_a_strict_content_security_policy(project: Project) -> None:
    policy = signed_in("ada").get(reverse("annotate:project-home", args=["answers"]))[
        "Content-Security-Policy"
    ]
    assert "script-src 'self'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy


def test_a_form_without_its_csrf_token_is_refused(project: Project) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="ada"))
    answer = client.post(reverse("annotate:guideline-save", args=["answers"]), {"body": "x"})
    assert answer.status_code == 403


def test_the_home_page_costs_the_same_queries_in_a_larger_project(
    project: Project, django_assert_max_num_queries: object
) -> None:
    client = signed_in("ada")
    url = reverse("annotate:comparison-list", args=["answers"])
    for number in range(12):
        comparison = make_comparison(project, prompt=f"Prompt {number}")
        make_preference(
            comparison, comparison.project.annotators.create(name=f"p{number}", kind="human")
        )
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        assert client.get(url).status_code == 200


def test_a_reserved_address_name_is_refused_beside_its_field() -> None:
    make_user("ada")
    answer = signed_in("ada").post(
        reverse("annotate:project-new"), {"name": "New", "slug": "new", "description": ""}
    )
    assert answer.status_code == 422
    assert "slug" in answer.context["form"].errors


def test_a_new_project_belongs_to_its_maker() -> None:
    make_user("ada")
    answer = signed_in("ada").post(
        reverse("annotate:project-new"), {"name": "Answers", "slug": "answers", "description": ""}
    )
    assert answer["Location"] == reverse("annotate:project-home", args=["answers"])
    assert signed_in("ada").get(answer["Location"]).status_code == 200
