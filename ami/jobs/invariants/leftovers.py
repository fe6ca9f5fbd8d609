"""I9, tidiness: an ended job leaves no stream in NATS and no pending sets in Redis."""

from __future__ import annotations

from ami.base.database import rows
from ami.jobs.invariants.violation import Violation
from ami.taskqueue import TaskQueueManager, list_job_ids_with_state


def leftovers(older_than: float = 0.0) -> list[Violation]:
    """Streams and pending sets of jobs that ended at least `older_than` seconds ago, or do not exist.

    Raises QueueUnavailable and PendingStateUnavailable when NATS or Redis does not answer. What was made for
    a job that began after this looked is not reported: the database is asked last.
    """
    streams = {snapshot.job_id for snapshot in TaskQueueManager().list_streams()}
    kept = set(list_job_ids_with_state())
    needed = {
        row[0]
        for row in rows(
            """SELECT id FROM jobs_job WHERE id = ANY(%s) AND (status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')
                OR finished_at > clock_timestamp() - make_interval(secs => %s))""",
            [sorted(streams | kept), older_than],
        )
    }
    return [
        Violation("I9", job_id, text)
        for found, text in (
            (streams, "its stream is still there"),
            (kept, "its pending sets are still there"),
        )
        for job_id in sorted(found - needed)
    ]
