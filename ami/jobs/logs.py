"""What a person reads about a job: appended lines, and the same events in the structured log.

Lines are appended in one INSERT per call and never touch the job's row, so writing them locks nothing
(docs/adr/0002). `JOB_LOG_PERSIST_ENABLED` switches the rows off; the structured log stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction

from ami.base import clock
from ami.base.logs import clean_text, mask
from ami.jobs.models import JobLog

logger = structlog.get_logger("ami.jobs")

MAX_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """One log line: an event name for machines, a sentence for people, ids as context."""

    event: str
    message: str
    level: str = "INFO"
    context: dict[str, Any] = field(default_factory=dict)


def write(job_id: int, lines: Iterable[Line]) -> None:
    """Append lines to a job's log. Never raises for a database that refuses them: work goes on without.

    Call it outside of transactions that must stay short.
    """
    rows = []
    for line in lines:
        message = clean_text(mask(line.message), MAX_MESSAGE)
        logger.log(_LEVELS.get(line.level, 20), line.event, job_id=job_id, detail=message, **line.context)
        rows.append(
            JobLog(
                job_id=job_id, level=line.level, message=message, context=line.context, created_at=clock.now()
            )
        )
    if not rows or not settings.JOB_LOG_PERSIST_ENABLED:
        return
    try:
        with transaction.atomic():
            JobLog.objects.bulk_create(rows)
    except DatabaseError as error:
        logger.warning("joblog.lost", job_id=job_id, lines=len(rows), error=str(error).splitlines()[0])


def write_one(job_id: int, event: str, message: str, level: str = "INFO", **context: Any) -> None:
    """Append one line."""
    write(job_id, [Line(event, message, level, context)])


_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
