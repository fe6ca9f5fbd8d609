"""Sessions: captures of one station that belong together in time, usually one night (`Event` on the wire)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from django.db import models

from ami.base.models import TimestampedModel
from ami.main.models.deployment import Deployment


class Event(TimestampedModel):
    """One session of a station: no gap in it is longer than the project's `session_time_gap_seconds`.

    `ami.main.sessions` is the only writer. Sessions of a station never overlap.
    """

    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    start = models.DateTimeField(help_text="The time of its first capture.")
    end = models.DateTimeField(help_text="The time of its last capture.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-start", "-pk"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["deployment", "start"], name="event_deployment_start"),
        ]

    def __str__(self) -> str:
        return self.date_label

    @property
    def local_start(self) -> datetime:
        """When it began, by the station's clock."""
        return self.start.astimezone(self.deployment.zone)

    @property
    def day(self) -> date:
        """The day on which it began, where the station stands."""
        return self.local_start.date()

    @property
    def duration(self) -> timedelta:
        """From the first capture to the last."""
        return self.end - self.start

    @property
    def date_label(self) -> str:
        """Its days for people, such as `Jun 1, 2026` or `Jun 1-2, 2026`."""
        first, last = self.day, self.end.astimezone(self.deployment.zone).date()
        if first == last:
            return f"{first:%b} {first.day}, {first.year}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first:%b} {first.day}-{last.day}, {first.year}"
        if first.year == last.year:
            return f"{first:%b} {first.day} - {last:%b} {last.day}, {first.year}"
        return f"{first:%b} {first.day}, {first.year} - {last:%b} {last.day}, {last.year}"

    @property
    def duration_label(self) -> str:
        """Its length for people, such as `7 h 30 min`."""
        hours, minutes = divmod(int(self.duration.total_seconds()) // 60, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"
