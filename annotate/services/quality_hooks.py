"""The two places where labelling asks quality: before a lease, and after a label.

What is handed out here (test questions, known answers, repeats) takes no slot of its comparison and
looks like any other work to the annotator.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext

from annotate.errors import NoWork
from annotate.models import Annotator, Assignment, Preference, QualityPolicy
from annotate.services.qualification import qualification_lease, qualification_record
from annotate.services.quality import gold_score, pause_if_below
from annotate.services.reviews import review_open_if_conflict
from annotate.services.special import gold_lease, repeat_lease

# The operating system's randomness: stateless, and no annotator can foresee it.
HIDDEN = random.SystemRandom()
Kind = Assignment.Kind


@dataclass(frozen=True)
class Feedback:
    """What the annotator is told right after a known answer or at the end of the test."""

    text: str
    is_correct: bool


def special_lease(
    *, annotator: Annotator, exclude: Sequence[UUID] = (), rng: random.Random = HIDDEN
) -> Assignment | None:
    """Lease what comes before the queue; ``None`` means ordinary work.

    Parameters
    ----------
    annotator
        Who asks, freshly read.
    exclude
        Public ids of leases that the caller already has on screen or prefetched.
    rng
        Decides when a known answer or a repeat is mixed in.

    Raises
    ------
    NoWork
        If the annotator is paused or has not passed the qualification test; the message says what
        to do.
    BudgetExhausted
        If the project cannot pay for it.
    """
    if annotator.paused_at is not None:
        raise NoWork(
            gettext("Your labelling is paused here. The owner of the project has been told.")
        )
    policy = _policy_of(annotator)
    if policy is None:
        return None
    if policy.qualification_required and annotator.qualified_at is None:
        return qualification_lease(annotator=annotator, policy=policy, rng=rng)
    draw = rng.random()
    if draw < policy.gold_share:
        return gold_lease(annotator=annotator, share=policy.gold_share, rng=rng)
    if draw < policy.gold_share + policy.repeat_share:
        return repeat_lease(annotator=annotator, share=policy.repeat_share, rng=rng)
    return None


def has_own_way(*, annotator: Annotator) -> bool:
    """Whether ``special_lease`` may give the annotator something, or refuse."""
    policy = _policy_of(annotator)
    if policy is None:
        return False
    has_test = policy.qualification_required and annotator.qualified_at is None
    return has_test or policy.gold_share + policy.repeat_share > 0


def needs_recording(*, assignment: Assignment) -> bool:
    """Whether ``preference_recorded`` does anything about a label given for the assignment."""
    if assignment.kind != Kind.WORK:
        return True
    policy = _policy_of(assignment.annotator)
    return policy is not None and policy.review_gap is not None


def mixes_extras(*, annotator: Annotator) -> bool:
    """Whether known answers or repeats are hidden among the annotator's work."""
    policy = _policy_of(annotator)
    return policy is not None and policy.gold_share + policy.repeat_share > 0


def preference_recorded(*, preference: Preference, assignment: Assignment) -> Feedback | None:
    """Score a new label where its answer is known, pause if need be, and open a review.

    A revision changes no score: what counts is the answer given before any feedback.
    """
    is_first = preference.supersedes_id is None
    if assignment.kind not in (Kind.WORK, Kind.GOLD, Kind.QUALIFICATION):
        return None
    policy = _policy_of(assignment.annotator)
    if assignment.kind == Kind.WORK:
        review_open_if_conflict(comparison_id=preference.comparison_id, policy=policy)
        return None
    return _scored(preference, assignment, policy) if is_first else None


def _policy_of(annotator: Annotator) -> QualityPolicy | None:
    # Without a query where the project was read together with its policy.
    policy: QualityPolicy | None = getattr(annotator.project, "quality_policy", None)
    return policy


def _scored(
    preference: Preference, assignment: Assignment, policy: QualityPolicy | None
) -> Feedback | None:
    result = gold_score(preference=preference)
    if assignment.kind == Kind.QUALIFICATION:
        return _test_feedback(assignment)
    pause_if_below(annotator=assignment.annotator, policy=policy)
    if policy is None or not policy.tells(is_correct=result.is_correct):
        return None
    return Feedback(_gold_words(result.is_correct, result.gold.explanation), result.is_correct)


def _gold_words(is_correct: bool, explanation: str) -> str:
    opening = gettext("Right.") if is_correct else gettext("Not the expected answer.")
    return f"{opening} {explanation}".strip()


def _test_feedback(assignment: Assignment) -> Feedback | None:
    """The result of the test after its last answer; nothing before."""
    attempt = qualification_record(annotator=assignment.annotator)
    if attempt is None:
        return None
    return Feedback(attempt.text, attempt.has_passed)
