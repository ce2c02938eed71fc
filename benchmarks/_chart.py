"""The scaling curve as a small SVG, readable in light and dark, drawn without a library."""

from collections.abc import Sequence
from math import log10
from typing import Any

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 36, 44
AIM_MS = 20.0
SERIES = (
    ("next_ms", "p50", "next, p50", "#2563eb", ""),
    ("next_ms", "p95", "next, p95", "#2563eb", "5 4"),
    ("submit_ms", "p50", "submit, p50", "#c2410c", ""),
    ("submit_ms", "p95", "submit, p95", "#c2410c", "5 4"),
)
STYLE = "text{font:12px system-ui,sans-serif;fill:#6b7280}.grid{stroke:#9ca3af;stroke-opacity:.35}"


def scaling_chart(curve: Sequence[dict[str, Any]]) -> str:
    """Draw milliseconds over the number of comparisons, the latter on a logarithmic axis."""
    sizes = [point["n_comparisons"] for point in curve]
    highest = max(AIM_MS, *(point[name][rank] for point in curve for name, rank, *_ in SERIES))
    top_ms = -(-highest // 5) * 5
    root = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    parts = [
        f'<svg {root} aria-label="Time per request over project size"><style>{STYLE}</style>',
        f'<text x="{LEFT}" y="18">Server\'s own work per request, ms</text>',
        *_grid(top_ms),
        *(_size_label(size, sizes) for size in sizes),
        *(_line(curve, sizes, top_ms, series, place) for place, series in enumerate(SERIES)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(size: int, sizes: Sequence[int]) -> float:
    low, high = log10(sizes[0]), log10(sizes[-1])
    share = (log10(size) - low) / (high - low) if high > low else 0.5
    return LEFT + 16 + share * (WIDTH - LEFT - RIGHT - 32)


def _y(ms: float, top_ms: float) -> float:
    return TOP + (1 - ms / top_ms) * (HEIGHT - TOP - BOTTOM)


def _grid(top_ms: float) -> list[str]:
    parts = []
    for ms in range(0, int(top_ms) + 1, 5):
        y = _y(ms, top_ms)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{ms}</text>')
    return parts


def _size_label(size: int, sizes: Sequence[int]) -> str:
    x = _x(size, sizes)
    return f'<text x="{x:.0f}" y="{HEIGHT - 18}" text-anchor="middle">{size:,}</text>'


def _line(
    curve: Sequence[dict[str, Any]],
    sizes: Sequence[int],
    top_ms: float,
    series: tuple[str, str, str, str, str],
    place: int,
) -> str:
    name, rank, caption, colour, dashes = series
    points = [(_x(p["n_comparisons"], sizes), _y(p[name][rank], top_ms)) for p in curve]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    y = TOP + 10 + 22 * place
    left = WIDTH - RIGHT + 14
    stroke = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
    return (
        f'<polyline points="{path}" fill="none" {stroke}/>{dots}'
        f'<line x1="{left}" x2="{left + 24}" y1="{y}" y2="{y}" {stroke}/>'
        f'<text x="{left + 32}" y="{y + 4}">{caption}</text>'
    )
