"""Numbers and times as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html

register = template.Library()


@register.filter
def number(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


@register.simple_tag
def moment(at: datetime) -> str:
    """A time in UTC, for people and for machines."""
    at = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{}</time>', at.isoformat(timespec="seconds"), f"{at.day} {at:%b %H:%M:%S} UTC"
    )
