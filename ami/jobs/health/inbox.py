"""inbox check: accepted results whose saving was lost or died are enqueued again.

Their messages are told to wait meanwhile, so that nobody is handed an image whose result is already here.
Those not asked for yet come first, then those whose last request is longest ago; a row that waits long is
asked for less often, so that the broker is not flooded while nobody saves.
"""

from __future__ import annotations

import structlog
from django.conf import settings

from ami.base.database import execute, rows
from ami.jobs.dispatcher import dispatcher
from ami.jobs.health.report import Report
from ami.jobs.lifecycle.inbox_body import unpack_body
from ami.taskqueue import InProgress, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)

AT_ONCE = 500
"""Rows enqueued in one run; the next run takes the next ones."""


ASK_AGAIN_AT_MOST = 120.0
"""Seconds after which a row is asked for again at the latest: what the broker lost must not wait for long."""


def check_inbox(*, dry_run: bool = False) -> Report:
    """Enqueue rows older than `INBOX_RETRY_SECONDS` that nobody is saving. Safe to run twice."""
    waiting = [
        row[0]
        for row in rows(
            """SELECT id FROM jobs_inboxentry
            WHERE created_at < clock_timestamp() - make_interval(secs => %(after)s)
                AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
                AND (asked_at IS NULL OR asked_at < clock_timestamp() - LEAST(make_interval(secs => %(most)s),
                    GREATEST(make_interval(secs => %(after)s), (asked_at - created_at) / 2)))
            ORDER BY asked_at NULLS FIRST, id LIMIT %(count)s""",
            {"after": settings.INBOX_RETRY_SECONDS, "most": ASK_AGAIN_AT_MOST, "count": AT_ONCE},
        )
    ]
    report = Report(checked=len(waiting))
    if dry_run or not waiting:
        report.fixed = len(waiting)
        return report
    taken = [inbox_id for inbox_id in waiting if dispatcher().save([inbox_id])]
    execute(
        """UPDATE jobs_inboxentry SET asked_at = statement_timestamp() WHERE id IN (
        SELECT id FROM jobs_inboxentry WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)""",
        [taken],
    )
    report.fixed, report.unfixable = len(taken), len(waiting) - len(taken)
    for inbox_id in waiting:
        if not _extend_leases(inbox_id):
            break
    return report


def _extend_leases(inbox_id: int) -> bool:
    """Tell NATS that the images of a row are in progress; False when NATS does not listen."""
    found = rows("SELECT body, job_id FROM jobs_inboxentry WHERE id = %s", [inbox_id])
    if not found:
        return True
    try:
        deliveries = [item.delivery for item in unpack_body(found[0][0]) if item.delivery]
    except Exception as error:  # noqa: BLE001 - the saver reports an unreadable body and fails its images
        logger.warning(
            "health.unreadable_body", job_id=found[0][1], inbox_id=inbox_id, error=repr(error)[:200]
        )
        return True
    if not deliveries:
        return True
    try:
        TaskQueueManager().settle([InProgress(delivery) for delivery in deliveries])
    except QueueError as error:
        logger.info("health.leases_not_extended", job_id=found[0][1], inbox_id=inbox_id, error=error.message)
        return False
    return True
