"""When the health checks run that heal a job: as the schedule in the database says, and when they did."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from django_celery_beat.models import PeriodicTask

from ami.jobs.models import HealthReport
from ami.jobs.tracing.phrases import span


@dataclass(frozen=True, slots=True)
class Check:
    """One health check. `seconds`: from one run to the next; None if nobody runs it."""

    name: str
    seconds: float | None
    last_run: datetime | None

    @property
    def words(self) -> str:
        """Its name as people read it."""
        return self.name.replace("_", " ")

    def within(self, runs: int = 1) -> str:
        """When it has run so many times: `within 15 s`, or that it never will."""
        if self.seconds is None:
            return f"which is not scheduled (run manage.py run_health --check {self.name})"
        return f"within {span(runs * self.seconds)}"

    @property
    def next(self) -> str:
        """Its next run, with the time by which it comes."""
        return f"the next {self.words} check, {self.within()}"


def scheduled(name: str) -> Check:
    """The check of this name as it is scheduled now."""
    entries = PeriodicTask.objects.filter(task="jobs.health", enabled=True, interval__isnull=False)
    periods = [
        timedelta(**{entry.interval.period: entry.interval.every}).total_seconds()
        for entry in entries.select_related("interval")
        if json.loads(entry.args or "[]") == [name]
    ]
    newest = HealthReport.objects.filter(check_name=name).order_by("-last_at").first()
    return Check(name, min(periods, default=None), newest.last_at if newest else None)
