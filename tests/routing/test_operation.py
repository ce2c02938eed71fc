"""Pilot, groups of people, audit, drift and the next dollars."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Annotator, Comparison, Project
from routing.models import RoutingArm, RoutingBatch, RoutingDecision, RoutingStudy
from routing.reports import (
    AuditReport,
    Share,
    audit_report,
    drift_alarms,
    next_dollars,
    population_stability,
)
from routing.selectors import candidates_of
from routing.services.arms import arm_create, arm_delete
from routing.services.batches import routing_undo
from routing.services.pilots import routing_pilot_start
from routing.tasks import routing_batch_execute
from tests.factories import make_annotator, make_preference
from tests.routing_steps import routing_apply

Action = RoutingDecision.Action


def draw(project: Project, judge: Annotator, **values: Any) -> RoutingBatch:
    batch = routing_pilot_start(project=project, judge=judge, user=None, **values)
    routing_batch_execute(batch.pk)
    batch.refresh_from_db()
    return batch


def test_a_pilot_draws_with_a_known_chance_and_comes_first(
    small: Project, judge: Annotator
) -> None:
    batch = draw(small, judge, n=5)
    assert batch.message == (
        "5 comparisons were drawn for the pilot and come first in the queue, for $2.50."
    )
    decisions = list(batch.decisions.all())
    assert {d.propensity for d in decisions} == {5 / 20}
    assert {d.action for d in decisions} == {Action.HUMAN}
    drawn = {d.comparison_id for d in decisions}
    first = Comparison.objects.filter(project=small).open().in_queue_order()[:5]
    assert {c.pk for c in first} == drawn
    assert decisions[0].reason == "Drawn for the pilot with a chance of 25 %, for $0.50."


def test_nothing_is_decided_about_what_a_pilot_did_not_draw(
    small: Project, judge: Annotator
) -> None:
    before = set(Comparison.objects.filter(project=small).values_list("pk", "wanted_labels"))
    batch = draw(small, judge, n=4, is_stratified=True)
    assert set(Comparison.objects.filter(project=small).values_list("pk", "wanted_labels")) == (
        before
    )
    assert all(0 < d.propensity <= 1 for d in batch.decisions.all())
    assert routing_undo(batch=batch, user=None) == 4


def test_a_pilot_of_nothing_is_refused(small: Project, judge: Annotator) -> None:
    with pytest.raises(ApplicationError, match="Draw between 1 and"):
        routing_pilot_start(project=small, judge=judge, user=None, n=0)
    routing_pilot_start(project=small, judge=judge, user=None, n=1)
    with pytest.raises(ConflictError, match="being decided"):
        routing_pilot_start(project=small, judge=judge, user=None, n=1)


def test_reading_time_moves_prices_around_their_mean(small: Project, judge: Annotator) -> None:
    batch = routing_apply(
        project=small,
        study=None,
        judge=judge,
        policy="all_human-v1",
        budget_usd=Decimal("100"),
        user=None,
        options={"by_time": True},
    )
    prices = [d.price_usd for d in batch.decisions.all()]
    assert sum(prices) == pytest.approx(Decimal("10"), abs=Decimal("0.001"))


def test_rounds_leave_out_what_was_given_to_one_person_by_hand(small: Project) -> None:
    first = candidates_of(project=small).order_by("pk").first()
    assert first is not None
    Comparison.objects.filter(pk=first.pk).update(is_reserved=True)
    assert not candidates_of(project=small).filter(pk=first.pk).exists()


# --- Groups of people ---------------------------------------------------------------------------

# The judge is wrong on half of the comparisons (tag t), and people never contradict the rest.
PPM = {
    "format": 1,
    "form": "linear",
    "metadata_keys": ["topic"],
    "tag_names": ["meta.topic=law"],
    "disagreement": {
        "intercept": -6.0,
        "coef": [6.0],
        "base_rate": 0.25,
        "held_out": [0.01] * 50 + [0.5] * 50,
        "wrong": [0] * 50 + [0, 1] * 25,
        "criterion_shifts": {"": 0.0},
    },
}


@pytest.fixture
def study(small: Project, judge: Annotator) -> RoutingStudy:
    from routing.core.features import STATISTIC_NAMES, FrozenBins

    bins = FrozenBins().fit([[0.0] * 9, [1.0] * 9, [2.0] * 9], STATISTIC_NAMES)
    fitted = {
        "coef_": [0.01, 0.0],
        "cov_": [[1e-6, 0.0], [0.0, 1e-6]],
        "intercept_": 0.6,
        "penalty_": 1.0,
        "loo_rmse_": 0.01,
        "noise_sd_": 0.01,
        "n_tags_": 1,
        "n_mixes_": 100,
        "centre_": [0.5, 0.5],
    }
    return RoutingStudy.objects.create(
        project=small,
        number=1,
        judge=judge,
        state="done",
        result={"ppm": {"has_signal": True, "reason": "Signal."}},
        ppm=PPM | {"bins": bins.to_dict(), "fitted": fitted},
    )


def applied(
    project: Project, study: RoutingStudy, policy: str, budget: str, **values: Any
) -> RoutingBatch:
    assert study.judge is not None
    return routing_apply(
        project=project,
        study=study,
        judge=study.judge,
        policy=policy,
        budget_usd=Decimal(budget),
        user=None,
        **{"audit_share": 0.0, **values},
    )


def test_experts_get_what_is_worth_their_price(small: Project, study: RoutingStudy) -> None:
    arm_create(project=small, user=None, name="one person", price_usd=Decimal("0.50"))
    arm_create(
        project=small, user=None, name="expert", price_usd=Decimal("2"), skill="law",
        reliability=0.99,
    )  # fmt: skip
    batch = applied(small, study, "arms-v1", "1000")
    assert batch.summary["arms"] == {"expert": 10, "judy": 10}
    experts = Comparison.objects.filter(routing_decisions__arm="expert")
    assert set(experts.values_list("skill", "metadata__topic", "open_slots")) == {("law", "law", 1)}
    # The coin-flip judge of law is right half the time: an expert adds .49 for $2, one person .4.
    assert sum(d.price_usd for d in batch.decisions.all()) == Decimal("20")
    assert set(experts.values_list("human_price_usd", flat=True)) == {Decimal("2")}
    assert routing_undo(batch=batch, user=None) == 20
    assert set(Comparison.objects.filter(project=small).values_list("skill", flat=True)) == {""}


def test_a_small_budget_buys_the_cheap_group_first(small: Project, study: RoutingStudy) -> None:
    arm_create(project=small, user=None, name="one person", price_usd=Decimal("0.50"))
    arm_create(project=small, user=None, name="expert", price_usd=Decimal("5"), reliability=0.99)
    batch = applied(small, study, "arms-v1", "4.00")
    assert batch.summary["arms"] == {"judy": 12, "one person": 8}


def test_a_group_needs_a_name_of_its_own_and_a_use(small: Project) -> None:
    arm = arm_create(project=small, user=None, name="experts", price_usd=Decimal("2"))
    with pytest.raises(ApplicationError, match="There is a group 'experts' already"):
        arm_create(project=small, user=None, name="experts", price_usd=Decimal("2"))
    with pytest.raises(ApplicationError, match="no reliability"):
        arm_create(project=small, user=None, name="x", price_usd=Decimal("2"), reliability=0.5)
    arm_delete(arm=arm, user=None)
    assert not RoutingArm.objects.exists()


@pytest.mark.parametrize(
    ("policy", "n_human"),
    # An accepted error of 20 % keeps everything; of 1 %, only what is surely right (half).
    [("conformal-v1", 10), ("criterion-v1", 20), ("disagreement-v1", 20)],
)
def test_policies_on_what_a_study_kept(
    small: Project, study: RoutingStudy, policy: str, n_human: int
) -> None:
    batch = applied(small, study, policy, "100", options={"max_error": 0.02, "stop_early": True})
    assert batch.summary["n_human"] == n_human
    law = batch.decisions.filter(comparison__metadata__topic="law").first()
    assert law is not None
    assert law.reason.startswith("A person would differ from the judge")
    assert "with 50 % probability" in law.reason


def test_a_batch_says_where_its_policy_would_have_stopped(
    small: Project, study: RoutingStudy
) -> None:
    batch = applied(small, study, "conformal-v1", "100", options={"max_error": 0.02})
    assert (batch.summary["n_human"], batch.summary["n_fill"]) == (20, 10)
    assert "10 of them spend the rest of the budget" in batch.message
    assert "would stop $5.00 earlier" in batch.message
    filled = batch.decisions.filter(reason__contains="spends the rest of the budget")
    assert filled.count() == 10


def test_a_study_of_an_older_version_asks_for_a_new_one(
    small: Project, study: RoutingStudy
) -> None:
    with pytest.raises(ApplicationError, match="Run a new study"):
        applied(small, study, "hyper_reference-v1", "10")


# --- Audit and drift ----------------------------------------------------------------------------


def test_the_audit_compares_routed_with_random(small: Project, judge: Annotator) -> None:
    batch = routing_apply(
        project=small, study=None, judge=judge, policy="random-v1",
        budget_usd=Decimal("4"), user=None, audit_share=0.2,
    )  # fmt: skip
    human = make_annotator(small, name="hugo")
    for decision in batch.decisions.filter(action=Action.HUMAN).select_related("comparison"):
        said = decision.comparison.preferences.get(annotator=judge).ranking or []
        make_preference(
            decision.comparison, human, ranking=said[::-1] if decision.is_audit else said
        )
    report = audit_report(project=small, judge=judge)
    assert (report.audit.k, report.audit.n) == (4, 4)
    assert (report.routed.k, report.routed.n) == (0, 4)
    assert not report.is_ready


def test_wilson_interval_of_a_share() -> None:
    # Wilson 1927 for 5 of 10: .237 to .763.
    half = Share(5, 10)
    assert [half.low, half.high] == pytest.approx([0.2366, 0.7634], abs=1e-4)
    assert (Share(0, 0).low, Share(0, 0).high) == (0.0, 1.0)


def drift_study(**ppm: Any) -> RoutingStudy:
    baseline = {
        "n": 400,
        "n_orders": 400,
        "n_conflicts": 40,
        "tags": {"len=low": 200, "len=high": 200},
    }
    return RoutingStudy(
        result={"judge_agreement": 0.8, "n_comparisons": 400, "ppm": {"has_signal": True}},
        ppm={"baseline": baseline | ppm},
    )


def drift_batch(**profile: Any) -> RoutingBatch:
    same = {"n": 400, "n_orders": 400, "n_conflicts": 40, "tags": {"len=low": 200, "len=high": 200}}
    return RoutingBatch(summary={"profile": same | profile})


NO_AUDIT = AuditReport(Share(0, 0), Share(0, 0))


def test_nothing_changed_raises_no_alarm() -> None:
    assert drift_alarms(study=drift_study(), batch=drift_batch(), audit=NO_AUDIT) == []


@pytest.mark.parametrize(
    ("profile", "audit", "name"),
    [
        ({"n_conflicts": 120}, NO_AUDIT, "Order of the responses"),
        ({"tags": {"len=low": 40, "len=high": 360}}, NO_AUDIT, "Kinds of comparisons"),
        ({}, AuditReport(Share(0, 0), Share(60, 100)), "Agreement"),
        ({}, AuditReport(Share(0, 200), Share(40, 200)), "Predictions"),
    ],
)
def test_each_change_raises_its_alarm(
    profile: dict[str, Any], audit: AuditReport, name: str
) -> None:
    alarms = drift_alarms(study=drift_study(), batch=drift_batch(**profile), audit=audit)
    assert [alarm.name for alarm in alarms] == [name]


def test_population_stability_index_by_hand() -> None:
    # (.75 - .5) ln(.75 / .5) + (.25 - .5) ln(.25 / .5) = 0.2747, on large counts.
    tags = {"g=a": 50_000, "g=b": 50_000}
    now = {"n": 100_000, "tags": {"g=a": 75_000, "g=b": 25_000}}
    index, name = population_stability({"n": 100_000, "tags": tags}, now)
    assert index == pytest.approx(0.2747, abs=1e-3)
    assert name == "g=b"


# --- The next dollars ---------------------------------------------------------------------------

CURVE = {
    "human_share": [0.0, 0.5, 1.0],
    "performance": [0.60, 0.64, 0.65],
    "covariance": [[0.0, 0.0, 0.0], [0.0, 1e-4, 0.0], [0.0, 0.0, 1e-4]],
}


def test_the_next_dollars_follow_the_curve_and_its_covariance() -> None:
    found = next_dollars(CURVE, share=0.0, step_share=0.25, usd=100.0, worth_pp=0.5)
    assert found is not None
    # Half way to .64 is 2 points; its deviation is half of 1 point.
    assert found.gain_pp == pytest.approx(2.0)
    assert found.high_pp - found.gain_pp == pytest.approx(1.96 * 0.5, abs=1e-3)
    assert (found.is_stop, found.is_sure) == (False, True)


def test_at_the_end_of_the_curve_it_says_stop() -> None:
    found = next_dollars(CURVE, share=1.0, step_share=0.1, usd=100.0, worth_pp=0.0)
    assert found is not None
    assert (found.gain_pp, found.is_stop) == (0.0, True)


# --- Pages --------------------------------------------------------------------------------------


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def test_the_page_offers_the_pilot_with_its_price(
    page: Client, small: Project, judge: Annotator
) -> None:
    text = page.get(f"/projects/{small.slug}/routing/").content.decode()
    assert "300 double labels make a study worth reading" in text
    assert "$140.00" in text  # 280 more at $0.50


def test_pilot_and_groups_are_made_from_the_page(
    page: Client, small: Project, judge: Annotator
) -> None:
    base = f"/projects/{small.slug}/routing/"
    assert page.post(f"{base}pilot/", {"n": 3, "seed": 0}).status_code == 302
    assert RoutingBatch.objects.get().options == {"n": 3, "is_stratified": False}
    arm = {"name": "experts", "n_humans": 2, "price_usd": "1.5", "reliability": 0.95, "skill": ""}
    assert page.post(f"{base}arms/", arm).status_code == 302
    made = RoutingArm.objects.get()
    assert page.post(f"{base}arms/{made.pk}/remove/").status_code == 302
    assert not RoutingArm.objects.exists()


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("pilot/", {"n": 0, "seed": 0}, "The pilot was not drawn"),
        ("arms/", {"name": "x"}, "The group was not added"),
        ("tagging/", {}, "Nothing was started"),
    ],
)
def test_bad_forms_say_what_is_wrong(
    page: Client, small: Project, judge: Annotator, path: str, data: dict[str, Any], said: str
) -> None:
    answer = page.post(f"/projects/{small.slug}/routing/{path}", data, follow=True)
    assert answer.status_code == 200
    assert said in answer.content.decode()


def test_annotators_reach_none_of_it(client: Client, small: Project, ben: User) -> None:
    client.force_login(ben)
    base = f"/projects/{small.slug}/routing/"
    paths = ["pilot/", "arms/", "arms/1/remove/", "tagging/"]
    assert {client.post(base + path).status_code for path in paths} == {403}
    assert {client.get(base + p).status_code for p in ("replays/", "replays/1/")} == {403}
