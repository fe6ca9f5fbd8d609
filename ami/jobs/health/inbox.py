"""inbox check: accepted results whose saving was lost or died are enqueued again.

Their messages are told to wait meanwhile, so that nobody is handed an image whose result is already here.
"""

from __future__ import annotations

import structlog
from django.conf import settings

from ami.base.database import rows
from ami.jobs.dispatcher import dispatcher
from ami.jobs.health.report import Report
from ami.jobs.lifecycle.inbox_body import unpack_body
from ami.taskqueue import InProgress, QueueError, TaskQueueManager

logger = structlog.get_logger(__name__)

AT_ONCE = 500
"""Rows enqueued in one run; the next run takes the next ones."""


def check_inbox() -> Report:
    """Enqueue rows older than `INBOX_RETRY_SECONDS` that nobody is saving. Safe to run twice."""
    waiting = [
        row[0]
        for row in rows(
            """SELECT id FROM jobs_inboxentry
            WHERE created_at < clock_timestamp() - make_interval(secs => %s)
                AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
            ORDER BY id LIMIT %s""",
            [settings.INBOX_RETRY_SECONDS, AT_ONCE],
        )
    ]
    report = Report(checked=len(waiting))
    if not waiting:
        return report
    if dispatcher().save(waiting):
        report.fixed = len(waiting)
    else:
        report.unfixable = len(waiting)
    for inbox_id in waiting:
        if not _extend_leases(inbox_id):
            break
    return report


def _extend_leases(inbox_id: int) -> bool:
    """Tell NATS that the images of a row are in progress; False when NATS does not listen."""
    found = rows("SELECT body FROM jobs_inboxentry WHERE id = %s", [inbox_id])
    if not found:
        return True
    try:
        deliveries = [item.delivery for item in unpack_body(found[0][0])]
    except Exception as error:  # noqa: BLE001 - the saver reports an unreadable body and fails its images
        logger.warning("health.unreadable_body", inbox_id=inbox_id, error=repr(error)[:200])
        return True
    try:
        TaskQueueManager().settle([InProgress(delivery) for delivery in deliveries])
    except QueueError as error:
        logger.info("health.leases_not_extended", inbox_id=inbox_id, error=error.message)
        return False
    return True
