"""Routing batches: dry run, budget, frozen decisions, assignment, undo."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from annotate.access import get_annotator_for, get_project_for
from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import Annotator, AuditEvent, Comparison, Preference, Project
from annotate.services.assignments import assignment_lease_next
from modeling.models import Judge, JudgeRun
from routing.models import RoutingBatch, RoutingDecision
from routing.selectors import active_batch, routable, routable_to
from routing.services.batches import routing_batch_decide, routing_batch_start, routing_undo
from tests.factories import make_annotator, make_comparison, make_preference, make_project
from tests.routing_steps import routing_apply

Action = RoutingDecision.Action


def apply(project: Project, judge: Annotator, **values: Any) -> RoutingBatch:
    return routing_apply(
        **{
            "project": project,
            "study": None,
            "judge": judge,
            "policy": "random-v1",
            "budget_usd": Decimal("4.00"),
            "user": None,
            **values,
        }
    )


def wanted(project: Project) -> dict[int, tuple[int, int]]:
    rows = Comparison.objects.filter(project=project)
    return {pk: (a, b) for pk, a, b in rows.values_list("pk", "wanted_labels", "open_slots")}


def test_dry_run_reports_and_changes_nothing(small: Project, judge: Annotator) -> None:
    before = wanted(small)
    batch = apply(small, judge, dry_run=True)
    assert (batch.number, batch.applied_at) == (None, None)
    assert batch.summary["n_human"] == 8
    assert len(batch.summary["sample"]) == 10
    assert batch.message == (
        "8 comparisons would go to people (2 of them for the audit), 12 to the judge, for $4.00."
    )
    assert wanted(small) == before
    assert not RoutingDecision.objects.exists()


def test_budget_buys_as_many_human_labels_as_it_pays_for(small: Project, judge: Annotator) -> None:
    batch = apply(small, judge, budget_usd=Decimal("4.49"))
    assert batch.decisions.filter(action=Action.HUMAN).count() == 8
    assert batch.decisions.count() == 20
    assert sum(d.price_usd for d in batch.decisions.all()) == Decimal("4.00")


def test_several_people_per_comparison_cost_as_many_labels(
    small: Project, judge: Annotator
) -> None:
    batch = apply(small, judge, n_humans=3)
    chosen = batch.decisions.filter(action=Action.HUMAN).values("comparison")
    rows = Comparison.objects.filter(pk__in=chosen)
    assert list(rows.values_list("wanted_labels", "open_slots")) == [(3, 3), (3, 3)]


def test_slots_follow_decisions_at_once(small: Project, judge: Annotator) -> None:
    batch = apply(small, judge)
    for_judge = batch.decisions.filter(action=Action.JUDGE).values("comparison")
    for_human = batch.decisions.filter(action=Action.HUMAN).values("comparison")
    rows = Comparison.objects.filter(project=small)
    assert set(rows.filter(pk__in=for_judge).values_list("wanted_labels", "open_slots")) == {(0, 0)}
    assert set(rows.filter(pk__in=for_human).values_list("wanted_labels", "open_slots")) == {(1, 1)}


def test_annotator_gets_only_what_was_routed_to_people(
    small: Project, judge: Annotator, ben: User
) -> None:
    batch = apply(small, judge, budget_usd=Decimal("0.50"))
    annotator = get_annotator_for(get_project_for(ben, small.slug))
    first = assignment_lease_next(annotator=annotator)
    assert first is not None
    assert first.comparison_id == batch.decisions.get(action=Action.HUMAN).comparison_id
    assert assignment_lease_next(annotator=annotator, exclude=[first.public_id]) is None


def test_labelled_and_held_comparisons_are_left_alone(
    small: Project, judge: Annotator, ben: User
) -> None:
    annotator = get_annotator_for(get_project_for(ben, small.slug))
    held = assignment_lease_next(annotator=annotator)
    assert held is not None
    batch = apply(small, judge)
    labelled = Preference.objects.human().values("comparison")
    assert not batch.decisions.filter(comparison=held.comparison_id).exists()
    assert not batch.decisions.filter(comparison__in=labelled).exists()


def test_comparisons_that_a_recorded_judge_never_saw_stay_with_people(
    small: Project, judge: Annotator
) -> None:
    unseen = make_comparison(small)
    batch = apply(small, judge)
    unseen.refresh_from_db()
    assert (unseen.wanted_labels, unseen.open_slots) == (1, 1)
    assert batch.summary["n_without_judge"] == 1


def test_budget_of_the_project_is_a_hard_limit(small: Project, judge: Annotator) -> None:
    Project.objects.filter(pk=small.pk).update(budget_usd=Decimal("2.00"), committed_usd=1)
    small.refresh_from_db()
    batch = apply(small, judge, budget_usd=Decimal("100"))
    assert batch.summary["n_human"] == 2
    assert "The project's own budget allows no more." in batch.message


def test_audit_is_drawn_at_random_and_logs_its_propensity(small: Project, judge: Annotator) -> None:
    batch = apply(small, judge, policy="all_judge-v1", audit_share=0.25)
    audit = batch.decisions.filter(is_audit=True)
    assert audit.count() == 5
    assert {d.propensity for d in audit} == {0.25}
    assert {d.propensity for d in batch.decisions.filter(is_audit=False)} == {0.75}
    assert audit[0].reason == "Drawn at random for the audit, for $0.50."


def test_same_seed_decides_the_same(small: Project, judge: Annotator) -> None:
    first, second = (apply(small, judge, dry_run=True, seed=5).summary["sample"] for _ in range(2))
    other = apply(small, judge, dry_run=True, seed=6).summary["sample"]
    assert first == second
    assert first != other


def test_decisions_are_frozen(small: Project, judge: Annotator) -> None:
    batch = apply(small, judge)
    with pytest.raises(DatabaseError), transaction.atomic():
        batch.decisions.update(propensity=0.5)


def test_deciding_twice_applies_once(small: Project, judge: Annotator) -> None:
    batch = apply(small, judge)
    routing_batch_decide(RoutingBatch.objects.get(pk=batch.pk))
    assert batch.decisions.count() == 20


def test_undo_restores_what_nobody_has_labelled(small: Project, judge: Annotator) -> None:
    before = wanted(small)
    batch = apply(small, judge)
    labelled = batch.decisions.filter(action=Action.HUMAN)[0].comparison
    make_preference(labelled, make_annotator(small))
    Comparison.objects.filter(pk=labelled.pk).update(open_slots=0)
    assert routing_undo(batch=batch, user=None) == 19
    after = wanted(small)
    assert after.pop(labelled.pk) == (1, 0)
    assert after == {pk: slots for pk, slots in before.items() if pk != labelled.pk}
    assert batch.decisions.count() == 20
    actions = AuditEvent.objects.filter(project=small).values_list("action", flat=True)
    assert {"routing.apply", "routing.undo"} <= set(actions)


def test_only_the_newest_batch_can_be_undone(small: Project, judge: Annotator) -> None:
    first, second = apply(small, judge), apply(small, judge, budget_usd=Decimal("1"))
    with pytest.raises(ConflictError, match="Undo batch 2 first"):
        routing_undo(batch=first, user=None)
    routing_undo(batch=second, user=None)
    assert active_batch(project=small) == first


def test_undoing_twice_is_refused(small: Project, judge: Annotator) -> None:
    batch = apply(small, judge)
    routing_undo(batch=batch, user=None)
    with pytest.raises(ConflictError, match="nothing to undo"):
        routing_undo(batch=batch, user=None)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"policy": "guess-v1"}, ApplicationError, "Unknown policy 'guess-v1'"),
        ({"policy": "ppm_topk-v1"}, NotReady, "needs a finished routing study"),
        ({"budget_usd": Decimal(-1)}, ApplicationError, "0 dollars or more"),
        ({"audit_share": 1.5}, ApplicationError, "between 0 and 1"),
        ({"n_humans": 0}, ApplicationError, "between 1 and 50"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    small: Project, judge: Annotator, values: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        apply(small, judge, **values)
    assert not RoutingBatch.objects.exists()


def test_judge_of_another_project_is_refused(small: Project) -> None:
    stranger = make_annotator(make_project(), kind="judge")
    with pytest.raises(ApplicationError, match="one of this project's judges"):
        apply(small, stranger)


def test_second_batch_waits_for_the_first(small: Project, judge: Annotator) -> None:
    values: dict[str, Any] = {
        "project": small,
        "study": None,
        "judge": judge,
        "policy": "random-v1",
        "budget_usd": Decimal(1),
        "user": None,
    }
    routing_batch_start(**values)
    with pytest.raises(ConflictError, match="being decided"):
        routing_batch_start(**values)


def test_empty_pool_is_refused_with_a_sentence(small: Project, judge: Annotator) -> None:
    for comparison in routable(project=small):
        make_preference(comparison, make_annotator(small))
    assert not routable_to(project=small, judge=judge).exists()
    with pytest.raises(ApplicationError, match="There is nothing to route"):
        apply(small, judge)


def test_what_is_labelled_while_planning_is_left_out(
    small: Project, judge: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = routable(project=small).order_by("pk")[0]

    def label_meanwhile(job: RoutingBatch, fraction: float, message: str = "") -> None:
        if message == "Writing decisions":
            make_preference(target, make_annotator(small))

    monkeypatch.setattr("routing.services.batches.job_progress", label_meanwhile)
    batch = apply(small, judge)
    assert batch.summary["n_labelled_meanwhile"] == 1
    assert not batch.decisions.filter(comparison=target).exists()


def test_money_that_is_promised_while_planning_stops_the_batch(
    small: Project, judge: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project.objects.filter(pk=small.pk).update(budget_usd=Decimal("5.00"))
    small.refresh_from_db()

    def spend_meanwhile(job: RoutingBatch, fraction: float, message: str = "") -> None:
        if message == "Writing decisions":
            Project.objects.filter(pk=small.pk).update(committed_usd=Decimal("2.00"))

    monkeypatch.setattr("routing.services.batches.job_progress", spend_meanwhile)
    with pytest.raises(ApplicationError, match=r"needs \$4.00, but by now only \$3.00"):
        apply(small, judge)
    assert not RoutingDecision.objects.exists()


def test_live_judge_is_paid_for_what_it_has_not_labelled(small: Project, judge: Annotator) -> None:
    Judge.objects.filter(annotator=judge).update(
        provider=Judge.Provider.OPENAI,
        base_url="http://localhost/v1",
        model_name="m",
        price_per_label_usd=Decimal("0.10"),
    )
    unseen = [make_comparison(small) for _ in range(5)]
    batch = apply(small, judge, policy="all_judge-v1", audit_share=0.0, budget_usd=Decimal("1"))
    assert batch.summary["judge_usd"] == "0.500000"
    prices = batch.decisions.filter(comparison__in=unseen).values_list("price_usd", flat=True)
    assert set(prices) == {Decimal("0.100000")}
    run = JudgeRun.objects.get()
    assert set(run.comparison_ids) == {comparison.pk for comparison in unseen}
    assert run.cap_usd == Decimal("0.50")


def test_budget_below_the_missing_judge_labels_is_refused(small: Project, judge: Annotator) -> None:
    Judge.objects.filter(annotator=judge).update(
        provider=Judge.Provider.OPENAI,
        base_url="http://localhost/v1",
        model_name="m",
        price_per_label_usd=Decimal("1.00"),
    )
    make_comparison(small)
    with pytest.raises(ApplicationError, match=r"still missing cost \$1.00, more than the \$0.50"):
        apply(small, judge, budget_usd=Decimal("0.50"))
