"""Figures with their intervals, written one way on every page."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from django import template

from modeling.selectors import Figure

register = template.Library()

NONE = "\N{EN DASH}"
# A template looks a figure up in what may be missing itself, and Django says "" of that.
Missing = Literal[""] | None
MINUS = "\N{MINUS SIGN}"


@register.filter
def estimate(figure: Figure | Missing) -> str:
    """The estimate to three places."""
    return NONE if not figure else f"{figure.estimate:.3f}"


@register.filter
def difference(figure: Figure | Missing) -> str:
    """The estimate of a difference, with its sign."""
    return NONE if not figure else f"{figure.estimate:+.3f}".replace("-", MINUS)


@register.filter
def interval(figure: Figure | None) -> str:
    """The 95 % interval and what it stands on."""
    if figure is None:
        return ""
    bounds = f"[{figure.low:.3f}, {figure.high:.3f}]".replace("-", MINUS)
    return f"{bounds}, n = {figure.n:,} on {figure.n_prompts:,} prompts"


@register.filter
def stored(figure: Mapping[str, Any] | None) -> Figure | None:
    """Read a figure as a job stored it."""
    return Figure.read(figure)


@register.filter
def left_time(left: timedelta) -> str:
    """Write how long something still takes, in the largest unit that tells it."""
    seconds = left.total_seconds()
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@register.filter
def bounds(figure: Figure) -> str:
    """The interval alone, short enough for a table."""
    return f"[{figure.low:.2f}, {figure.high:.2f}]".replace("-", MINUS)


@register.filter
def usd(amount: Decimal | float | None) -> str:
    """Dollars: cents, and more places below a dollar."""
    if amount is None:
        return NONE
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
