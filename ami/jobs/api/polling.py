"""The list that workers poll (`ids_only`): where is there work for me?

By default a worker gets one job a call, in random order, so that many workers spread over many jobs. It must
not be one that has nothing for it: an existing worker starts processes for every job that it is shown.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from ami.base.database import rows
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode, TaskState
from ami.main.api.access import Access
from ami.main.models import Project

Polled = QuerySet[Job, Any] | list[Any]
"""What a page of ids and slugs is cut from."""

TASKS_PERMISSION = "tasks_ml_job"

DRAINED_SECONDS = 1.0
"""How long a process believes that a job has nothing to hand out: finding out reads its whole ledger."""

_MOST_REMEMBERED = 10_000
_drained_until: dict[int, float] = {}

# From the end of the publishing order: there the next free task is, while there are any.
_WITH_FREE_TASK = """
SELECT j.id FROM unnest(%s::bigint[]) AS j(id) CROSS JOIN LATERAL (
    SELECT 1 FROM jobs_jobtask t WHERE t.job_id = j.id AND t.status = %s
        AND (t.leased_until IS NULL OR t.leased_until <= clock_timestamp())
        AND (t.not_before IS NULL OR t.not_before <= clock_timestamp())
    ORDER BY t.position DESC LIMIT 1) AS free
"""


def workplaces(access: Access) -> list[int]:
    """The projects in which the caller may take tasks; none for those who are no workers."""
    if access.user.is_superuser:
        return list(Project.objects.filter(active=True).order_by("pk").values_list("pk", flat=True))
    return sorted(project for project in access.projects() if access.may(TASKS_PERMISSION, project))


def polled(jobs: QuerySet[Job], projects: Sequence[int], *, incomplete_only: bool) -> Polled:
    """Id and slug of the jobs that a caller who works in `projects` (none: who works nowhere) is shown.

    With `incomplete_only`, started jobs are left out while every image of theirs is in somebody's hands, and
    those that hand out tasks come before those that do not yet.
    """
    jobs = jobs.select_related(None).prefetch_related(None).filter(pipeline__isnull=False)
    if projects:
        jobs = jobs.filter(project__in=projects)
    if not incomplete_only:
        return jobs.order_by("?").values("id", "pipeline__slug")
    found = list(jobs.order_by().values("id", "pipeline__slug", "status", "dispatch_mode"))
    serving = {
        job["id"]
        for job in found
        if job["status"] in SERVING and job["dispatch_mode"] == DispatchMode.ASYNC_API
    }
    drained = serving - _with_free_task(serving)
    shown = [job for job in found if job["id"] not in drained]
    random.shuffle(shown)
    return sorted(shown, key=lambda job: job["id"] not in serving)


def forget_drained() -> None:
    """Look into every ledger anew."""
    _drained_until.clear()


def _with_free_task(job_ids: set[int]) -> set[int]:
    """The jobs of which reserve would hand out something now."""
    now = time.monotonic()
    unsure = [job_id for job_id in job_ids if _drained_until.get(job_id, now) <= now]
    if not unsure:
        return set()
    free = {row[0] for row in rows(_WITH_FREE_TASK, [unsure, TaskState.PENDING])}
    if len(_drained_until) >= _MOST_REMEMBERED:
        _drained_until.clear()
    _drained_until.update((job_id, now + DRAINED_SECONDS) for job_id in unsure if job_id not in free)
    return free
