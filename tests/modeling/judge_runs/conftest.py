"""A judge that prefers "good" and a project for it."""

from decimal import Decimal

import pytest

from annotate.models import Project
from modeling.judges.client import JudgeClient
from modeling.models import Judge
from modeling.services.judges import judge_create
from tests.factories import make_comparison, make_project
from tests.fake_endpoint import FakeEndpoint


@pytest.fixture
def project() -> Project:
    """Four comparisons in which the response that says "good" is better."""
    project = make_project(budget_usd=Decimal(10))
    make_comparison(project, texts=["good one", "bad one"])
    make_comparison(project, texts=["bad two", "good two"])
    make_comparison(project, texts=["good three", "bad three"])
    make_comparison(project, texts=["bad four", "good four"])
    return project


@pytest.fixture
def judge(project: Project, endpoint: FakeEndpoint) -> Judge:
    """A judge that prefers "good"; 100 tokens in at $100 and 10 out at $200 per million."""
    endpoint.prefer = lambda first, _second: "A" if "good" in first else "B"
    return judge_create(
        project=project,
        user=None,
        name="fake",
        base_url=endpoint.base_url,
        model_name="fake-1",
        input_usd_per_million_tokens=Decimal(100),
        output_usd_per_million_tokens=Decimal(200),
    )


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once, and report after every comparison."""
    monkeypatch.setattr(JudgeClient, "_delay_s", lambda *_arguments: 0.0)
    monkeypatch.setattr("modeling.judges.run.REPORT_SECONDS", 0.0)
