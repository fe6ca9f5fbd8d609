"""announce: tell those who wait for tasks that a job has some again. Best effort, never raises."""

from __future__ import annotations

from collections.abc import Mapping

from ami.base.database import rows
from ami.taskqueue import TaskQueueManager, wakeups


def announce(counts: Mapping[int, int]) -> None:
    """Tasks came up: how many, by job id. Call it after the commit that freed them."""
    if not counts or TaskQueueManager().is_unavailable:
        return
    found = rows(
        "SELECT id, project_id, pipeline_id FROM jobs_job WHERE id = ANY(%s) AND pipeline_id IS NOT NULL",
        [list(counts)],
    )
    for job_id, project_id, pipeline_id in found:
        wakeups().announce(job_id, f"{project_id}.{pipeline_id}", counts[job_id])
