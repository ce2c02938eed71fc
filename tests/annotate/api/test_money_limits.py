"""A budget that spending could not be counted up to is refused, by REST and by the page."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from annotate.models import Project
from tests.factories import make_project, make_user

pytestmark = pytest.mark.django_db
# The column itself would hold these.
TOO_LARGE = ["100000000", "2147483648", "9999999999.99"]


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def project(ada: User) -> Project:
    return make_project(owner=ada, slug="p", budget_usd=Decimal("20.00"))


@pytest.mark.parametrize("budget", TOO_LARGE)
def test_rest_refuses_it_by_field_and_keeps_the_old_one(
    ada: User, project: Project, budget: str
) -> None:
    client = APIClient()
    client.force_authenticate(ada)
    path = "/api/v1/projects/p/money"
    answer = client.put(path, {"human_price_usd": "1", "budget_usd": budget}, format="json")
    assert answer.status_code == 400
    assert "at most 99,999,999.99 dollars" in answer.json()["errors"]["budget_usd"][0]
    assert client.get(path).json()["budget_usd"] == "20.00"


def test_the_largest_budget_can_be_read_again(ada: User, project: Project) -> None:
    client = APIClient()
    client.force_authenticate(ada)
    path = "/api/v1/projects/p/money"
    body = {"human_price_usd": "1", "budget_usd": "99999999.99"}
    assert client.put(path, body, format="json").status_code == 200
    assert client.get(path).json()["left_usd"] == "99999999.990000"


@pytest.mark.parametrize("budget", TOO_LARGE)
def test_the_page_says_so_beside_the_field(ada: User, project: Project, budget: str) -> None:
    client = Client()
    client.force_login(ada)
    answer = client.post(
        "/projects/p/settings/money/", {"human_price_usd": "1", "budget_usd": budget}
    )
    assert answer.status_code == 422
    assert "at most 99,999,999.99 dollars" in answer.content.decode()
    project.refresh_from_db()
    assert project.budget_usd == Decimal("20.00")
