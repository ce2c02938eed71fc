"""Acquisition rounds: the batch that annotators get next."""

import time
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import connection, transaction

from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import JobState, Project
from annotate.services.assignments import comparisons_lock
from annotate.services.splitting import comparisons_split
from modeling.selectors import latest_reward_model
from modeling.services.jobs import job_enqueue, job_progress
from routing.choices import (
    DEFAULT_STRATEGY,
    LAPLACE_POSTERIOR,
    PAIR_CHOICES,
    ROUND_POSTERIORS,
    STRATEGIES,
    WHOLE,
)
from routing.models import AcquisitionPick, AcquisitionRound
from routing.selectors import candidates_of
from routing.services.numbering import next_number, project_routing_lock

if TYPE_CHECKING:
    from routing.acquiring import Batch

MAX_BATCH = 10_000

# Whole numbers are rounds, fractions the place inside one: newer rounds come first in the queue
# and what is left of older ones follows.
_PRIORITY_SQL = """
UPDATE annotate_comparison c SET priority = %(number)s + 1.0 - (p.rank + 1.0) / (%(size)s + 1.0)
FROM routing_acquisitionpick p WHERE p.round_id = %(round)s AND p.comparison_id = c.id
"""


@transaction.atomic
def acquisition_round_start(
    *,
    project: Project,
    user: User | None,
    strategy: str = DEFAULT_STRATEGY,
    batch_size: int = 50,
    random_share: float = 0.1,
    seed: int = 0,
    posterior: str = LAPLACE_POSTERIOR,
    pair_rule: str = WHOLE,
) -> AcquisitionRound:
    """Queue a round with the newest reward model.

    Raises
    ------
    NotReady
        If nothing is left to pick.
    ConflictError
        If a round of this project is under way.
    """
    round_check(strategy, batch_size, random_share, posterior, pair_rule)
    project_routing_lock(project_id=project.pk)
    if project.acquisition_rounds.exclude(state__in=JobState.finished()).exists():
        raise ConflictError("A round is being chosen. Wait for it or cancel it first.")
    if not candidates_of(project=project, by_pairs=bool(pair_rule)).exists():
        raise NotReady(
            "Nothing is left to pick: no open comparison is without a label, or all of them wait "
            "in earlier rounds. Import more, or send more to people on the routing page."
        )
    row = AcquisitionRound(
        project=project,
        number=next_number(AcquisitionRound.objects.filter(project=project)),
        strategy=strategy,
        batch_size=batch_size,
        random_share=random_share,
        seed=seed,
        posterior=posterior,
        pair_rule=pair_rule,
        reward_model=latest_reward_model(project),
        created_by=user,
    )
    row.save()
    job_enqueue(row)
    return row


def round_check(
    strategy: str,
    batch_size: int,
    random_share: float,
    posterior: str = LAPLACE_POSTERIOR,
    pair_rule: str = WHOLE,
) -> None:
    """Refuse settings that no round can follow, naming the field."""
    if pair_rule not in PAIR_CHOICES:
        raise ApplicationError(
            f"Unknown pair rule {pair_rule!r}; leave it empty to ask about all responses at once, "
            f"or use one of {', '.join(name for name in PAIR_CHOICES if name)}.",
            field="pair_rule",
        )
    if strategy not in STRATEGIES:
        raise ApplicationError(
            f"Unknown strategy {strategy!r}; use one of {', '.join(STRATEGIES)}.",
            field="strategy",
        )
    if posterior not in ROUND_POSTERIORS:
        raise ApplicationError(
            f"Unknown posterior {posterior!r}; use one of {', '.join(ROUND_POSTERIORS)}.",
            field="posterior",
        )
    if not 1 <= batch_size <= MAX_BATCH:
        raise ApplicationError(
            f"A batch holds between 1 and {MAX_BATCH:,} comparisons.", field="batch_size"
        )
    if not 0 <= random_share <= 1:
        raise ApplicationError("The random share lies between 0 and 1.", field="random_share")


def acquisition_round_pick(row: AcquisitionRound) -> str:
    """Choose and store the batch of a round; return the closing message.

    Safe to run twice: a round that has its picks keeps them.
    """
    from routing.acquiring import choose_batch

    if not row.picks.exists():
        started = time.monotonic()
        batch = choose_batch(row, report=partial(job_progress, row))
        row.map = batch.map
        row.report = batch.report | {"seconds": round(time.monotonic() - started, 2)}
        _write(row, batch)
    text = f"{row.picks.count():,} comparisons went to the head of the queue."
    return f"{text} {row.report.get('sentence', '')}".strip()


@transaction.atomic
def _write(row: AcquisitionRound, batch: "Batch") -> None:
    """Store the picks and put them at the head of the queue."""
    ids = batch.comparison_ids.tolist()
    comparisons_lock(comparison_ids=ids)
    pairs = comparisons_split(project=row.project, pairs=batch.pairs) if batch.pairs else {}
    picks = _picks(row, batch, {old: new.pk for old, new in pairs.items()})
    AcquisitionPick.objects.bulk_create(picks, batch_size=2_000)
    with connection.cursor() as cursor:
        cursor.execute(_PRIORITY_SQL, {"number": row.number, "size": len(ids), "round": row.pk})
    row.save(update_fields=["report", "map"])


def _picks(row: AcquisitionRound, batch: "Batch", pairs: dict[int, int]) -> list[AcquisitionPick]:
    selection = batch.selection
    terms = {
        "utility": selection.utilities,
        "uncertainty": batch.uncertainty,
        "entropy": selection.parts.get("prompt_entropy"),
    }
    columns = {
        name: [None] * len(selection.indices) if values is None else values.tolist()
        for name, values in terms.items()
    }
    ids = batch.comparison_ids.tolist()
    return [
        AcquisitionPick(
            round=row,
            comparison_id=pairs.get(ids[k], ids[k]),
            parent_id=ids[k] if ids[k] in pairs else None,
            rank=rank,
            is_random=bool(selection.is_random[k]),
            # What a random pick was drawn by is no utility.
            **{
                name: None if name == "utility" and selection.is_random[k] else _known(values[k])
                for name, values in columns.items()
            },
        )
        for rank, k in enumerate(batch.order.tolist())
    ]


def _known(value: float | None) -> float | None:
    """Databases sort NaN as a number; what is not known is NULL."""
    return None if value is None or value != value else value
