"""Notes in the transaction that ends a job whom to tell; `ami.jobs.notifying` tells them after the commit.

So what is noted is never lost, and what never happened is never told.
"""

from __future__ import annotations

from ami.base.database import execute

_NOTE = """
INSERT INTO jobs_notification
    (id, job_id, run, job_status, way, webhook_id, state, tries, next_try_at, last_error, created_at)
SELECT gen_random_uuid(), j.id, j.run, j.status, t.way, t.webhook_id, 'waiting', 0, clock_timestamp(), '',
    clock_timestamp()
FROM jobs_job j CROSS JOIN LATERAL (
    SELECT 'webhook' AS way, h.id AS webhook_id FROM jobs_webhook h
        WHERE h.project_id = j.project_id AND h.active
    UNION ALL
    SELECT 'email', NULL FROM users_user u
        WHERE j.notify_by_email AND u.id = j.created_by_id AND u.is_active) AS t
WHERE j.id = %s
ON CONFLICT DO NOTHING"""


def note_end(job_id: int) -> int:
    """Note everybody who wants to hear that this run of a job ended; returns how many. Safe to run twice."""
    return execute(_NOTE, [job_id])
