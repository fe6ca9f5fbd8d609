"""Jobs as rows of a list: how each stands, in a constant number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from ami.dashboard.live import words
from ami.jobs.models import Job
from ami.jobs.progress import overall
from ami.jobs.states import JobState


@dataclass(frozen=True)
class Row:
    """One job. `total` and `failed` are None for jobs that do not work on images."""

    job: Job
    percent: int
    total: int | None
    failed: int | None
    took: str

    @property
    def is_live(self) -> bool:
        """Whether it may change by itself."""
        return not self.job.is_final and self.job.status != JobState.CREATED


def rows_of(jobs: QuerySet[Job], most: int) -> list[Row]:
    """The first `most` of these jobs; two statements."""
    shown = jobs.select_related("project", "pipeline").prefetch_related("stages")[:most]
    return [_row(job) for job in shown]


def _row(job: Job) -> Row:
    stages = list(job.stages.all())
    figures = {figure["key"]: figure["value"] for stage in stages for figure in stage.params}
    took = words.duration(job.duration) if job.duration else ""
    return Row(
        job,
        int(overall([stage.progress for stage in stages]) * 100),
        _number(figures.get("total_images")),
        _number(figures.get("failed")),
        took,
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def any_live(rows: Sequence[Row]) -> bool:
    """Whether one of them may change by itself."""
    return any(row.is_live for row in rows)
