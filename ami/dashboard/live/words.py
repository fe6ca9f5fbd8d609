"""Durations and rates as people say them."""

from __future__ import annotations

from datetime import timedelta

from ami.dashboard.live.pace import Pace

_STEPS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
SHORT = "less than a minute"


def duration(length: timedelta | float) -> str:
    """The two largest units: `1 hour 20 minutes`; below a second `less than a second`."""
    seconds = int(length.total_seconds() if isinstance(length, timedelta) else length)
    said = []
    for size, name in _STEPS:
        number, seconds = divmod(seconds, size)
        if number:
            said.append(f"{number} {name}{'' if number == 1 else 's'}")
    return " ".join(said[:2]) or "less than a second"


def about(seconds: float) -> str:
    """A duration that nobody knows to the second: its largest unit, rounded."""
    if seconds < 60:
        return SHORT
    size, name = next(step for step in _STEPS if seconds >= 1.5 * step[0] or step[1] == "minute")
    number = round(seconds / size)
    return f"{number} {name}{'' if number == 1 else 's'}"


def rate(images_per_second: float) -> str:
    """Images per second, per minute or per hour: whichever gives a number that can be pictured."""
    for factor, unit in ((1, "s"), (60, "min"), (3_600, "hour")):
        if images_per_second * factor >= 1 or unit == "hour":
            value = images_per_second * factor
            return f"{value:,.0f}/{unit}" if value >= 10 else f"{value:.1f}/{unit}"
    raise AssertionError(images_per_second)


def eta(pace: Pace) -> str:
    """How long it will take yet, and how sure that is."""
    soonest, latest = about(pace.soonest), about(pace.latest)
    if soonest == latest or pace.is_sure:
        return f"{latest if latest == SHORT else f'about {latest}'} to go"
    return f"{soonest} to {latest} to go (workers are not steady)"
