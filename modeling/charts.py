"""Stored figures as chart specifications (docs/front-end.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from modeling.selectors import Figure, JudgeFigures

ACCURACY = "Accuracy on held-out human labels"


def learning_curve_chart(
    curve: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Accuracy by number of training labels, with the two rules that a model has to beat."""
    points = [point for point in curve if point["accuracy"] is not None]
    if not points:
        return None
    series = [
        {
            "name": "Reward model",
            "kind": "policy",
            "points": [[point["n_labels"], point["accuracy"]] for point in points],
            "low": [point["low"] for point in points],
            "high": [point["high"] for point in points],
        }
    ]
    ends = [points[0]["n_labels"], points[-1]["n_labels"]]
    names = {"length": ("Longer response", "random"), "constant": ("Constant", "neutral")}
    for key, baseline in metrics.get("baselines", {}).items():
        accuracy = baseline["accuracy"]["estimate"]
        if accuracy is not None:
            name, kind = names[key]
            flat = [[end, accuracy] for end in ends]
            series.append({"name": name, "kind": kind, "points": flat})
    return {
        "type": "line",
        "x": {"label": "Labelled pairs in training", "min": 0},
        "y": {"label": ACCURACY, "max": 1},
        "series": series,
    }


def reliability_chart(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Observed against predicted probability of the predicted side."""
    points = metrics.get("reliability", [])
    if not points:
        return None
    return {
        "type": "line",
        "x": {"label": "Predicted probability", "min": 0.5, "max": 1},
        "y": {"label": "Humans agreed", "min": 0, "max": 1},
        "series": [
            {
                "name": "Reward model",
                "kind": "policy",
                "points": [[point["predicted"], point["estimate"]] for point in points],
                "low": [point["low"] for point in points],
                "high": [point["high"] for point in points],
            },
            {"name": "Perfect", "kind": "neutral", "points": [[0.5, 0.5], [1, 1]]},
        ],
    }


def judges_chart(figures: Sequence[JudgeFigures]) -> dict[str, Any] | None:
    """Accuracy of each measured judge, with and without ties; nothing to compare below two."""
    measured = [row for row in figures if row.accuracy is not None]
    if len(measured) < 2:
        return None
    with_ties = [(row.name, row.accuracy) for row in measured]
    without = [(row.name, row.accuracy_without_ties) for row in measured]
    return {
        "type": "bar",
        "x": {"label": "Judge"},
        "y": {"label": "Agreement", "min": 0, "max": 1},
        "series": [
            _bars("All verdicts", "judge", with_ties),
            _bars("Where both decide", "neutral", without),
        ],
    }


def _bars(name: str, kind: str, rows: Sequence[tuple[str, Figure | None]]) -> dict[str, Any]:
    known = [(label, figure) for label, figure in rows if figure is not None]
    return {
        "name": name,
        "kind": kind,
        "points": [[label, figure.estimate] for label, figure in known],
        "low": [figure.low for _, figure in known],
        "high": [figure.high for _, figure in known],
    }
