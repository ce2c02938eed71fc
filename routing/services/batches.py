"""Batches: a policy applied under a budget, its frozen decisions, and undoing it."""

from decimal import ROUND_UP, Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import Annotator, Comparison, JobState, Preference, Project
from annotate.services.assignments import comparisons_lock, comparisons_recount
from annotate.services.audit import audit_write
from modeling.models import Judge
from modeling.services.jobs import job_enqueue, job_progress
from modeling.services.judge_gates import judge_gate_require
from modeling.services.judge_runs import judge_run_start
from routing.choices import NEEDS_STUDY, PILOT_POLICY, POLICIES
from routing.models import RoutingBatch, RoutingStudy
from routing.selectors import active_batch, judges_of, left_usd, routable
from routing.services.decisions import decisions_copy
from routing.services.numbering import next_number, project_routing_lock

if TYPE_CHECKING:
    from routing.deciding import Plan

MAX_HUMANS = 50

# The rows are locked and were just seen to have no label and no lease, so that all wanted
# labels are open slots.
_FOLLOW_SQL = """
UPDATE annotate_comparison c
SET wanted_labels = d.n_humans, open_slots = d.n_humans, skill = d.skill,
    human_price_usd = d.label_price_usd
FROM routing_routingdecision d WHERE d.batch_id = %s AND d.comparison_id = c.id
"""

# A pilot that waits behind everything else would be no pilot.
_FIRST_SQL = """
UPDATE annotate_comparison c SET priority = GREATEST(c.priority, 1)
FROM routing_routingdecision d WHERE d.batch_id = %s AND d.comparison_id = c.id
"""

_RESTORE_SQL = """
UPDATE annotate_comparison c
SET wanted_labels = d.wanted_before, open_slots = LEAST(c.open_slots, d.wanted_before),
    skill = d.skill_before, human_price_usd = d.label_price_before_usd
FROM routing_routingdecision d
WHERE d.batch_id = %s AND d.comparison_id = c.id AND c.id = ANY(%s)
"""


@transaction.atomic
def routing_batch_start(
    *,
    project: Project,
    study: RoutingStudy | None,
    judge: Annotator,
    policy: str,
    budget_usd: Decimal,
    audit_share: float = 0.1,
    seed: int = 0,
    user: User | None,
    n_humans: int = 1,
    dry_run: bool = False,
    options: dict[str, Any] | None = None,
) -> RoutingBatch:
    """Queue a policy to be applied, or only planned, to what nobody has labelled.

    ``options``: ``max_error`` of the conformal policy, ``by_time`` to price people's labels by
    reading time, ``stop_early`` to keep what the policy would not spend; ``n`` and
    ``is_stratified`` of a pilot.

    Raises
    ------
    NotReady
        If the policy needs a study that has not come to a result.
    ConflictError
        If another batch of this project is being decided.
    """
    batch = _batch_create(
        project=project,
        study=study,
        judge=judge,
        policy=policy,
        budget_usd=budget_usd,
        audit_share=audit_share,
        seed=seed,
        user=user,
        n_humans=n_humans,
        dry_run=dry_run,
        options=options or {},
    )
    job_enqueue(batch)
    return batch


def _batch_create(
    *, project: Project, dry_run: bool, user: User | None, **values: Any
) -> RoutingBatch:
    _check_batch(project, **values)
    project_routing_lock(project_id=project.pk)
    under_way = project.routing_batches.exclude(state__in=JobState.finished())
    if under_way.exists():
        raise ConflictError("A routing batch is being decided. Wait for it or cancel it first.")
    rows = RoutingBatch.objects.filter(project=project)
    batch = RoutingBatch(
        project=project,
        number=None if dry_run else next_number(rows),
        is_dry_run=dry_run,
        created_by=user,
        **values,
    )
    batch.save()
    return batch


def _check_batch(
    project: Project,
    *,
    study: RoutingStudy | None,
    judge: Annotator,
    policy: str,
    budget_usd: Decimal,
    audit_share: float,
    seed: int,
    n_humans: int,
    options: dict[str, Any],
) -> None:
    if policy not in POLICIES and policy != PILOT_POLICY:
        raise ApplicationError(
            f"Unknown policy {policy!r}; use one of {', '.join(POLICIES)}.", field="policy"
        )
    if judge.project_id != project.pk or not judge.is_judge:
        raise ApplicationError("Choose one of this project's judges.", field="judge")
    if policy in NEEDS_STUDY and (study is None or study.state != JobState.DONE):
        raise NotReady(f"The policy {policy} needs a finished routing study. Run one first.")
    if study is not None and study.judge_id != judge.pk:
        raise ApplicationError("The study is about another judge.", field="study")
    if budget_usd < 0:
        raise ApplicationError("The budget must be 0 dollars or more.", field="budget_usd")
    if not 0 <= audit_share <= 1:
        raise ApplicationError("The audit share lies between 0 and 1.", field="audit_share")
    if not 1 <= n_humans <= MAX_HUMANS:
        raise ApplicationError(f"Ask between 1 and {MAX_HUMANS} people.", field="n_humans")
    judge_gate_require(annotator=judge)
    if not 0 < options.get("max_error", 0.1) < 1:
        raise ApplicationError("The accepted error lies between 0 and 1.", field="max_error")


def routing_batch_decide(batch: RoutingBatch) -> str:
    """Plan a batch and, unless it is a dry run, write it; return the closing message.

    Safe to run twice: a batch that was applied is left as it is.
    """
    from routing.deciding import plan_batch, plan_summary

    if batch.applied_at is not None:
        return _sentence(batch)
    if batch.judge is not None:
        # What was qualified when the batch was queued may not be any more.
        judge_gate_require(annotator=batch.judge)
    plan = plan_batch(batch, report=partial(job_progress, batch))
    batch.summary = plan_summary(plan)
    if batch.is_dry_run:
        batch.save(update_fields=["summary"])
        return _sentence(batch)
    job_progress(batch, 0.7, "Writing decisions")
    _write(batch, plan)
    return _sentence(batch)


def _sentence(batch: RoutingBatch) -> str:
    counts = batch.summary
    spent = Decimal(counts["human_usd"]) + Decimal(counts["judge_usd"])
    if batch.policy == PILOT_POLICY:
        return (
            f"{counts['n_human']:,} comparisons were drawn for the pilot and come first in the "
            f"queue, for ${spent:,.2f}."
        )
    verb = "would go" if batch.is_dry_run else "went"
    text = (
        f"{counts['n_human']:,} comparisons {verb} to people ({counts['n_audit']:,} of them for "
        f"the audit), {counts['n_judge']:,} to the judge, for ${spent:,.2f}."
    )
    if counts.get("n_fill"):
        text += (
            f" {counts['n_fill']:,} of them spend the rest of the budget: the policy itself would "
            f"stop ${Decimal(counts['fill_usd']):,.2f} earlier."
        )
    if counts["is_capped"]:
        text += " The project's own budget allows no more."
    return text


@transaction.atomic
def _write(batch: RoutingBatch, plan: "Plan") -> None:
    """Store decisions and let assignment follow them, for what is still unlabelled."""
    project_routing_lock(project_id=batch.project_id)
    ids = plan.comparison_ids.tolist()
    comparisons_lock(comparison_ids=ids)
    still_free = set(routable(project=batch.project).values_list("pk", flat=True).iterator())
    kept = [row for row, pk in enumerate(ids) if pk in still_free]
    _check_money(batch, plan, kept)
    decisions_copy(batch, plan, kept)
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOW_SQL, [batch.pk])
        if batch.policy == PILOT_POLICY:
            cursor.execute(_FIRST_SQL, [batch.pk])
    batch.summary |= _counts_of(plan, kept) | {"n_labelled_meanwhile": len(ids) - len(kept)}
    batch.applied_at = timezone.now()
    batch.save(update_fields=["summary", "applied_at"])
    _ask_judge(batch, plan, kept)
    _audit(batch, "routing.apply", {"policy": batch.policy, "budget_usd": str(batch.budget_usd)})


def _ask_judge(batch: RoutingBatch, plan: "Plan", kept: list[int]) -> None:
    """Queue judges for what they have not labelled; recorded ones have nothing to be asked."""
    missing = [row for row in kept if plan.prices.judge_usd[row] > 0]
    _ask(batch, batch.judge, plan, missing)
    by_arm: dict[str, list[int]] = {}
    for row in kept:
        if plan.asked.arm[row] and not plan.routing.to_human[row]:
            by_arm.setdefault(plan.asked.arm[row], []).append(row)
    own = batch.judge.name if batch.judge else ""
    for name, rows in by_arm.items():
        if name != own:
            other = judges_of(project=batch.project).filter(name=name).first()
            _ask(batch, other, plan, rows)


def _ask(batch: RoutingBatch, annotator: Annotator | None, plan: "Plan", rows: list[int]) -> None:
    judge = Judge.objects.filter(annotator=annotator, provider=Judge.Provider.OPENAI).first()
    if not rows or judge is None:
        return
    cap = judge.price_per_label_usd * len(rows)
    judge_run_start(
        judge=judge,
        user=batch.created_by,
        comparison_ids=[int(plan.comparison_ids[row]) for row in rows],
        cap_usd=cap.quantize(Decimal("0.01"), ROUND_UP),
    )


def _check_money(batch: RoutingBatch, plan: "Plan", kept: list[int]) -> None:
    """Refuse if the money was promised elsewhere while the batch was planned."""
    batch.project.refresh_from_db()
    left = left_usd(project=batch.project)
    promised = sum((plan.price_usd(row) for row in kept), Decimal(0))
    if left is not None and promised > left + Decimal("0.01"):
        raise ConflictError(
            f"This batch needs ${promised:,.2f}, but by now only ${left:,.2f} of the project's "
            "budget are free. Run it again with a smaller budget."
        )


def _counts_of(plan: "Plan", kept: list[int]) -> dict[str, Any]:
    human = [row for row in kept if plan.routing.to_human[row]]
    fill = [row for row in human if plan.routing.is_fill[row]]
    return {
        "n_fill": len(fill),
        "fill_usd": str(sum((plan.price_usd(row) for row in fill), Decimal(0))),
        "n_human": len(human),
        "n_judge": len(kept) - len(human),
        "n_audit": sum(bool(plan.routing.is_audit[row]) for row in human),
        "human_usd": str(sum((plan.price_usd(row) for row in human), Decimal(0))),
    }


@transaction.atomic
def routing_undo(*, batch: RoutingBatch, user: User | None) -> int:
    """Give comparisons that nobody has labelled since back what they wanted before the batch.

    The decisions stay, for the record. Returns how many comparisons changed.

    Raises
    ------
    ConflictError
        If the batch was not applied, was undone before, or a later one rests on it.
    """
    project_routing_lock(project_id=batch.project_id)
    newest = active_batch(project=batch.project)
    if newest is None or batch.applied_at is None:
        raise ConflictError("There is nothing to undo: no batch is applied.")
    if newest.pk != batch.pk:
        raise ConflictError(
            f"Undo batch {newest.number} first: later batches rest on earlier ones."
        )
    decided = batch.decisions.values("comparison_id")
    ids = list(
        Comparison.objects.filter(pk__in=decided).order_by("pk").values_list("pk", flat=True)
    )
    comparisons_lock(comparison_ids=ids)
    labelled = set(
        Preference.objects.human()
        .filter(comparison_id__in=decided)
        .values_list("comparison_id", flat=True)
    )
    restored = [pk for pk in ids if pk not in labelled]
    with connection.cursor() as cursor:
        cursor.execute(_RESTORE_SQL, [batch.pk, restored])
    comparisons_recount(comparison_ids=restored)
    batch.undone_at = timezone.now()
    batch.save(update_fields=["undone_at"])
    batch.refresh_from_db()
    _audit(batch, "routing.undo", {"n_restored": len(restored)}, user)
    return len(restored)


def _audit(
    batch: RoutingBatch, action: str, data: dict[str, Any], user: User | None = None
) -> None:
    audit_write(
        project=batch.project,
        actor=user or batch.created_by,
        action=action,
        target=str(batch),
        data=data,
    )
