"""Replayed curves, one panel per set, as a small SVG readable in light and dark."""

from collections.abc import Mapping, Sequence
from typing import Any

PANEL_WIDTH, HEIGHT = 300, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 56, 40
SERIES = {
    "random-v1": ("Random", "#6b7280", "2 3"),
    "epig_staged-v1": ("EPIG in stages", "#0d8a92", ""),
    "epig_direction-v1": ("by direction", "#0d8a92", "2 3"),
    "epig_linear-v1": ("last layer", "#0d8a92", "7 4"),
    "bald-v1": ("BALD", "#c2410c", ""),
    "bal_pm-v1": ("BAL-PM", "#2563eb", ""),
}
STYLE = "text{font:12px system-ui,sans-serif;fill:#6b7280}.grid{stroke:#9ca3af;stroke-opacity:.35}"


def replay_chart(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw held-out log loss over labels for random and five strategies."""
    width = PANEL_WIDTH * len(results)
    root = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" role="img"'
    panels = [
        _panel(name, result, place * PANEL_WIDTH)
        for place, (name, result) in enumerate(results.items())
    ]
    label = "Held-out log loss over labels by query strategy"
    parts = [f'<svg {root} aria-label="{label}"><style>{STYLE}</style>', *_key(), *panels, "</svg>"]
    return "\n".join(parts) + "\n"


def _key() -> list[str]:
    parts = []
    for place, (caption, colour, dashes) in enumerate(SERIES.values()):
        x = LEFT + 140 * place
        parts.append(
            f'<line x1="{x}" x2="{x + 22}" y1="14" y2="14" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/><text x="{x + 28}" y="18">{caption}</text>'
        )
    return parts


def _panel(name: str, result: Mapping[str, Any], left: int) -> str:
    curves = {key: result["strategies"][key] for key in SERIES if key in result["strategies"]}
    labels = next(iter(curves.values()))["n_labels"]
    losses = [value for curve in curves.values() for value in curve["log_loss"]["mean"]]
    low, high = min(losses), max(losses)
    parts = [f'<text x="{left + LEFT}" y="42">{name}: log loss, nats</text>']
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        y = _y(value, low, high)
        parts.append(
            f'<line class="grid" x1="{left + LEFT}" x2="{left + PANEL_WIDTH - RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="{left + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{value:.3f}</text>"
        )
    for count in (labels[0], labels[len(labels) // 2], labels[-1]):
        x = _x(count, labels, left)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{count}</text>')
    parts += [_line(key, curve, labels, left, low, high) for key, curve in curves.items()]
    return "\n".join(parts)


def _line(
    key: str, curve: Mapping[str, Any], labels: Sequence[int], left: int, low: float, high: float
) -> str:
    pairs = zip(labels, curve["log_loss"]["mean"], strict=True)
    path = " ".join(f"{_x(n, labels, left):.1f},{_y(value, low, high):.1f}" for n, value in pairs)
    _, colour, dashes = SERIES[key]
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _x(count: int, labels: Sequence[int], left: int) -> float:
    share = (count - labels[0]) / (labels[-1] - labels[0])
    return left + LEFT + share * (PANEL_WIDTH - LEFT - RIGHT)


def _y(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)
