"""Reviewers: what they see of a conflict, and their verdict above the votes."""

import random
from string import ascii_uppercase
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext

from annotate.errors import ApplicationError, ConflictError
from annotate.models import Annotator, Assignment, Preference, Review
from annotate.services.audit import audit_write
from annotate.services.preferences import VerdictInput, verdict_submit
from annotate.services.slots import comparisons_lock, project_commit_money


def review_order(*, review: Review, annotator: Annotator) -> list[int]:
    """The order in which a reviewer sees the responses: random, yet the same at every look."""
    n_responses = review.comparison.n_responses
    rng = random.Random(f"review {review.pk} by {annotator.pk}")
    return rng.sample(range(n_responses), n_responses)


def verdict_of(*, choice: str, order: str, rationale: str, n_responses: int) -> VerdictInput:
    """Turn what a reviewer filled in into a verdict in shown order.

    ``choice`` is ``verdict:strength``; ``order`` names shown letters, best first (``B > A = C``).

    Raises
    ------
    ApplicationError
        If neither or both are given, or the order does not name every response once.
    """
    if bool(choice) == bool(order.strip()):
        raise ApplicationError(
            gettext("Give an order, or choose one of the verdicts."), field="order"
        )
    if choice:
        verdict, strength = choice.split(":")
        return VerdictInput(verdict=verdict, strength=int(strength), rationale=rationale)
    ranks = _shown_ranks(order, n_responses)
    is_tie = len(set(ranks)) == 1
    verdict = Preference.Verdict.TIE if is_tie else Preference.Verdict.RANKED
    return VerdictInput(verdict=verdict, ranking=ranks, rationale=rationale)


def _shown_ranks(order: str, n_responses: int) -> tuple[int, ...]:
    letters = ascii_uppercase[:n_responses]
    groups = [[name.strip().upper() for name in group.split("=")] for group in order.split(">")]
    ranks = {name: rank for rank, group in enumerate(groups) for name in group}
    if sorted(name for group in groups for name in group) != list(letters):
        raise ApplicationError(
            gettext("%(order)r must name each of %(letters)s once, such as B > A = C.")
            % {"order": order.strip(), "letters": ", ".join(letters)},
            field="order",
        )
    return tuple(ranks[letter] for letter in letters)


@transaction.atomic
def review_decide(
    *, review: Review, annotator: Annotator, given: VerdictInput, idempotency_key: UUID
) -> Preference:
    """Store a reviewer's verdict, which label rules put above the votes.

    Raises
    ------
    ApplicationError
        If the verdict does not fit the protocol; the message names the field.
    ConflictError
        If the review is decided, or the reviewer gave one of the votes.
    """
    comparisons_lock(comparison_ids=[review.comparison_id])
    current = Review.objects.select_related("comparison__project", "preference").get(pk=review.pk)
    if current.preference is not None:
        if current.preference.idempotency_key == idempotency_key:
            return current.preference
        raise ConflictError(gettext("Another reviewer has decided this one meanwhile."))
    if has_voted(review=current, annotator=annotator):
        raise ConflictError(
            gettext("You gave one of these votes yourself: another reviewer must decide.")
        )
    done = verdict_submit(
        assignment=_assignment(current, annotator), given=given, idempotency_key=idempotency_key
    )
    current.preference, current.reviewer = done.preference, annotator
    current.decided_at = timezone.now()
    current.save(update_fields=["preference", "reviewer", "decided_at"])
    audit_write(
        project=current.comparison.project,
        actor=annotator.user,
        action="review.decide",
        target=current.comparison.external_id,
        data={"verdict": done.preference.verdict, "ranking": done.preference.ranking},
    )
    return done.preference


def has_voted(*, review: Review, annotator: Annotator) -> bool:
    """Whether the annotator gave one of the votes under review."""
    votes = Preference.objects.filter(comparison_id=review.comparison_id, annotator=annotator)
    return votes.filter(is_override=False).exists()


def _assignment(review: Review, annotator: Annotator) -> Assignment:
    now = timezone.now()
    before = Preference.objects.filter(comparison_id=review.comparison_id, annotator=annotator)
    last = before.aggregate(last=Max("replicate"))["last"]
    price = review.comparison.label_price(annotator.project)
    project_commit_money(project_id=annotator.project_id, amount_usd=price)
    return Assignment.objects.create(
        comparison_id=review.comparison_id,
        annotator=annotator,
        kind=Assignment.Kind.REVIEW,
        replicate=0 if last is None else last + 1,
        shown_order=review_order(review=review, annotator=annotator),
        leased_at=now,
        expires_at=now,
        price_usd=price,
    )
