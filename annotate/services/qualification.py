"""The qualification test: known answers that stand between a newcomer and the work."""

import random
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from annotate.errors import ApplicationError, ConflictError, NoWork
from annotate.models import (
    Annotator,
    Assignment,
    Gold,
    GoldResult,
    QualificationAttempt,
    QualityPolicy,
)
from annotate.services.audit import audit_write
from annotate.services.special import golds_for, special_insert

Kind, State = Assignment.Kind, Assignment.State
ROUNDING = 1e-9


@dataclass(frozen=True)
class TestResult:
    """How an attempt ended, in words for the annotator."""

    __test__ = False  # no test case, whatever pytest thinks of the name

    text: str
    has_passed: bool


def qualification_lease(
    *, annotator: Annotator, policy: QualityPolicy, rng: random.Random
) -> Assignment | None:
    """Lease the next test question; ``None`` once the test is passed.

    Raises
    ------
    NoWork
        If an attempt has failed, or its last questions are on the annotator's screen.
    """
    attempt = _open_attempt(annotator) or _first_attempt(annotator)
    questions = golds_for(
        annotator=annotator, use=Gold.Use.QUALIFICATION, replicate=attempt.number - 1
    )
    pks = list(questions.values_list("pk", flat=True))
    if pks:
        return special_insert(
            annotator=annotator,
            comparison=questions.get(pk=rng.choice(pks)),
            kind=Kind.QUALIFICATION,
            replicate=attempt.number - 1,
            rng=rng,
        )
    result = qualification_record(annotator=annotator)
    if result is None:
        raise NoWork(gettext("Answer the test questions on your screen first."))
    if not result.has_passed:
        raise NoWork(result.text)
    return None


def _open_attempt(annotator: Annotator) -> QualificationAttempt | None:
    return QualificationAttempt.objects.filter(annotator=annotator, finished_at=None).first()


def _first_attempt(annotator: Annotator) -> QualificationAttempt:
    """Begin the test; further attempts are begun by hand, so that nobody fails them unawares."""
    last = annotator.qualification_attempts.order_by("-number").first()
    if last is not None:
        policy = QualityPolicy.objects.get(project_id=annotator.project_id)
        raise NoWork(_failed_text(last, policy))
    return _begin(annotator, number=1)


def _begin(annotator: Annotator, *, number: int) -> QualificationAttempt:
    questions = golds_for(
        annotator=annotator, use=Gold.Use.QUALIFICATION, replicate=number - 1
    ).count()
    if not questions:
        raise NoWork(
            gettext("There is no test question for you yet. The project's owner must add some.")
        )
    attempt, _ = QualificationAttempt.objects.get_or_create(
        annotator=annotator, number=number, defaults={"n_questions": questions}
    )
    return attempt


@transaction.atomic
def qualification_start(*, annotator: Annotator) -> QualificationAttempt:
    """Begin another attempt after a failed one.

    Raises
    ------
    ConflictError
        If the test is not required, is passed, is under way, or no attempt is left.
    """
    policy = QualityPolicy.objects.filter(project_id=annotator.project_id).first()
    if policy is None or not policy.qualification_required or annotator.qualified_at is not None:
        raise ConflictError(gettext("You need no qualification test here."))
    Annotator.objects.select_for_update().get(pk=annotator.pk)
    if _open_attempt(annotator) is not None:
        raise ConflictError(gettext("Your attempt is under way. Go on labelling to finish it."))
    n_used = annotator.qualification_attempts.count()
    if n_used >= policy.qualification_attempts:
        raise ConflictError(
            gettext("You have used all attempts. Ask the owner of the project for another.")
        )
    return _begin(annotator, number=n_used + 1)


@transaction.atomic
def qualification_record(*, annotator: Annotator) -> TestResult | None:
    """Count the answers of the open attempt; end it after its last question.

    A question that was skipped counts as answered wrong.
    """
    attempt = (
        QualificationAttempt.objects.select_for_update()
        .filter(annotator=annotator, finished_at=None)
        .first()
    )
    if attempt is None:
        return None
    replicate = attempt.number - 1
    asked = Assignment.objects.filter(
        annotator=annotator, kind=Kind.QUALIFICATION, replicate=replicate
    )
    attempt.n_answered = asked.filter(state__in=(State.SUBMITTED, State.SKIPPED)).count()
    attempt.n_correct = GoldResult.objects.filter(
        annotator=annotator,
        is_correct=True,
        preference__replicate=replicate,
        preference__assignment__kind=Kind.QUALIFICATION,
    ).count()
    waiting = golds_for(annotator=annotator, use=Gold.Use.QUALIFICATION, replicate=replicate)
    is_over = not asked.filter(state=State.LIVE).exists() and not waiting.exists()
    if is_over:
        return _finished(attempt)
    attempt.save(update_fields=["n_answered", "n_correct"])
    return None


def _finished(attempt: QualificationAttempt) -> TestResult:
    annotator, now = attempt.annotator, timezone.now()
    policy = QualityPolicy.objects.get(project_id=annotator.project_id)
    # Questions may have been added or withdrawn since the attempt began.
    attempt.n_questions = max(attempt.n_answered, 1)
    needed = policy.qualification_pass_mark * attempt.n_questions - ROUNDING
    attempt.has_passed, attempt.finished_at = attempt.n_correct >= needed, now
    attempt.save()
    if not attempt.has_passed:
        return TestResult(_failed_text(attempt, policy), has_passed=False)
    Annotator.objects.filter(pk=annotator.pk).update(qualified_at=now)
    told = gettext("You passed the test: %(right)s of %(asked)s right.") % _counts(attempt)
    return TestResult(told, has_passed=True)


def _counts(attempt: QualificationAttempt) -> dict[str, int]:
    return {"right": attempt.n_correct, "asked": attempt.n_questions}


def _failed_text(attempt: QualificationAttempt, policy: QualityPolicy) -> str:
    mark = f"{policy.qualification_pass_mark:.0%}"
    told = gettext("You did not pass the test: %(right)s of %(asked)s right, %(mark)s needed.")
    left = policy.qualification_attempts - attempt.number
    what_now = (
        gettext("Open the test page to begin another attempt.")
        if left > 0
        else gettext("No attempt is left; ask the owner of the project.")
    )
    return f"{told % {**_counts(attempt), 'mark': mark}} {what_now}"


@dataclass(frozen=True)
class TestState:
    """Where an annotator stands: what to tell them and whether they may begin another attempt."""

    __test__ = False

    is_required: bool
    has_passed: bool
    text: str
    can_start: bool
    attempts: list[QualificationAttempt]


def qualification_state(*, annotator: Annotator) -> TestState:
    """Tell an annotator where they stand in the qualification test."""
    policy = QualityPolicy.objects.filter(project_id=annotator.project_id).first()
    tries = list(annotator.qualification_attempts.order_by("number"))
    has_passed = annotator.qualified_at is not None
    is_required = policy is not None and policy.qualification_required
    text = (
        gettext("You may label here.") if is_required else gettext("This project asks for no test.")
    )
    can_start = False
    if policy is not None and is_required and not has_passed:
        text = _state_text(tries, policy)
        has_failed = bool(tries) and tries[-1].finished_at is not None
        can_start = has_failed and len(tries) < policy.qualification_attempts
    return TestState(
        is_required=is_required,
        has_passed=has_passed,
        text=text,
        can_start=can_start,
        attempts=tries,
    )


def _state_text(tries: list[QualificationAttempt], policy: QualityPolicy) -> str:
    mark = f"{policy.qualification_pass_mark:.0%}"
    if not tries:
        told = gettext("Label as usual: the first comparisons are the test, %(mark)s right needed.")
        return told % {"mark": mark}
    last = tries[-1]
    if last.finished_at is None:
        told = gettext("%(answered)s of %(asked)s questions answered, %(mark)s right needed.")
        return told % {"answered": last.n_answered, "asked": last.n_questions, "mark": mark}
    return _failed_text(last, policy)


@transaction.atomic
def annotator_qualify(*, annotator: Annotator, user: User) -> Annotator:
    """Let somebody work without the test.

    Raises
    ------
    ApplicationError
        If the annotator is a judge or is qualified already.
    """
    if annotator.is_judge or annotator.qualified_at is not None:
        raise ApplicationError(f"{annotator.name} needs no qualification.")
    annotator.qualified_at = timezone.now()
    annotator.save(update_fields=["qualified_at"])
    QualificationAttempt.objects.filter(annotator=annotator, finished_at=None).update(
        finished_at=annotator.qualified_at, has_passed=False
    )
    audit_write(
        project=annotator.project, actor=user, action="annotator.qualify", target=annotator.name
    )
    return annotator
