"""Plans: what they refuse, and that rounds follow one another without a hand on them."""

from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotate.errors import ApplicationError
from annotate.models import JobState, Project
from modeling.models import TrainingRun
from modeling.services.training import training_run_start
from modeling.services.training_work import training_run_execute
from routing.acquisition.project_labels import BEFORE, POLICY, RANDOM, project_labels
from routing.acquisition.streams import streams_report
from routing.models import AcquisitionPlan, AcquisitionRound
from routing.services.acquisition_plans import acquisition_plan_save, acquisition_plans_follow
from routing.tasks import acquisition_plans_advance, acquisition_round_execute
from tests.factories import make_annotator, make_preference


def plan(project: Project, **values: Any) -> AcquisitionPlan:
    chosen = {"is_automatic": True, "batch_size": 5, "initial_size": 4, "start_at_share": 0.5}
    return acquisition_plan_save(project=project, user=None, **chosen | values)


def pick(project: Project) -> AcquisitionRound:
    row = project.acquisition_rounds.get(state=JobState.QUEUED)
    acquisition_round_execute(row.pk)
    row.refresh_from_db()
    assert row.state == JobState.DONE, row.message
    return row


def label(row: AcquisitionRound, n: int) -> None:
    annotator = make_annotator(row.project)
    for chosen in row.picks.select_related("comparison")[:n]:
        make_preference(chosen.comparison, annotator)


def test_the_first_round_of_a_plan_is_its_random_initial_set(small: Project) -> None:
    plan(small)
    assert acquisition_plans_advance() == {"trained": 0, "picked": 1}
    row = pick(small)
    assert (row.strategy, row.batch_size, row.picks.count()) == ("random-v1", 4, 4)


def test_nothing_happens_while_a_round_is_chosen_or_labelled(small: Project) -> None:
    plan(small)
    acquisition_plans_follow()
    assert acquisition_plans_follow() == {"trained": 0, "picked": 0}
    label(pick(small), 1)
    assert acquisition_plans_follow() == {"trained": 0, "picked": 0}


def test_a_labelled_batch_is_followed_by_the_next_even_where_nothing_can_be_trained(
    small: Project,
) -> None:
    plan(small, labels="human")
    acquisition_plans_follow()
    label(pick(small), 2)
    assert acquisition_plans_follow() == {"trained": 0, "picked": 1}
    row = pick(small)
    assert (row.strategy, row.report["strategy"]) == ("epig_staged-v1", "random-v1")


@pytest.mark.slow
def test_training_comes_before_the_next_round_and_only_once(load: Any) -> None:
    project = load(60, 3, 10)
    plan(project)
    acquisition_plans_follow()
    label(pick(project), 4)
    assert acquisition_plans_follow() == {"trained": 1, "picked": 0}
    assert acquisition_plans_follow() == {"trained": 0, "picked": 0}
    training_run_execute(run_id=TrainingRun.objects.get(project=project).pk)
    assert acquisition_plans_follow() == {"trained": 0, "picked": 1}
    row = pick(project)
    assert row.reward_model is not None
    assert row.report["strategy"] == "epig_staged-v1"
    assert row.report["streams"]["n_before"] > 0
    assert len(row.map["points"]) == 60
    assert row.map["counts"]["policy"] + row.map["counts"]["random"] == row.picks.count()


def test_plans_that_are_not_automatic_wait_for_the_owner(small: Project) -> None:
    plan(small, is_automatic=False)
    assert acquisition_plans_follow() == {"trained": 0, "picked": 0}


def test_what_is_left_out_stays(small: Project) -> None:
    plan(small, batch_size=7)
    saved = acquisition_plan_save(project=small, user=None, random_share=0.2)
    assert (saved.batch_size, saved.random_share) == (7, 0.2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"strategy": "luck-v1"}, "Unknown strategy"),
        ({"posterior": "tarot"}, "Unknown posterior"),
        ({"initial_size": 0}, "between 1 and 10,000"),
        ({"start_at_share": 0.0}, "lies above 0"),
        ({"labels": "judge"}, "Train on labels of people"),
        ({"encoder": "magic"}, "Unknown encoder"),
    ],
)
def test_bad_settings_are_refused(small: Project, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ApplicationError, match=words):
        plan(small, **values)


# --- Streams -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_streams_tell_random_picks_from_the_strategys(load: Any) -> None:
    project = load(60, 3, 20)
    owner = project.memberships.get().user
    training_run_execute(run_id=training_run_start(project=project, user=owner).pk)
    plan(project, batch_size=20, random_share=0.3)
    acquisition_plans_follow()
    row = pick(project)
    label(row, 20)
    labels = project_labels(project=project, encoder="tfidf")
    by_id = dict(zip(labels.table.comparison_ids.tolist(), labels.stream.tolist(), strict=True))
    for chosen in row.picks.all():
        assert by_id[chosen.comparison_id] == (RANDOM if chosen.is_random else POLICY)
    assert sorted(by_id.values()).count(BEFORE) == 160
    report = streams_report(labels, np.random.default_rng(0))
    assert (report["n_random"] + report["n_policy"]) <= 20
    assert report["needed"]["low"] <= report["needed"]["high"]


# --- Page and API --------------------------------------------------------------------------------


def test_owner_saves_the_plan_on_the_page(small: Project, ada: User, client: Client) -> None:
    client.force_login(ada)
    form = {
        "plan-strategy": "bald-v1", "plan-posterior": "members", "plan-initial_size": 9,
        "plan-batch_size": 8, "plan-random_percent": 15, "plan-encoder": "tfidf",
        "plan-labels": "human", "plan-is_automatic": "on", "plan-start_percent": 60,
    }  # fmt: skip
    response = client.post(reverse("routing:plan-save", args=[small.slug]), form)
    assert response.status_code == 302
    saved = AcquisitionPlan.objects.get(project=small)
    assert (saved.strategy, saved.random_share, saved.start_at_share) == ("bald-v1", 0.15, 0.6)
    assert saved.is_automatic
    page = client.get(reverse("routing:acquisition", args=[small.slug])).content.decode()
    assert "when 60" in page


def test_a_bad_plan_comes_back_with_its_error(small: Project, ada: User, client: Client) -> None:
    client.force_login(ada)
    response = client.post(reverse("routing:plan-save", args=[small.slug]), {"plan-batch_size": 0})
    assert response.status_code == 422
    assert "greater than or equal to 1" in response.content.decode()


def test_the_gates_proposal_can_be_followed(small: Project, ada: User, client: Client) -> None:
    plan(small)
    AcquisitionRound.objects.create(
        project=small, number=1, strategy="bald-v1", batch_size=5, state=JobState.DONE,
        report={"streams": {
            "n_test": 40, "n_random": 30, "n_policy": 30, "n_before": 0,
            "gate": {
                "gain": -0.1, "low": -0.2, "high": -0.01, "n_each": 30, "verdict": "loses",
                "sentence": "Random labels train a better reward model: switch back.",
                "proposes_random": True,
            },
        }},
    )  # fmt: skip
    client.force_login(ada)
    page = client.get(reverse("routing:acquisition", args=[small.slug])).content.decode()
    assert "Switch the plan to random" in page
    client.post(reverse("routing:plan-to-random", args=[small.slug]))
    assert AcquisitionPlan.objects.get(project=small).strategy == "random-v1"


def test_the_plan_over_rest(small: Project, ada: User, ben: User, client: Client) -> None:
    url = f"/api/v1/projects/{small.slug}/acquisition-plan"
    assert client.get(url).status_code == 401
    client.force_login(ben)
    assert client.get(url).status_code == 403
    client.force_login(ada)
    assert client.get(url).json()["strategy"] == "epig_staged-v1"
    changed = client.patch(url, {"batch_size": 12}, content_type="application/json")
    assert changed.json()["batch_size"] == 12
    bad = client.patch(url, {"batch_size": 0}, content_type="application/json")
    assert bad.status_code == 400
