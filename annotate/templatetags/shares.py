"""Shares with their interval and n, written the same way on every page."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotate.quality_signals import Share

register = template.Library()


@register.filter
def share(counted: Share | None) -> str | SafeString:
    """Write a share as ``.83 [.71, .91], n = 40``, or a dash where nothing was counted."""
    if counted is None or counted.value is None:
        return "\u2013"
    return format_html(
        '{} <span class="interval">[{}, {}], n\u00a0=\u00a0{}</span>',
        short(counted.value),
        short(counted.low),
        short(counted.high),
        counted.n,
    )


@register.filter
def short(value: float) -> str:
    """Write a share with two digits and without the leading zero."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text
