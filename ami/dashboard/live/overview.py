"""How everything stands, for those who look after it: one view for all who may see the same projects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ami.base import clock
from ami.base.database import rows
from ami.dashboard.live import words
from ami.dashboard.live.chart import Chart, chart_of
from ami.dashboard.live.course import course_of_projects
from ami.dashboard.live.jobs import Row, rows_of
from ami.dashboard.live.workers import WorkerRow, workers_of
from ami.dashboard.live.workers import rows_of as worker_rows
from ami.jobs.models import Job
from ami.jobs.states import RUNNING
from ami.ml.models.processing_service import ONLINE_FOR

JOBS_SHOWN = 20
WORKERS_SHOWN = 20

# The newest sample of a job is as old as its last change: what it says is left, is left.
_RUNNING = """
SELECT count(*), coalesce(sum(newest."left"), 0)::bigint FROM jobs_job job LEFT JOIN LATERAL (
    SELECT "left" FROM jobs_jobsample s WHERE s.job_id = job.id ORDER BY s.at DESC LIMIT 1
) newest ON true
WHERE job.status = ANY(%s) AND job.project_id = ANY(%s)
"""


@dataclass(frozen=True)
class Overview:
    """`leased` is None while Redis is away."""

    running: int
    left: int
    leased: int | None
    rate: str
    online: int
    chart: Chart
    jobs: list[Row]
    workers: list[WorkerRow]


def look_around(visible: Collection[int], inner: Collection[int]) -> Overview:
    """The state of the projects in `visible`, and of the workers of those in `inner`; six statements."""
    running, left = rows(_RUNNING, [sorted(RUNNING), list(visible)])[0]
    jobs = Job.objects.filter(project__in=visible, status__in=RUNNING).order_by("-pk")
    now = clock.now()
    course = course_of_projects(visible, now)
    lately = course.bars[-6:-1]
    done = sum(bar.processed + bar.failed for bar in lately)
    there = workers_of(inner).filter(online=True, last_seen__gt=now - ONLINE_FOR)
    workers = worker_rows(list(there.order_by("-last_seen", "pk")), inner)
    held = [row.holds for row in workers]
    said = f"{course.processed:,} images processed and {course.failed:,} failed in the last hour"
    return Overview(
        running=running,
        left=left,
        leased=None if None in held else sum(each or 0 for each in held),
        rate=words.rate(done / (60 * len(lately))) if done else "",
        online=len(workers),
        chart=chart_of(course, said),
        jobs=rows_of(jobs, JOBS_SHOWN),
        workers=sorted(workers, key=lambda row: -(row.holds or 0))[:WORKERS_SHOWN],
    )
