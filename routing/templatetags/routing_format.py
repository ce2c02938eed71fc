"""Numbers of routing as pages show them."""

from decimal import Decimal

from django import template

from routing.choices import policy_title, strategy_title
from routing.phrases import percent

register = template.Library()

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

register.filter("policy_name", policy_title)
register.filter("strategy_name", strategy_title)


@register.filter
def share3(value: float | None) -> str:
    """A share in [0, 1] with three digits and no leading zero: ``.742``."""
    if value is None:
        return NOTHING
    return f"{value:.3f}".replace("0.", ".", 1)


@register.filter
def as_percent(share: object) -> str:
    """A share as a percentage, or a dash where it is not known."""
    return percent(share) if isinstance(share, float | int) else NOTHING


@register.filter
def signed_pp(value: float | None) -> str:
    """Percentage points with their sign."""
    return NOTHING if value is None else f"{value:+.2f}".replace("-", MINUS)


@register.filter
def signed4(value: float) -> str:
    """A difference of log-likelihoods with its sign."""
    return f"{value:+.4f}".replace("-", MINUS)


@register.filter
def gain_pp(share: float | None) -> str:
    """A gain of one comparison, given as a share, in percentage points."""
    return NOTHING if share is None else f"{100 * share:+.2g}".replace("-", MINUS)


@register.filter
def nats(value: object) -> str:
    """Three significant digits, or a dash where a term is not known."""
    return f"{value:.3g}" if isinstance(value, float | int) else NOTHING


@register.filter
def thousandths(value: object) -> str:
    """Thousandths to three significant digits, never as a power of ten."""
    if not isinstance(value, float | int):
        return NOTHING
    return f"{Decimal(f'{1000 * value:.3g}'):f}".replace("-", MINUS)


@register.filter
def ratio(value: float | None) -> str:
    """Labels over random's labels; what is never reached is infinite."""
    return "∞" if value is None else f"{value:.2f}"
