"""A job as its page shows it: made once in a while for everybody who looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ami.base import clock
from ami.dashboard.live import words
from ami.dashboard.live.chart import Chart, chart_of
from ami.dashboard.live.course import Course, course_of_job, points_of
from ami.dashboard.live.pace import Pace, Point, pace_of
from ami.dashboard.live.reasons import Reason, reasons_of
from ami.jobs.models import Job, JobContribution, JobLog, JobStage
from ami.jobs.progress import overall
from ami.jobs.states import RUNNING, JobState

LOG_LINES = 100
MOST_WORKERS = 50
FEWEST_BARS = 4
"""Fewer say nothing that the numbers do not say."""


@dataclass(frozen=True)
class StageView:
    """One stage: how far it is, and its figures."""

    name: str
    status: str
    state: str
    percent: int
    figures: list[tuple[str, str]]


@dataclass(frozen=True)
class JobView:
    """Everything that changes on a job's page. `log`, and names in it, are for members of the project."""

    job: Job
    stages: list[StageView]
    percent: int
    took: str
    """Empty before its end."""
    rate: str
    eta: str
    chart: Chart | None
    workers: list[JobContribution]
    reasons: list[Reason]
    log: list[JobLog]

    @property
    def is_undone(self) -> bool:
        """Whether a retry would find something to do."""
        return self.job.is_final and (self.job.status != JobState.SUCCESS or bool(self.reasons))

    @property
    def is_live(self) -> bool:
        """Whether it may change by itself."""
        return not self.job.is_final and self.job.status != JobState.CREATED


def look_at(job: Job) -> JobView:
    """The job as the database knows it now: a constant number of statements."""
    stages = list(JobStage.objects.filter(job=job))
    figures = _figures(stages)
    now = clock.now()
    pace = _pace(job, figures, now) if job.status in RUNNING else None
    course = course_of_job(job, now)
    done = JobContribution.objects.filter(job=job).select_related("instance__service")
    workers = list(done.order_by("-processed", "pk")[:MOST_WORKERS])
    return JobView(
        job,
        [_stage(stage) for stage in stages],
        int(overall([stage.progress for stage in stages]) * 100),
        words.duration(job.duration) if job.duration else "",
        words.rate(pace.rate) if pace else "",
        words.eta(pace) if pace else "",
        _chart(course),
        workers,
        reasons_of(job.pk),
        list(JobLog.objects.filter(job=job).order_by("-created_at", "-pk")[:LOG_LINES]),
    )


def _figures(stages: list[JobStage]) -> dict[str, int]:
    """The figures of a job that works on images, by stage and key."""
    return {
        f"{stage.key}.{figure['key']}": figure["value"]
        for stage in stages
        for figure in stage.params
        if isinstance(figure["value"], int)
    }


def _pace(job: Job, figures: dict[str, int], now: datetime) -> Pace | None:
    total, saved = figures.get("collect.total_images"), figures.get("results.captures")
    if total is None or saved is None:
        return None
    done = saved + figures.get("process.failed", 0)
    at = job.projected_at or now
    points = [point for point in points_of(job) if point.at < at]
    if (points and done > points[-1].done) or now - at < timedelta(seconds=5):
        points.append(Point(at, done))
    if points and now > points[-1].at:
        points.append(Point(now, points[-1].done))
    return pace_of(points, total - done)


def _stage(stage: JobStage) -> StageView:
    figures = [(figure["name"], _shown(figure["value"])) for figure in stage.params]
    state = str(JobState(stage.status).label) if stage.status in JobState else stage.status
    return StageView(stage.name, stage.status, state, int(stage.progress * 100), figures)


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return str(value) if value != "" else "–"  # noqa: RUF001 - a dash for what is not known yet


def _chart(course: Course | None) -> Chart | None:
    if course is None or len(course.bars) < FEWEST_BARS or not (course.processed or course.failed):
        return None
    return chart_of(course, _course_words(course))


def _course_words(course: Course) -> str:
    highest = max(bar.processed + bar.failed for bar in course.bars)
    failed = f", {course.failed:,} failed" if course.failed else ""
    return (
        f"{course.processed:,} images processed{failed} in {words.duration(course.until - course.since)}; "
        f"at most {highest:,} in {words.duration(course.seconds)}"
    )
