"""The stored frontier of a study at a budget, in dollars and words: plain Python for the pages."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from routing.choices import POLICIES
from routing.models import AcquisitionRound
from routing.phrases import tag_phrase
from routing.selectors import Pool

_PLOT_WIDTH = 200
_N_TAGS = 15
# Policies measured at one share stand side by side, so that their whiskers can be told apart.
_DODGE = 1.0

_KINDS = {
    "all_human-v1": "human",
    "random-v1": "random",
}
_NAMES = {
    "ppm_topk-v1": "Predicted gain",
    "disagreement-v1": "Predicted disagreement",
    "uncertainty-v1": "Judge uncertainty",
    "random-v1": "Random",
    "all_human-v1": "Human only",
}


@dataclass(frozen=True)
class AtBudget:
    """What a budget means: who labels how many, and the predicted performance."""

    budget_usd: float
    n_pool: int
    n_human: int
    spend_usd: float
    performance: float | None = None
    low: float = 0.0
    high: float = 0.0
    random_performance: float = 0.0

    @property
    def n_judge(self) -> int:
        """Comparisons that stay with the judge."""
        return self.n_pool - self.n_human

    @property
    def half_width(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2

    @property
    def human_share(self) -> float:
        """Share of the pool that goes to people."""
        return self.n_human / self.n_pool if self.n_pool else 0.0


def interpolate(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Linear interpolation between knots of increasing x, flat outside."""
    place = bisect_right(xs, x)
    if place == 0:
        return ys[0]
    if place == len(xs):
        return ys[-1]
    low, high = xs[place - 1], xs[place]
    weight = (x - low) / (high - low) if high > low else 0.0
    return ys[place - 1] + weight * (ys[place] - ys[place - 1])


def full_price_usd(pool: Pool, *, n_humans: int = 1) -> float:
    """What it costs beyond the judge to give people the whole pool."""
    return float(pool.extra_usd(n_humans)) * pool.n_comparisons


def at_budget(
    curve: dict[str, list[float]] | None, pool: Pool, *, budget_usd: float, n_humans: int = 1
) -> AtBudget:
    """Read the frontier at a budget; the curve is in shares, so it fits a pool of any size.

    Without a curve there are counts and dollars, but no prediction.
    """
    price = float(pool.extra_usd(n_humans))
    affordable = int(budget_usd / price + 1e-9) if price else pool.n_comparisons
    n_human = min(affordable, pool.n_comparisons)
    if curve is None:
        return AtBudget(budget_usd, pool.n_comparisons, n_human, n_human * price)
    share = n_human / pool.n_comparisons if pool.n_comparisons else 0.0
    values = {
        name: interpolate(share, curve["human_share"], curve[name])
        for name in ("performance", "low", "high", "random_performance")
    }
    return AtBudget(budget_usd, pool.n_comparisons, n_human, n_human * price, **values)


def frontier_spec(result: dict[str, Any], pool: Pool, *, n_humans: int = 1) -> dict[str, Any]:
    """Draw predicted performance against dollars, with what was measured beside it."""
    total = full_price_usd(pool, n_humans=n_humans)
    scale, label = (total, "Human labels (USD)") if total else (100.0, "Human share (%)")
    curve = result["frontier"]
    xs = [round(scale * share, 2) for share in curve["human_share"]]
    ends = [xs[0], xs[-1]]
    predicted = [
        _series(
            "Router, predicted",
            "policy",
            xs,
            curve["performance"],
            low=curve["low"],
            high=curve["high"],
        ),
        _series("Random, predicted", "random", xs, curve["random_performance"]),
        _series("Human only, predicted", "human", ends, [curve["performance"][-1]] * 2),
        _series("Judge only, predicted", "judge", ends, [curve["performance"][0]] * 2),
    ]
    return {
        "type": "band",
        "x": {"label": label, "min": 0},
        "y": {"label": "Probability given to people's labels"},
        "series": predicted,
    }


def measured_spec(result: dict[str, Any]) -> dict[str, Any]:
    """Draw what was measured on the test prompts over the judge alone, by human share."""
    policies: dict[str, list[dict[str, Any]]] = {}
    for point in result["measured"]:
        if point["policy"] != "all_judge-v1":
            policies.setdefault(point["policy"], []).append(point)
    gains = [point["gain"] for points in policies.values() for point in points]
    reach = 1.05 * max((max(abs(g["low"]), abs(g["high"])) for g in gains), default=1.0)
    return {
        "type": "scatter",
        "x": {"label": "Human share (%)", "min": -5, "max": 105},
        "y": {"label": "Log-likelihood over judge only", "min": -reach, "max": reach},
        "series": [
            _measured_series(name, points, shift=_DODGE * (place - len(policies) / 2))
            for place, (name, points) in enumerate(policies.items())
        ],
    }


def tag_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The features with the strongest evidence, each with its place in an interval plot."""
    rows = result["tags"][:_N_TAGS]
    reach = max((max(abs(row["low"]), abs(row["high"])) for row in rows), default=0.0) or 1.0

    def place(value: float) -> float:
        return round(_PLOT_WIDTH * (0.5 + 0.48 * value / reach), 1)

    return [
        row
        | {
            "phrase": tag_phrase(row["name"]),
            "left": place(row["low"]),
            "middle": place(row["effect_pp"]),
            "right": place(row["high"]),
            "is_clear": row["low"] > 0 or row["high"] < 0,
        }
        for row in rows
    ]


def uncertainty_spec(rounds: Sequence[AcquisitionRound]) -> dict[str, Any] | None:
    """Draw per round what the members disagreed about: the picks against the pool."""
    known = [row for row in reversed(rounds) if row.report.get("uncertainty_picks") is not None]
    if not known:
        return None
    series = [
        {
            "name": name,
            "kind": kind,
            "points": [[f"Round {row.number}", round(row.report[key], 6)] for row in known],
        }
        for name, kind, key in (
            ("Picks of the strategy", "policy", "uncertainty_picks"),
            ("All candidates", "random", "uncertainty_pool"),
        )
    ]
    return {
        "type": "bar",
        "x": {"label": "Round"},
        "y": {"label": "Mutual information (nats)", "min": 0},
        "series": series,
    }


def _measured_series(policy: str, points: list[dict[str, Any]], *, shift: float) -> dict[str, Any]:
    values = [point["gain"] for point in points]
    return _series(
        _NAMES.get(policy, POLICIES.get(policy, policy)),
        _KINDS.get(policy, "policy"),
        [100 * point["human_share"] + shift for point in points],
        [value["estimate"] for value in values],
        low=[value["low"] for value in values],
        high=[value["high"] for value in values],
    )


def _series(
    name: str, kind: str, xs: Sequence[float], ys: Sequence[float], **interval: Sequence[float]
) -> dict[str, Any]:
    points = [[x, round(y, 5)] for x, y in zip(xs, ys, strict=True)]
    bounds = {edge: [round(v, 5) for v in values] for edge, values in interval.items()}
    return {"name": name, "kind": kind, "points": points, **bounds}
