"""Studies: what they need, what they find, what they keep."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db.models import F, Q

from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import Annotator, JobState, Project
from modeling.services.jobs import job_cancel
from routing.choices import PPM_POLICY
from routing.models import RoutingDecision, RoutingStudy
from routing.selectors import default_policy, pilot_of, routing_summary
from routing.services.studies import routing_study_start
from routing.tasks import routing_study_execute
from tests.routing_steps import routing_apply


def judge_of(project: Project) -> Annotator:
    return Annotator.objects.get(project=project, name="judy")


def run_study(project: Project, user: User, *, seed: int = 0) -> RoutingStudy:
    study = routing_study_start(
        project=project, judge=judge_of(project), user=user, n_mixes=200, seed=seed
    )
    routing_study_execute(study.pk)
    study.refresh_from_db()
    return study


def test_too_few_double_labels_are_refused_with_what_is_missing(small: Project, ada: User) -> None:
    with pytest.raises(NotReady, match="Let people label 40 more comparisons and 10 more prompts"):
        routing_study_start(project=small, judge=judge_of(small), user=ada)


def test_pilot_counts_comparisons_that_carry_both_labels(small: Project) -> None:
    pilot = pilot_of(project=small, judge=judge_of(small))
    assert (pilot.n_comparisons, pilot.n_prompts, pilot.is_ready) == (20, 10, False)


@pytest.mark.slow
def test_study_finds_where_the_judge_is_wrong_and_routes_there(planted: Project, ada: User) -> None:
    study = run_study(planted, ada)
    assert study.state == JobState.DONE, study.message
    ppm = study.result["ppm"]
    assert ppm["has_signal"], ppm["reason"]
    assert (ppm["n_mixes"], ppm["spearman"]["low"] > 0.6) == (200, True)
    effects = {tag["name"]: tag["effect_pp"] for tag in study.result["tags"][:4]}
    assert effects["meta.topic=law"] > 0 or effects["meta.topic=cooking"] < 0
    assert default_policy(project=planted, study=study)[0] == PPM_POLICY

    batch = routing_apply(
        project=planted,
        study=study,
        judge=judge_of(planted),
        policy=PPM_POLICY,
        budget_usd=Decimal("10"),
        audit_share=0.0,
        user=ada,
    )
    chosen = batch.decisions.filter(action=RoutingDecision.Action.HUMAN)
    topics = list(chosen.values_list("comparison__metadata__topic", flat=True))
    # Half of the pool is about law, so that chance alone would choose 10.
    assert topics.count("law") >= 15
    in_order = Q(gain_low__lte=F("predicted_gain"), gain_high__gte=F("predicted_gain"))
    assert not chosen.exclude(in_order).exists()
    assert "pp for $0.50." in chosen[0].reason
    assert routing_summary(project=planted).human_share == pytest.approx(20 / 60)


@pytest.mark.slow
def test_stored_study_scores_as_the_fitted_one(planted: Project, ada: User) -> None:
    from routing.core.tags import build_tags
    from routing.study.stored import ppm_from_dict

    study = run_study(planted, ada)
    model, bins = ppm_from_dict(study.ppm)
    share = study.result["frontier"]["human_share"][-1]
    names = study.ppm["tag_names"]
    everything = model.predict([[share] * len(names)], [share])[0]
    assert everything == pytest.approx(study.result["frontier"]["performance"][-1], abs=1e-6)
    assert build_tags(bins, [[0.0] * 9], names=names).names == tuple(names)


@pytest.mark.slow
def test_same_seed_gives_the_same_figures(planted: Project, ada: User) -> None:
    first, second = (run_study(planted, ada, seed=3).result for _ in range(2))
    first.pop("seconds")
    second.pop("seconds")
    assert first == second


def test_two_studies_at_once_are_refused(planted: Project, ada: User) -> None:
    routing_study_start(project=planted, judge=judge_of(planted), user=ada)
    with pytest.raises(ConflictError, match="A routing study is under way"):
        routing_study_start(project=planted, judge=judge_of(planted), user=ada)


def test_cancelled_study_does_not_run(planted: Project, ada: User) -> None:
    study = routing_study_start(project=planted, judge=judge_of(planted), user=ada)
    job_cancel(study)
    routing_study_execute(study.pk)
    study.refresh_from_db()
    assert (study.state, study.result) == (JobState.CANCELLED, {})


def test_task_of_a_study_that_is_gone_returns(planted: Project) -> None:
    routing_study_execute(10**9)
    assert not RoutingStudy.objects.exists()


@pytest.mark.parametrize("n_mixes", [199, 2001])
def test_number_of_mixes_is_bounded(planted: Project, ada: User, n_mixes: int) -> None:
    with pytest.raises(ApplicationError, match="take between 200 and 2,000"):
        routing_study_start(project=planted, judge=judge_of(planted), user=ada, n_mixes=n_mixes)


def test_without_a_study_the_page_proposes_random_and_says_why(planted: Project) -> None:
    policy, why = default_policy(project=planted, study=None)
    assert policy == "random-v1"
    assert why == "There is no routing study yet. Until then, people see a random part."
