"""When background work runs: one table in code, carried into the database where operators may change it.

`sync_schedule` creates what is missing and follows changes of this table, but leaves alone what an operator
changed or switched off in the admin.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask


@dataclass(frozen=True, slots=True)
class Entry:
    """One periodic task: it runs `task` with `arguments` every `seconds`, on the given queue."""

    name: str
    task: str
    arguments: tuple[str, ...]
    seconds: int
    queue: str = "health"


SCHEDULE = (
    Entry("jobs: inbox check", "jobs.health", ("inbox",), 15),
    Entry("jobs: dispatch check", "jobs.health", ("dispatch",), 15),
    Entry("jobs: lost images", "jobs.health", ("lost_images",), 120),
    Entry("jobs: pending sets", "jobs.health", ("pending_sets",), 120),
    Entry("jobs: stalled jobs", "jobs.health", ("stalled_jobs",), 120),
    Entry("jobs: snapshots", "jobs.health", ("snapshots",), 120),
    Entry("jobs: zombie streams", "jobs.health", ("zombie_streams",), 900),
    Entry("jobs: notifications", "jobs.notify", (), 10, queue="default"),
    Entry("jobs: old samples", "jobs.health", ("samples",), 3_600),
    Entry("workers: who went silent", "workers.offline", (), 15),
    Entry("services: who answers", "services.check", (), 30),
)

_MARK = "From code: every {seconds} s. Edit freely; your change is kept."


def sync_schedule() -> int:
    """Write the table into the database; returns how many entries were created or changed. Safe to repeat."""
    changed = 0
    with transaction.atomic():
        for entry in SCHEDULE:
            changed += _sync(entry)
    return changed


def _sync(entry: Entry) -> bool:
    interval, _ = IntervalSchedule.objects.get_or_create(every=entry.seconds, period=IntervalSchedule.SECONDS)
    wanted = _MARK.format(seconds=entry.seconds)
    row, created = PeriodicTask.objects.get_or_create(
        name=entry.name,
        defaults={
            "task": entry.task,
            "args": json.dumps(entry.arguments),
            "interval": interval,
            "expire_seconds": entry.seconds * 2,
            "queue": entry.queue,
            "description": wanted,
        },
    )
    # The description remembers what the code asked for last: only if that changed, the row follows.
    if created or row.description == wanted:
        return bool(created)
    row.interval = interval
    row.expire_seconds = entry.seconds * 2
    row.description = wanted
    row.save()
    return True
