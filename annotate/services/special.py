"""Leases beside the queue: known answers and repeats, mixed in so that nobody can tell."""

import random
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotate.models import Annotator, Assignment, Comparison, Gold, Preference, Protocol
from annotate.services.slots import project_commit_money

Kind, State = Assignment.Kind, Assignment.State
HELD = (State.LIVE, State.SUBMITTED, State.SKIPPED)
# A repeat comes when at least this many other comparisons lie in between.
REPEAT_DISTANCE = 10
REPEAT_REACH = 200
# An annotator who asks again and again at an empty queue must not collect hidden extras.
EXTRAS_ALLOWED = 3


@transaction.atomic
def special_insert(
    *,
    annotator: Annotator,
    comparison: Comparison,
    kind: Assignment.Kind,
    replicate: int,
    rng: random.Random,
) -> Assignment | None:
    """Write a lease that takes no slot; ``None`` when the annotator holds it already.

    Raises
    ------
    BudgetExhausted
        If the project cannot pay for the label.
    """
    project, now = annotator.project, timezone.now()
    lease = timedelta(seconds=project.protocol.lease_seconds)
    row = Assignment(
        annotator=annotator,
        comparison=comparison,
        kind=kind,
        replicate=replicate,
        shown_order=rng.sample(range(comparison.n_responses), comparison.n_responses),
        leased_at=now,
        expires_at=now + lease,
        price_usd=comparison.label_price(project),
    )
    # Two calls at once may choose the same comparison; the unique constraint keeps one of them.
    Assignment.objects.bulk_create([row], ignore_conflicts=True)
    found = Assignment.objects.select_related("comparison", "annotator")
    stored = found.filter(public_id=row.public_id).first()
    if stored is not None:
        project_commit_money(project_id=project.pk, amount_usd=row.price_usd)
    return stored


def golds_for(*, annotator: Annotator, use: Gold.Use, replicate: int = 0) -> QuerySet[Comparison]:
    """Comparisons with a known answer that the annotator has not met in this round."""
    mine = Assignment.objects.filter(comparison=OuterRef("pk"), annotator=annotator)
    given = Preference.objects.filter(
        comparison=OuterRef("pk"), annotator=annotator, replicate=replicate
    )
    return (
        Comparison.objects.filter(
            Q(skill="") | Q(skill__in=annotator.skills),
            project_id=annotator.project_id,
            is_gold=True,
            is_reserved=False,
            gold__use=use,
            gold__is_active=True,
            n_responses__lte=_max_responses(annotator),
        )
        .exclude(Exists(mine.filter(state__in=HELD, replicate=replicate)))
        .exclude(Exists(given))
        .order_by("pk")
    )


def gold_lease(*, annotator: Annotator, share: float, rng: random.Random) -> Assignment | None:
    """Mix in a known answer, if there is one that the annotator has not seen."""
    if _has_extras(annotator, Kind.GOLD, share):
        return None
    comparison = _drawn(golds_for(annotator=annotator, use=Gold.Use.WORK), rng)
    if comparison is None:
        return None
    return special_insert(
        annotator=annotator, comparison=comparison, kind=Kind.GOLD, replicate=0, rng=rng
    )


def repeat_lease(*, annotator: Annotator, share: float, rng: random.Random) -> Assignment | None:
    """Show an earlier comparison of the annotator's once more, in a new order."""
    if _has_extras(annotator, Kind.REPEAT, share):
        return None
    done = Assignment.objects.filter(annotator=annotator, kind=Kind.WORK, state=State.SUBMITTED)
    latest = done.order_by("-closed_at", "-pk").values_list("comparison_id", flat=True)
    again = Assignment.objects.filter(comparison=OuterRef("pk"), annotator=annotator)
    comparison = _drawn(
        Comparison.objects.filter(pk__in=list(latest[REPEAT_DISTANCE:REPEAT_REACH]), is_gold=False)
        .exclude(Exists(again.filter(replicate__gt=0, state__in=HELD)))
        .order_by("pk"),
        rng,
    )
    if comparison is None:
        return None
    return special_insert(
        annotator=annotator, comparison=comparison, kind=Kind.REPEAT, replicate=1, rng=rng
    )


def _drawn(comparisons: QuerySet[Comparison], rng: random.Random) -> Comparison | None:
    pks = list(comparisons.values_list("pk", flat=True))
    return Comparison.objects.get(pk=rng.choice(pks)) if pks else None


def _has_extras(annotator: Annotator, kind: Assignment.Kind, share: float) -> bool:
    mine = Assignment.objects.filter(annotator=annotator, state__in=HELD)
    n_given = mine.filter(kind=kind).count()
    return n_given >= 2 * share * mine.filter(kind=Kind.WORK).count() + EXTRAS_ALLOWED


def _max_responses(annotator: Annotator) -> int:
    is_pairwise = annotator.project.protocol.kind == Protocol.Kind.PAIRWISE
    return 2 if is_pairwise else 26
