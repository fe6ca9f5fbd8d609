"""How much work waits for workers, pipeline by pipeline, within what a caller may see.

The same number of statements however many jobs and images there are: images come from the stages of jobs (at
most a second old), leases and rates from Redis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from ami.base.database import rows
from ami.jobs.lifecycle.turns import Reach
from ami.jobs.metrics.database import MOST_JOBS, figure
from ami.ml.models.processing_service import ONLINE_FOR
from ami.taskqueue import OpenLeases, Pace, PendingStateUnavailable

logger = structlog.get_logger(__name__)

NO_RATE = "No image of this pipeline got its result in the last five minutes."
RATE_UNKNOWN = "Redis does not answer, so nobody knows how fast images are done."


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work of one pipeline. Unit: images, or what the name says. What Redis did not say is None."""

    pipeline_id: int
    slug: str
    name: str
    jobs: int
    pending: int
    leased: int | None
    workers_online: int
    images_per_second: float | None

    @property
    def waiting(self) -> int:
        """Nobody works on them; without Redis, those with workers are among them."""
        return max(0, self.pending - (self.leased or 0))

    @property
    def seconds(self) -> float | None:
        """Until nothing waits, at the rate of the last minutes; None if there is none."""
        if not self.waiting:
            return 0.0
        return self.waiting / self.images_per_second if self.images_per_second else None

    @property
    def reason(self) -> str:
        """Why there are no seconds; empty if there are."""
        if self.seconds is not None:
            return ""
        return RATE_UNKNOWN if self.images_per_second is None else NO_RATE


_WITHIN = "({column} = ANY(%(pipelines)s) OR %(pipelines)s::bigint[] IS NULL)"
_PIPELINES = f"""SELECT p.id, p.slug, p.name,
    (SELECT count(*) FROM ml_workerinstance w WHERE w.online
        AND w.last_seen > clock_timestamp() - make_interval(secs => %(online)s)
        AND w.service_id IN (SELECT sp.processingservice_id FROM ml_processingservice_pipelines sp
            JOIN ml_processingservice_projects so ON so.processingservice_id = sp.processingservice_id
            WHERE sp.pipeline_id = p.id AND so.project_id = ANY(%(projects)s)))
FROM ml_pipeline p
WHERE {_WITHIN.format(column="p.id")} AND (%(slug)s = '' OR p.slug = %(slug)s)
    AND EXISTS (SELECT 1 FROM ml_projectpipelineconfig c
        WHERE c.pipeline_id = p.id AND c.project_id = ANY(%(projects)s))
ORDER BY p.slug"""  # noqa: S608 - made of constants
_RUNNING = f"""j.status IN ('PENDING', 'STARTED', 'RETRY') AND j.dispatch_mode = 'async_api'
    AND j.project_id = ANY(%(projects)s) AND {_WITHIN.format(column="j.pipeline_id")}"""
_PENDING = f"""SELECT j.pipeline_id, count(DISTINCT j.id), {figure("process", "remaining")}
FROM jobs_job j LEFT JOIN jobs_jobstage s ON s.job_id = j.id AND s.key = 'process'
WHERE {_RUNNING} AND j.pipeline_id IS NOT NULL GROUP BY 1"""  # noqa: S608 - made of constants
_SERVING = f"""SELECT j.id, j.pipeline_id FROM jobs_job j
WHERE {_RUNNING} AND j.pipeline_id IS NOT NULL ORDER BY j.id DESC LIMIT %(most)s"""  # noqa: S608


def backlogs(reach: Reach, slug: str = "") -> list[Backlog]:
    """The pipelines within reach, by slug, also those without work; `slug`: only this one."""
    about: dict[str, Any] = {
        "projects": list(reach.projects),
        "pipelines": None if reach.pipeline_ids is None else list(reach.pipeline_ids),
        "slug": slug,
        "online": ONLINE_FOR.total_seconds(),
        "most": MOST_JOBS,
    }
    known = rows(_PIPELINES, about)
    work = {row[0]: (row[1], row[2]) for row in rows(_PENDING, about)}
    leased = _leased(rows(_SERVING, about))
    rates = _rates(reach.projects)
    return [
        Backlog(
            pipeline_id=key,
            slug=slug,
            name=name,
            jobs=work.get(key, (0, 0))[0],
            pending=work.get(key, (0, 0))[1],
            leased=None if leased is None else leased.get(key, 0),
            workers_online=online,
            images_per_second=None if rates is None else rates.get(key, 0.0),
        )
        for key, slug, name, online in known
    ]


def _leased(jobs: Sequence[Any]) -> Mapping[int, int] | None:
    """Images with workers, by pipeline."""
    try:
        held = OpenLeases().of_jobs([job_id for job_id, _ in jobs])
    except PendingStateUnavailable as error:
        logger.warning("backlog.leases_unknown", error=error.message)
        return None
    images: Counter[int] = Counter()
    for job_id, pipeline_id in jobs:
        images[pipeline_id] += held[job_id].images
    return images


def _rates(projects: Sequence[int]) -> Mapping[int, float] | None:
    """Images a second, by pipeline, in these projects."""
    try:
        found = Pace().rates()
    except PendingStateUnavailable as error:
        logger.warning("backlog.rates_unknown", error=error.message)
        return None
    within, rates = set(projects), dict[int, float]()
    for (project_id, pipeline_id), rate in found.items():
        if project_id in within:
            rates[pipeline_id] = rates.get(pipeline_id, 0.0) + rate
    return rates
