"""Known answers scored, annotators paused and resumed, and how the owner sets it all up."""

from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from annotate.errors import ApplicationError
from annotate.models import (
    Annotator,
    Assignment,
    Gold,
    GoldResult,
    Preference,
    Project,
    QualityAlarm,
    QualityPolicy,
)
from annotate.services.audit import audit_write
from annotate.services.slots import annotator_leases_return

ASKED = (
    "gold_share", "gold_feedback", "pause_below", "pause_window", "repeat_share",
    "qualification_required", "qualification_pass_mark", "qualification_attempts", "review_gap",
)  # fmt: skip


@transaction.atomic
def quality_policy_change(*, project: Project, user: User | None, **fields: Any) -> QualityPolicy:
    """Set how the project watches over its labels; what is left out keeps its value.

    Raises
    ------
    ApplicationError
        If a value does not fit; the message names the field.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    policy = QualityPolicy.objects.filter(project=project).first() or QualityPolicy(project=project)
    before = {name: getattr(policy, name) for name in ASKED}
    for name, value in fields.items():
        setattr(policy, name, value)
    _policy_check(policy)
    policy.save()
    changed = {
        name: fields[name] for name in ASKED if fields.get(name, before[name]) != before[name]
    }
    if changed:
        audit_write(project=project, actor=user, action="quality.change", data=changed)
    return policy


def _policy_check(policy: QualityPolicy) -> None:
    try:
        policy.full_clean(validate_unique=False)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise ApplicationError(" ".join(messages), field=field) from error
    if policy.gold_share + policy.repeat_share > 1:
        raise ApplicationError(
            "Known answers and repeats together must not be more than all of the work.",
            field="repeat_share",
        )
    questions = Gold.objects.filter(
        comparison__project=policy.project, use=Gold.Use.QUALIFICATION, is_active=True
    )
    if policy.qualification_required and not questions.exists():
        raise ApplicationError(
            "The test has no questions yet: make known answers for the test first.",
            field="qualification_required",
        )


def gold_score(*, preference: Preference) -> GoldResult:
    """Record whether a verdict is the known answer, by the answer as it is now."""
    gold = Gold.objects.get(comparison_id=preference.comparison_id)
    return GoldResult.objects.create(
        preference=preference,
        gold=gold,
        annotator_id=preference.annotator_id,
        is_correct=gold.accepts(preference),
    )


def pause_if_below(*, annotator: Annotator, policy: QualityPolicy | None) -> bool:
    """Pause somebody whose last known answers are below the threshold; say whether."""
    if policy is None or policy.pause_below is None or annotator.paused_at is not None:
        return False
    results = GoldResult.objects.filter(
        annotator=annotator, preference__assignment__kind=Assignment.Kind.GOLD
    )
    resumed = annotator.alarms.filter(has_paused=True, resolved_at__isnull=False)
    since = resumed.order_by("-resolved_at").values_list("resolved_at", flat=True).first()
    if since is not None:
        results = results.filter(created_at__gt=since)
    latest = list(results.order_by("-created_at", "-pk").values_list("is_correct", flat=True)
                  [: policy.pause_window])  # fmt: skip
    if len(latest) < policy.pause_window or sum(latest) / len(latest) >= policy.pause_below:
        return False
    found = f"{sum(latest)} of the last {len(latest)} known answers right, "
    annotator_pause(
        annotator=annotator,
        reason=f"{found}{policy.pause_below:.0%} needed.",
        data={"n_correct": sum(latest), "n": len(latest), "threshold": policy.pause_below},
    )
    return True


@transaction.atomic
def annotator_pause(
    *, annotator: Annotator, reason: str, data: dict[str, Any], user: User | None = None
) -> Annotator:
    """Stop giving work to somebody, take back what they hold, and tell the owner by an alarm."""
    annotator.paused_at, annotator.paused_reason = timezone.now(), reason[:300]
    annotator.save(update_fields=["paused_at", "paused_reason"])
    if user is None:
        QualityAlarm.objects.update_or_create(
            annotator=annotator,
            kind=QualityAlarm.Kind.GOLD,
            resolved_at=None,
            defaults={"message": reason[:300], "data": data, "has_paused": True},
        )
    audit_write(
        project=annotator.project, actor=user, action="annotator.pause",
        target=annotator.name, data={"reason": reason},
    )  # fmt: skip
    # After the commit: the caller holds the lock of one comparison, and taking others now could
    # wait for a writer that waits for this one.
    transaction.on_commit(partial(annotator_leases_return, annotator=annotator))
    return annotator


@transaction.atomic
def annotator_resume(*, annotator: Annotator, user: User) -> Annotator:
    """Let a paused annotator work again; the count of missed known answers starts anew.

    Raises
    ------
    ApplicationError
        If the annotator is not paused.
    """
    if annotator.paused_at is None:
        raise ApplicationError(f"{annotator.name} is not paused.")
    annotator.paused_at, annotator.paused_reason = None, ""
    annotator.save(update_fields=["paused_at", "paused_reason"])
    paused = annotator.alarms.filter(has_paused=True, resolved_at=None)
    paused.update(resolved_at=timezone.now(), resolved_by=user)
    audit_write(
        project=annotator.project, actor=user, action="annotator.resume", target=annotator.name
    )
    return annotator


@transaction.atomic
def alarm_resolve(*, alarm: QualityAlarm, user: User) -> QualityAlarm:
    """Close an alarm that the owner has looked at; the same evidence raises it no more.

    Raises
    ------
    ApplicationError
        If the alarm has paused somebody who is still paused, or is closed already.
    """
    if alarm.has_paused and alarm.annotator.paused_at is not None:
        raise ApplicationError(f"{alarm.annotator.name} is paused: resume them instead.")
    rows = QualityAlarm.objects.filter(pk=alarm.pk, resolved_at=None).update(
        resolved_at=timezone.now(), resolved_by=user
    )
    if not rows:
        raise ApplicationError("This alarm is closed already.")
    audit_write(
        project=alarm.annotator.project, actor=user, action="alarm.resolve",
        target=alarm.annotator.name, data={"kind": alarm.kind},
    )  # fmt: skip
    alarm.refresh_from_db()
    return alarm
