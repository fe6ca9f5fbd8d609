"""What jobs left behind in NATS and Redis."""

from __future__ import annotations

from collections.abc import Collection

from django.db import InterfaceError, OperationalError

from ami.chaos.database import DatabaseAway, drop_connection
from ami.jobs.invariants import leftovers
from ami.taskqueue import PendingStateUnavailable, QueueError


def left_behind(job_ids: Collection[int]) -> list[str]:
    """A line per stream and pending set of these jobs that should be gone; or why that is not known.

    Raises DatabaseAway.
    """
    try:
        return [str(violation) for violation in leftovers() if violation.job_id in job_ids]
    except (QueueError, PendingStateUnavailable) as error:
        return [f"I9 what is left is not known: {error.message}"]
    except (OperationalError, InterfaceError) as error:
        drop_connection()
        raise DatabaseAway from error
