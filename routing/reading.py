"""What people's labels of each comparison cost: one price, or by the time they take."""

from decimal import Decimal

import numpy as np

from annotate.models import Preference
from routing.core.arrays import FloatArray
from routing.core.features import STATISTIC_NAMES
from routing.core.pricing import ReadingTime
from routing.models import RoutingBatch
from routing.statistics_cache import known_statistics
from routing.tables import FeatureTable

_WORDS = [STATISTIC_NAMES.index(n) for n in ("prompt_length", "len_shorter", "len_longer")]


def human_prices(batch: RoutingBatch, table: FeatureTable) -> FloatArray:
    """Dollars of the people's labels of each comparison.

    By time, the project's price is that of a label of average length, and the others cost in
    proportion to the time that reading them is expected to take.
    """
    each = float(batch.project.human_price_usd * batch.n_humans)
    if not batch.options.get("by_time"):
        return np.full(len(table.comparison_ids), each)
    seconds = _reading_time(batch).predict(_words(table.statistics))
    label = float(batch.project.human_price_usd) * seconds / seconds.mean()
    # A lease reserves what the database holds: four decimals.
    return np.asarray(np.round(label, 4) * batch.n_humans, dtype=np.float64)


def label_price(usd: float) -> Decimal:
    """The price of one label as a comparison carries it."""
    return Decimal(usd).quantize(Decimal("0.0001"))


def _reading_time(batch: RoutingBatch) -> ReadingTime:
    """Fit to the times that people took in this project, where the texts are known."""
    rows = Preference.objects.human().filter(
        comparison__project=batch.project, active_ms__isnull=False
    )
    taken = list(rows.values_list("comparison_id", "active_ms").iterator())
    ids = np.array([pk for pk, _ in taken], dtype=np.int64)
    seconds = np.array([ms for _, ms in taken], dtype=np.float64) / 1000
    known, statistics = known_statistics(project_id=batch.project.pk, comparison_ids=ids)
    return ReadingTime().fit(_words(statistics), seconds[known])


def _words(statistics: FloatArray) -> FloatArray:
    return np.asarray(statistics[:, _WORDS].sum(axis=1), dtype=np.float64)
