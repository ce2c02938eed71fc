"""Acquisition plans: the owner's settings, and the next round when a batch is labelled."""

import logging
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import JobState, Project
from annotate.services.audit import audit_write
from modeling.encoder_names import encoder_require
from modeling.selectors import latest_reward_model
from modeling.services.training import training_run_start
from routing.choices import RANDOM_STRATEGY
from routing.models import AcquisitionPlan, AcquisitionRound
from routing.selectors import candidates_of, rounds_of
from routing.services.numbering import project_routing_lock
from routing.services.rounds import acquisition_round_start, round_check

logger = logging.getLogger(__name__)

FIELDS = (
    "strategy", "posterior", "pair_rule", "batch_size", "initial_size", "random_share",
    "is_automatic", "start_at_share", "labels", "encoder",
)  # fmt: skip


@transaction.atomic
def acquisition_plan_save(*, project: Project, user: User | None, **values: Any) -> AcquisitionPlan:
    """Change some settings of a project's plan, or make it.

    Raises
    ------
    ApplicationError
        If a value cannot be used, naming the field.
    """
    plan, _ = AcquisitionPlan.objects.select_for_update().get_or_create(project=project)
    for name in FIELDS:
        if name in values:
            setattr(plan, name, values[name])
    _check(plan)
    plan.save()
    audit_write(
        project=project,
        actor=user,
        action="acquisition_plan.save",
        target=project.slug,
        data={name: getattr(plan, name) for name in FIELDS},
    )
    return plan


def _check(plan: AcquisitionPlan) -> None:
    round_check(plan.strategy, plan.batch_size, plan.random_share, plan.posterior, plan.pair_rule)
    round_check(RANDOM_STRATEGY, plan.initial_size, plan.random_share)
    encoder_require(plan.encoder)
    if plan.labels not in ("human", "both"):
        raise ApplicationError("Train on labels of people, or of both.", field="labels")
    if not 0 < plan.start_at_share <= 1:
        raise ApplicationError(
            "The share of a batch after which the next round starts lies above 0 and up to 1.",
            field="start_at_share",
        )


def plan_round_start(*, plan: AcquisitionPlan, user: User | None, **given: Any) -> AcquisitionRound:
    """Queue the next round of a plan, but for what is given otherwise."""
    values = plan_next_round(plan=plan) | given
    return acquisition_round_start(project=plan.project, user=user, **values)


def plan_next_round(*, plan: AcquisitionPlan) -> dict[str, Any]:
    """The next round by the plan; the first one is its random initial set."""
    last = rounds_of(project=plan.project).first()
    is_first = last is None and latest_reward_model(plan.project) is None
    return {
        "strategy": RANDOM_STRATEGY if is_first else plan.strategy,
        "posterior": plan.posterior,
        "pair_rule": plan.pair_rule,
        "batch_size": plan.initial_size if is_first else plan.batch_size,
        "random_share": plan.random_share,
        "seed": last.number if last else 0,
    }


def acquisition_plans_follow() -> dict[str, int]:
    """Move every automatic plan one step: train on what came in, then pick the next batch."""
    counts = {"trained": 0, "picked": 0}
    for plan in AcquisitionPlan.objects.filter(is_automatic=True).select_related("project"):
        try:
            step = _advance(plan)
        except ApplicationError as error:
            logger.info("The acquisition plan of %s waits: %s", plan.project.slug, error)
            continue
        if step:
            counts[step] += 1
    return counts


@transaction.atomic
def _advance(plan: AcquisitionPlan) -> str:
    project = plan.project
    # Two beats at once would otherwise start the same step twice.
    project_routing_lock(project_id=project.pk)
    if not _is_due(plan):
        return ""
    if _start_training(plan):
        return "trained"
    plan_round_start(plan=plan, user=None)
    return "picked"


def _is_due(plan: AcquisitionPlan) -> bool:
    """Whether nothing is under way and the last batch is labelled far enough."""
    project = plan.project
    under_way = project.acquisition_rounds.exclude(state__in=JobState.finished()).exists()
    training = project.training_runs.exclude(state__in=JobState.finished()).exists()
    candidates = candidates_of(project=project, by_pairs=bool(plan.pair_rule))
    if under_way or training or not candidates.exists():
        return False
    last = rounds_of(project=project).first()
    if last is None:
        return True
    return last.state == JobState.DONE and last.n_labelled >= plan.start_at_share * last.n_picks


def _start_training(plan: AcquisitionPlan) -> bool:
    """Train once after each round; what cannot be trained yet does not hold up the queue."""
    project, last = plan.project, rounds_of(project=plan.project).first()
    newest = project.training_runs.order_by("-created_at").first()
    if last is None or (newest and last.finished_at and newest.created_at > last.finished_at):
        return False
    try:
        training_run_start(
            project=project, user=None, encoder=plan.encoder, labels=plan.labels, seed=last.number
        )
    except (NotReady, ConflictError) as error:
        logger.info("No training for %s: %s", project.slug, error)
        return False
    return True


def plan_of(project: Project) -> AcquisitionPlan:
    """The project's plan, or the defaults of one that is not stored yet."""
    return AcquisitionPlan.objects.filter(project=project).first() or AcquisitionPlan(
        project=project
    )
