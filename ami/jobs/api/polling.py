"""The list that workers poll (`ids_only`): where is there work for me?

By default a worker gets one job a call, in random order, so that many workers spread over many jobs. It must
not be one that has nothing for it: an existing worker starts processes for every job that it is shown.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import QuerySet

from ami.jobs.lifecycle.openings import with_free_task
from ami.jobs.models import Job
from ami.jobs.states import SERVING, DispatchMode

Polled = QuerySet[Job, Any] | list[Any]
"""What a page of ids and slugs is cut from."""


def polled(
    jobs: QuerySet[Job],
    projects: Sequence[int],
    *,
    incomplete_only: bool,
    pipeline_ids: Collection[int] | None = None,
) -> Polled:
    """Id and slug of the jobs that a caller who works in `projects` (none: who works nowhere) is shown.

    `pipeline_ids`: the only pipelines that the caller's key is good for; None: any.
    With `incomplete_only`, started jobs are left out while every image of theirs is in somebody's hands, and
    those that hand out tasks come before those that do not yet.
    """
    jobs = jobs.select_related(None).prefetch_related(None).filter(pipeline__isnull=False)
    if pipeline_ids is not None:
        jobs = jobs.filter(pipeline__in=pipeline_ids)
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
    drained = serving - with_free_task(serving)
    shown = [job for job in found if job["id"] not in drained]
    random.shuffle(shown)
    return sorted(shown, key=lambda job: job["id"] not in serving)
