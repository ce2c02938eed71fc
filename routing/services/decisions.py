"""Frozen decisions on their way into the database: a hundred thousand in seconds, by COPY."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from routing.models import RoutingBatch, RoutingDecision

if TYPE_CHECKING:
    from routing.deciding import Plan

_COLUMNS = (
    "batch_id",
    "comparison_id",
    "action",
    "n_humans",
    "is_audit",
    "policy",
    "inputs",
    "predicted_gain",
    "gain_low",
    "gain_high",
    "propensity",
    "price_usd",
    "reason",
    "wanted_before",
    "label_price_usd",
    "label_price_before_usd",
    "arm",
    "skill",
    "skill_before",
    "created_at",
)


def decisions_copy(batch: RoutingBatch, plan: "Plan", kept: list[int]) -> None:
    """Write one decision for each of the kept rows of a plan."""
    statement = f"COPY routing_routingdecision ({', '.join(_COLUMNS)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in _decision_rows(batch, plan, kept):
            copy.write_row(row)


def _decision_rows(batch: RoutingBatch, plan: "Plan", kept: list[int]) -> Iterator[tuple[Any, ...]]:
    """One tuple per decision in the order of ``_COLUMNS``."""
    now, routing, ids = timezone.now(), plan.routing, plan.comparison_ids.tolist()
    human, judge = RoutingDecision.Action.HUMAN.value, RoutingDecision.Action.JUDGE.value
    to_human, audit = routing.to_human.tolist(), routing.is_audit.tolist()
    gains = [_numbers(v) for v in (routing.gain_mean, routing.gain_low, routing.gain_high)]
    chance, utility = routing.propensity.tolist(), routing.utility.tolist()
    wanted, names = plan.pool.wanted.tolist(), _tag_names(plan)
    n_humans = plan.asked.n_humans.tolist()
    for row in kept:
        # The chance of what was done: of a human label, or of leaving the judge's alone.
        taken = chance[row] if to_human[row] else 1.0 - chance[row]
        inputs = json.dumps({"utility": round(utility[row], 9), "tags": names[row]})
        yield (
            batch.pk,
            ids[row],
            human if to_human[row] else judge,
            n_humans[row] if to_human[row] else 0,
            audit[row],
            batch.policy,
            inputs,
            gains[0][row],
            gains[1][row],
            gains[2][row],
            min(max(taken, 1e-9), 1.0),
            plan.price_usd(row),
            plan.reasons[row][:300],
            wanted[row],
            plan.asked.label_usd[row] if to_human[row] else plan.pool.label_usd[row],
            plan.pool.label_usd[row],
            plan.asked.arm[row],
            plan.asked.skill[row] if to_human[row] else plan.pool.skill[row],
            plan.pool.skill[row],
            now,
        )


def _numbers(values: Any) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _tag_names(plan: "Plan") -> list[list[str]]:
    if plan.tags is None:
        return [[]] * len(plan.comparison_ids)
    names = plan.tags.names
    rows, columns = plan.tags.matrix.nonzero()
    found: list[list[str]] = [[] for _ in range(len(plan.comparison_ids))]
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        found[row].append(names[column])
    return found
