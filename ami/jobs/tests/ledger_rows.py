"""Ledger rows made up for tests of pure rules, and written by the thousand for tests of plans."""

from __future__ import annotations

from typing import Any

from ami.base.database import execute
from ami.jobs.ledger import LockedTask
from ami.jobs.states import TaskState


def locked_task(**fields: Any) -> LockedTask:
    """A free pending row, with these fields changed."""
    defaults: dict[str, Any] = {
        "id": 1,
        "job_id": 1,
        "image_id": 1,
        "run": 1,
        "status": int(TaskState.PENDING),
        "attempt": 0,
        "released": 0,
        "lease_left": 0.0,
        "wait_left": 0.0,
        "leased": False,
        "worker": "",
        "instance_id": None,
        "accepted_in": None,
        "lease_over": 0.0,
    }
    return LockedTask(**(defaults | fields))


def write_rows(job_id: int, count: int, *, first_image: int = 1) -> None:
    """A ledger of `count` pending rows, for images that need not exist."""
    execute(
        """INSERT INTO jobs_jobtask (job_id, image_id, position, run, status, attempt, released, reopened,
            worker, error_code, error_text, detections, classifications)
        SELECT %s, %s + n, n, 1, 0, 0, 0, 0, '', '', '', 0, 0 FROM generate_series(1, %s) AS n""",
        [job_id, first_image - 1, count],
    )
