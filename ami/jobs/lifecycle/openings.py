"""openings: which jobs have something to hand out now, and when the others may have.

*Something to hand out* is a free ledger row, by the rule of reserve. That a job has none is found by reading
its whole ledger, so each process believes it for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from ami.base.database import rows
from ami.jobs.states import TaskState

DRAINED_SECONDS = 1.0
"""How long a process believes that a job has nothing to hand out."""

_MOST_REMEMBERED = 10_000
_drained: dict[int, tuple[float, float]] = {}
"""Job → until when we believe that it is drained, and when its next lease or pause ends (both monotonic)."""

# From the end of the publishing order: there the next free task is, while there are any.
_WITH_FREE_TASK = """
SELECT j.id FROM unnest(%s::bigint[]) AS j(id) CROSS JOIN LATERAL (
    SELECT 1 FROM jobs_jobtask t WHERE t.job_id = j.id AND t.status = %s
        AND (t.leased_until IS NULL OR t.leased_until <= clock_timestamp())
        AND (t.not_before IS NULL OR t.not_before <= clock_timestamp())
    ORDER BY t.position DESC LIMIT 1) AS free
"""
_NEXT_FREE = """
SELECT job_id, EXTRACT(EPOCH FROM min(GREATEST(leased_until, not_before)) - clock_timestamp())::float8
FROM jobs_jobtask WHERE job_id = ANY(%s) AND status = %s GROUP BY job_id
"""


def with_free_task(job_ids: Collection[int]) -> set[int]:
    """The jobs of which reserve would hand out something now."""
    now = time.monotonic()
    unsure = [job_id for job_id in job_ids if _drained.get(job_id, (now, 0))[0] <= now]
    if not unsure:
        return set()
    free = {row[0] for row in rows(_WITH_FREE_TASK, [unsure, TaskState.PENDING])}
    _remember([job_id for job_id in unsure if job_id not in free])
    return free


def next_opening(job_ids: Iterable[int]) -> float | None:
    """In how many seconds the first of these jobs may have something, as far as leases and pauses tell.

    None if nothing is out. Looks only at what `with_free_task` found drained.
    """
    known = [_drained[job_id][1] for job_id in job_ids if job_id in _drained]
    ahead = [moment for moment in known if moment != float("inf")]
    return max(0.0, min(ahead) - time.monotonic()) if ahead else None


def forget_drained(job_ids: Iterable[int] | None = None) -> None:
    """Look into these ledgers anew; without an argument, into all."""
    if job_ids is None:
        _drained.clear()
        return
    for job_id in job_ids:
        _drained.pop(job_id, None)


def _remember(job_ids: list[int]) -> None:
    if not job_ids:
        return
    if len(_drained) >= _MOST_REMEMBERED:
        _drained.clear()
    ends: dict[int, float | None] = dict(rows(_NEXT_FREE, [job_ids, TaskState.PENDING]))
    now = time.monotonic()
    for job_id in job_ids:
        seconds = ends.get(job_id)
        opens = float("inf") if seconds is None else now + max(0.0, seconds)
        _drained[job_id] = (min(now + DRAINED_SECONDS, opens), opens)
