"""The pages of routing and acquisition: who sees them, what they say, what their forms do."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotate.models import Annotator, JobState, Project
from routing.choices import policy_title
from routing.models import AcquisitionRound, RoutingBatch, RoutingStudy
from routing.services.rounds import acquisition_round_start
from routing.tasks import acquisition_round_execute
from tests.factories import make_project, make_user
from tests.routing_steps import routing_apply

PAGES = ["routing/", "acquisition/"]

RESULT = {
    "n_comparisons": 400,
    "n_prompts": 100,
    "judge_agreement": 0.7,
    "seconds": 12.0,
    "ppm": {
        "spearman": {"estimate": 0.8, "low": 0.7, "high": 0.9},
        "half_correlation": {"estimate": 0.3, "low": 0.1, "high": 0.5},
        "rmse_pp": 0.3,
        "spread_pp": 0.9,
        "noise_floor_pp": 0.4,
        "b_only_rmse_pp": 0.8,
        "n_mixes": 240,
        "has_signal": False,
        "reason": "No signal: too few prompts.",
    },
    "frontier": {
        "human_share": [0.0, 1.0],
        "performance": [0.5, 0.6],
        "low": [0.49, 0.58],
        "high": [0.51, 0.62],
        "random_performance": [0.5, 0.6],
    },
    "tags": [{"name": "judges=split", "effect_pp": 1.0, "low": 0.5, "high": 1.5, "support": 90}],
    "measured": [
        {
            "policy": "random-v1",
            "human_share": 0.5,
            "performance": {"estimate": 0.55, "low": 0.5, "high": 0.6, "n": 9, "n_prompts": 3},
            "accuracy": {"estimate": 0.6, "low": 0.5, "high": 0.7, "n": 9, "n_prompts": 3},
            "gain": {"estimate": 0.01, "low": -0.01, "high": 0.03, "n": 9, "n_prompts": 3},
        }
    ],
}


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def study(small: Project, judge: Annotator) -> RoutingStudy:
    return RoutingStudy.objects.create(
        project=small, number=1, judge=judge, state=JobState.DONE, result=RESULT
    )


def url(project: Project, path: str) -> str:
    return f"/projects/{project.slug}/{path}"


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_owners(client: Client, small: Project, ben: User, path: str) -> None:
    assert client.get(url(small, path)).status_code == 302
    client.force_login(make_user("cleo"))
    assert client.get(url(small, path)).status_code == 404
    client.force_login(ben)
    assert client.get(url(small, path)).status_code == 403


def test_project_without_a_judge_is_told_to_add_one(page: Client, ada: User) -> None:
    project = make_project(owner=ada)
    assert "Add a judge" in page.get(url(project, "routing/")).content.decode()


def test_project_without_a_study_is_told_what_is_missing(page: Client, small: Project) -> None:
    text = page.get(url(small, "routing/")).content.decode()
    assert "40 more comparisons and 10 more prompts" in text
    assert "What a study tells" in text


def test_study_without_a_signal_says_so(page: Client, small: Project, study: RoutingStudy) -> None:
    text = page.get(url(small, "routing/")).content.decode()
    assert "No signal: too few prompts." in text
    assert "take this difference for noise" in text
    assert "judges split" in text


def test_words_follow_the_budget(page: Client, small: Project, study: RoutingStudy) -> None:
    text = page.get(url(small, "routing/words/"), {"budget_usd": "5"}).content.decode()
    assert '<strong class="tnum">10</strong> comparisons to people' in text
    assert ".550" in text


def test_words_of_a_bad_budget_say_what_to_give(
    page: Client, small: Project, study: RoutingStudy
) -> None:
    text = page.get(url(small, "routing/words/"), {"budget_usd": "x"}).content.decode()
    assert "Give a budget of 0 dollars or more." in text


def test_dry_run_and_batch_are_queued_from_one_form(page: Client, small: Project) -> None:
    form = {
        "budget_usd": "4",
        "policy": "random-v1",
        "n_humans": "1",
        "audit_percent": "10",
        "seed": "0",
    }
    assert page.post(url(small, "routing/batches/"), form | {"dry_run": "1"}).status_code == 302
    assert RoutingBatch.objects.get().is_dry_run
    refused = page.post(url(small, "routing/batches/"), form)
    assert refused.status_code == 422
    assert "being decided" in refused.content.decode()


def test_bad_batch_form_shows_the_error_beside_the_field(page: Client, small: Project) -> None:
    answer = page.post(url(small, "routing/batches/"), {"budget_usd": "-1"})
    assert answer.status_code == 422
    assert "id_budget_usd_error" in answer.content.decode()


def test_no_two_fields_of_the_page_share_an_id(
    page: Client, small: Project, study: RoutingStudy
) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page.get(url(small, "routing/")).content.decode())
    assert "studyform_seed" in ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("identifier", "title"),
    [("pilot-v1", "Pilot"), ("ppm_topk-v1", "Predicted gain"), ("gone-v0", "gone-v0")],
)
def test_a_policy_is_called_by_its_name(identifier: str, title: str) -> None:
    assert policy_title(identifier) == title


def test_the_home_page_calls_the_strategy_by_its_name(page: Client, small: Project) -> None:
    AcquisitionRound.objects.create(
        project=small, number=1, strategy="epig_staged-v1", batch_size=5, state=JobState.DONE
    )
    text = page.get(url(small, "")).content.decode()
    assert "EPIG in stages: 0 comparisons at the head of the queue" in text
    assert "epig_staged-v1" not in text


def test_applied_batch_shows_decisions_and_undo(
    page: Client, small: Project, judge: Annotator
) -> None:
    batch = routing_apply(
        project=small,
        study=None,
        judge=judge,
        policy="random-v1",
        budget_usd=Decimal(4),
        user=None,
    )
    text = page.get(url(small, "routing/")).content.decode()
    assert "Decisions of batch 1" in text
    assert "Drawn at random for the audit, for $0.50." in text
    page.post(url(small, f"routing/batches/{batch.public_id}/undo/"))
    assert "Undone" in page.get(url(small, "routing/")).content.decode()


def test_study_form_refuses_with_the_reason(page: Client, small: Project, judge: Annotator) -> None:
    form = {"judge": judge.pk, "encoder": "tfidf", "n_mixes": "240", "seed": "0"}
    answer = page.post(url(small, "routing/studies/"), form)
    assert answer.status_code == 422
    assert "a study needs 60 on 20 prompts" in answer.content.decode()


def test_running_study_is_polled_until_it_ends(
    page: Client, small: Project, judge: Annotator
) -> None:
    study = RoutingStudy.objects.create(project=small, number=1, judge=judge)
    path = url(small, "routing/studies/1/progress/")
    running = page.get(path)
    assert 'hx-trigger="every 2s"' in running.content.decode()
    page.post(url(small, "routing/studies/1/cancel/"))
    ended = page.get(path)
    assert ended["HX-Refresh"] == "true"
    study.refresh_from_db()
    assert study.state == JobState.CANCELLED


def test_round_starts_from_the_page_and_shows_its_picks(page: Client, small: Project) -> None:
    form = {"strategy": "bal_pm-v1", "batch_size": "4", "random_percent": "10", "seed": "0"}
    assert page.post(url(small, "acquisition/rounds/"), form).status_code == 302
    acquisition_round_execute(AcquisitionRound.objects.get().pk)
    text = page.get(url(small, "acquisition/")).content.decode()
    assert "Picks of round 1" in text
    assert "There is no reward model yet" in text


def test_refused_round_shows_the_reason(page: Client, small: Project) -> None:
    row = acquisition_round_start(project=small, user=None, batch_size=100)
    acquisition_round_execute(row.pk)
    form = {"strategy": "bal_pm-v1", "batch_size": "4", "random_percent": "10", "seed": "0"}
    answer = page.post(url(small, "acquisition/rounds/"), form)
    assert answer.status_code == 422
    assert "Nothing is left to pick" in answer.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_pages_take_a_bounded_number_of_queries(
    page: Client,
    small: Project,
    study: RoutingStudy,
    judge: Annotator,
    path: str,
    django_assert_max_num_queries: Any,
) -> None:
    routing_apply(
        project=small,
        study=None,
        judge=judge,
        policy="random-v1",
        budget_usd=Decimal(4),
        user=None,
    )
    with django_assert_max_num_queries(40):
        assert page.get(url(small, path)).status_code == 200
