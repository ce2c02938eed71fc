"""The chance that each comparison had of getting its human label, as its decision logged it."""

import numpy as np

from annotate.models import Project
from routing.core.arrays import FloatArray, IntArray
from routing.models import RoutingDecision

# One comparison counts for twenty at most: weights beyond that are mostly noise.
MIN_CHANCE = 0.05


def chance_weights(*, project: Project, comparison_ids: IntArray) -> FloatArray:
    """One over the chance of each comparison, with a mean of one; undrawn ones count as certain."""
    found = RoutingDecision.objects.filter(
        batch__project=project,
        batch__undone_at__isnull=True,
        action=RoutingDecision.Action.HUMAN,
        comparison_id__in=set(comparison_ids.tolist()),
    )
    # The newest decision is the one under which it was labelled.
    newest = dict(found.order_by("pk").values_list("comparison_id", "propensity"))
    chance = np.array([newest.get(pk, 1.0) for pk in comparison_ids.tolist()])
    weight = 1.0 / np.maximum(chance, MIN_CHANCE)
    return np.asarray(weight / weight.mean(), dtype=np.float64)
