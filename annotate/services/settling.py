"""Adaptive overlap: ask another person while the votes do not settle a comparison."""

from django.db import transaction

from annotate.models import Assignment, Comparison, Preference, Project, Protocol
from annotate.selectors.settling import is_settled, standing_votes
from annotate.services.slots import comparisons_lock


def comparison_settle(*, comparison_id: int, protocol: Protocol | None = None) -> None:
    """Ask one person more for an unsettled comparison, or stop asking for a settled one.

    Nothing changes under a fixed overlap, before the overlap is reached, or while somebody still
    holds the comparison: their vote may settle it. ``protocol`` is the one in force, read here
    where the caller has not read it.
    """
    protocol = protocol or Project.objects.get(comparisons=comparison_id).protocol
    if protocol.is_adaptive:
        _settle(comparison_id, protocol)


@transaction.atomic
def _settle(comparison_id: int, protocol: Protocol) -> None:
    comparisons_lock(comparison_ids=[comparison_id])
    comparison = Comparison.objects.get(pk=comparison_id)
    votes = standing_votes(comparison_id=comparison_id)
    n_labels = sum(_takes_slot(vote) for vote in votes)
    if comparison.is_gold or n_labels < protocol.overlap or _is_held(comparison_id):
        return
    wanted = n_labels
    if not is_settled(votes, protocol) and n_labels < protocol.overlap_max:
        wanted += 1
    if wanted != comparison.wanted_labels:
        # Nobody holds it, so what is wanted beyond the labels is open.
        Comparison.objects.filter(pk=comparison_id).update(
            wanted_labels=wanted, open_slots=wanted - n_labels
        )


def _takes_slot(vote: Preference) -> bool:
    return not vote.annotator.is_judge and not vote.is_override


def _is_held(comparison_id: int) -> bool:
    return Assignment.objects.filter(
        comparison_id=comparison_id, state=Assignment.State.LIVE, kind=Assignment.Kind.WORK
    ).exists()
