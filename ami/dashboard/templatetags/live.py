"""Numbers and times as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html

register = template.Library()


@register.simple_tag
def ago(at: datetime) -> str:
    """A time that `live.js` shows as how long ago it was; the page itself stays the same meanwhile."""
    return format_html('<time datetime="{}" data-ago>{}</time>', at.isoformat(timespec="seconds"), _said(at))


@register.simple_tag
def since(at: datetime) -> str:
    """The same as how long it has lasted."""
    return format_html(
        '<time datetime="{}" data-since>since {}</time>', at.isoformat(timespec="seconds"), _said(at)
    )


@register.filter
def number(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


@register.simple_tag
def moment(at: datetime) -> str:
    """A time in UTC, for people and for machines."""
    return format_html('<time datetime="{}">{}</time>', at.isoformat(timespec="seconds"), _said(at))


def _said(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %H:%M:%S} UTC"
