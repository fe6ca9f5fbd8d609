"""What cells of lists show: coloured labels, bars, ages, links."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from django.template.defaultfilters import date
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from ami.base import clock

Tone = Literal["good", "busy", "warn", "bad", "quiet"]
"""What a label says by its colour; its words say the same."""


def label(words: str, tone: Tone) -> SafeString:
    """A word or two in a colour."""
    return format_html('<span class="house-label house-{}">{}</span>', tone, words)


def bar(share: float, tone: Tone = "busy") -> SafeString:
    """How much is done, 0 to 1, as a bar and in figures."""
    done = f"{max(0.0, min(1.0, share)):.0%}"
    return format_html(
        '<span class="house-progress">'
        '<span class="house-bar house-{}"><span style="width: {}"></span></span> '
        '<span class="house-figure">{}</span></span>',
        tone,
        done,
        done,
    )


def age(moment: datetime | None) -> SafeString | str:
    """How long ago, with the moment itself for who points at it."""
    if moment is None:
        return "-"
    return format_html(
        '<time datetime="{}" title="{}" class="house-age">{}</time>',
        moment.isoformat(),
        date(localtime(moment), "DATETIME_FORMAT"),
        brief(clock.now() - moment),
    )


def brief(span: timedelta) -> str:
    """A span in its largest unit: `3 min`."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def link(page: str, key: object, words: object) -> SafeString:
    """To the page of a row; `page` is the name of its address."""
    return format_html('<a href="{}">{}</a>', reverse(page, args=[key]), words)


def number(count: int, noun: str) -> str:
    """`1 image`, `2,000 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
