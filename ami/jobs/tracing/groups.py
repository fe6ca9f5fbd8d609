"""The unfinished images of a job as Postgres sees them, those in the same situation counted together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime

from ami.base.database import rows
from ami.jobs.states import TaskState
from ami.taskqueue import StandingTask


@dataclass(frozen=True, slots=True)
class Group:
    """Open images that have everything in common but times and ids. `images`: the first ten."""

    status: int
    published: bool
    in_queue: bool
    """Whether the message was read in the queue; means nothing if the queue was not read."""
    lease: str
    """`running`, `over` (without an answer), or empty."""
    pausing: bool
    used: int
    """Attempts used, the one under way included."""
    worker: str
    """Who has, or had, the lease."""
    row_present: bool
    tries: int
    """How often saving the inbox row was begun."""
    saving: bool
    count: int
    images: list[int]
    lease_first: datetime | None
    lease_last: datetime | None
    pause_first: datetime | None
    pause_last: datetime | None
    row_first: int | None
    row_last: int | None
    rows: int
    claim_last: datetime | None


_SQL = """
SELECT t.status, t.position <= %(published_to)s, q.image_id IS NOT NULL OR t.position > %(sure_to)s,
    CASE WHEN t.leased_until > %(now)s THEN 'running' WHEN t.leased_until IS NOT NULL THEN 'over' ELSE '' END,
    COALESCE(t.not_before > %(now)s, false),
    CASE WHEN t.status = %(pending)s THEN t.attempt - t.released ELSE 0 END,
    CASE WHEN t.leased_until IS NOT NULL THEN t.worker ELSE '' END,
    i.id IS NOT NULL, COALESCE(i.tries, 0), COALESCE(i.claimed_until > %(now)s, false),
    count(*), (array_agg(t.image_id ORDER BY t.position))[1:10],
    min(t.leased_until), max(t.leased_until), min(t.not_before), max(t.not_before),
    min(t.accepted_in), max(t.accepted_in), count(DISTINCT t.accepted_in), max(i.claimed_until)
FROM jobs_jobtask t
LEFT JOIN unnest(%(images)s::bigint[], %(runs)s::integer[]) AS q(image_id, run)
    ON q.image_id = t.image_id AND q.run = t.run
LEFT JOIN jobs_inboxentry i ON t.status = %(received)s AND i.id = t.accepted_in
WHERE t.job_id = %(job)s AND t.status IN (%(pending)s, %(received)s)
    AND (%(image)s::bigint IS NULL OR t.image_id = %(image)s)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ORDER BY min(t.position)
"""


@dataclass(frozen=True, slots=True)
class Published:
    """Up to which positions images were published: as the job's row says, and before the queue was read."""

    to: int
    sure_to: int


def open_groups(
    job_id: int,
    now: datetime,
    published: Published,
    standing: Collection[StandingTask],
    image_id: int | None = None,
) -> list[Group]:
    """The open images of a job, or the one that is named, in groups by publishing order; one statement.

    What was published after the queue was read counts as standing there.
    """
    found = rows(
        _SQL,
        {
            "job": job_id,
            "image": image_id,
            "now": now,
            "published_to": published.to,
            "sure_to": published.sure_to,
            "images": [task.image_id for task in standing],
            "runs": [task.run for task in standing],
            "pending": int(TaskState.PENDING),
            "received": int(TaskState.RECEIVED),
        },
    )
    names = [field.name for field in fields(Group)]
    return [Group(**dict(zip(names, row, strict=True))) for row in found]
