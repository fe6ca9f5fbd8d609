"""How many images were done when: from the samples that jobs leave behind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from ami.base.database import rows
from ami.dashboard.live.pace import Point
from ami.jobs.lifecycle.samples import GAP_SECONDS
from ami.jobs.models import Job, JobSample

BARS = 60
MOST_POINTS = 2_000
_LAST_SAMPLE = timedelta(seconds=5)
"""The sample of a job's end may come this long after it."""


@dataclass(frozen=True)
class Bar:
    """What was done in one stretch of time. Unit: images."""

    processed: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Course:
    """Stretches of equal length, in order of time; the last one is under way."""

    since: datetime
    seconds: float
    bars: list[Bar]

    @property
    def processed(self) -> int:
        """Over the whole time."""
        return sum(bar.processed for bar in self.bars)

    @property
    def failed(self) -> int:
        """Over the whole time."""
        return sum(bar.failed for bar in self.bars)

    @property
    def until(self) -> datetime:
        """Where the last stretch ends."""
        return self.since + timedelta(seconds=self.seconds * len(self.bars))


# A retry takes images out of `failed` again; what was done before it was done all the same.
_BARS = """
WITH here AS (
    SELECT s.job_id, s.at, s.processed, s.failed FROM jobs_jobsample s {of}
    WHERE s.at >= %(since)s AND s.at < %(until)s
), before AS (
    SELECT last.* FROM (SELECT DISTINCT job_id FROM here) job CROSS JOIN LATERAL (
        SELECT s.job_id, s.at, s.processed, s.failed FROM jobs_jobsample s
        WHERE s.job_id = job.job_id AND s.at < %(since)s ORDER BY s.at DESC LIMIT 1
    ) last
), steps AS (
    SELECT at, processed - lag(processed) OVER w AS processed, failed - lag(failed) OVER w AS failed
    FROM (TABLE here UNION ALL TABLE before) known WINDOW w AS (PARTITION BY job_id ORDER BY at)
)
SELECT floor(extract(epoch FROM at - %(since)s) / %(seconds)s)::int AS bar,
    sum(greatest(processed, 0)), sum(greatest(failed, 0))
FROM steps WHERE processed IS NOT NULL AND at >= %(since)s GROUP BY bar
"""
_OF_JOB = "JOIN jobs_job j ON j.id = s.job_id AND j.id = %(job)s"
_OF_PROJECTS = "JOIN jobs_job j ON j.id = s.job_id AND j.project_id = ANY(%(projects)s)"


def course_of_projects(projects: Collection[int], until: datetime, *, minutes: int = 60) -> Course:
    """What was done in these projects by the minute, up to now; one statement."""
    whole = until.replace(second=0, microsecond=0) + timedelta(minutes=1)
    since = whole - timedelta(minutes=minutes)
    return _course(_OF_PROJECTS, since, 60.0, minutes, {"projects": list(projects)})


def course_of_job(job: Job, until: datetime) -> Course | None:
    """The course of a job's run up to its end, or to now; None before it has one. One statement."""
    if job.started_at is None:
        return None
    end = job.finished_at + _LAST_SAMPLE if job.finished_at else until
    seconds = max(GAP_SECONDS, (end - job.started_at).total_seconds() / BARS)
    bars = max(1, int((end - job.started_at).total_seconds() // seconds) + 1)
    return _course(_OF_JOB, job.started_at, seconds, bars, {"job": job.pk})


def _course(of: str, since: datetime, seconds: float, bars: int, narrow: dict[str, object]) -> Course:
    until = since + timedelta(seconds=seconds * bars)
    wanted = {"since": since, "until": until, "seconds": seconds, **narrow}
    found = {bar: Bar(int(done), int(failed)) for bar, done, failed in rows(_BARS.format(of=of), wanted)}
    return Course(since, seconds, [found.get(number, Bar()) for number in range(bars)])


def points_of(job: Job) -> list[Point]:
    """The samples of a job's run in order of time, at most the newest `MOST_POINTS`; one statement."""
    if job.started_at is None:
        return []
    newest = JobSample.objects.filter(job=job, at__gte=job.started_at - timedelta(seconds=1))
    found = newest.order_by("-at").values_list("at", "processed", "failed")[:MOST_POINTS]
    return [Point(at, processed + failed) for at, processed, failed in reversed(found)]
