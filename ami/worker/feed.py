"""Where the work comes from: poll jobs, reserve a batch of tasks, download its images.

Jobs take turns, one batch each, so that a large job does not keep a small one waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ami.ml.schemas import ListedJob, PipelineProcessingTask
from ami.worker.client import AmiClient
from ami.worker.download import Downloader, FailedImage
from ami.worker.errors import NotAllowed, NotFound, RequestRefused
from ami.worker.pipeline import LoadedImage

logger = logging.getLogger(__name__)

JOBS_STAY_FRESH = 30.0
"""Seconds after which the list of jobs is asked for again, even while the known ones still give tasks."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks of one job under a lease, with their images."""

    job_id: int
    slug: str
    tasks: Sequence[PipelineProcessingTask]
    images: Sequence[LoadedImage | FailedImage]
    """One a task, in the order of the tasks."""
    reserved_at: float
    """`time.monotonic()` just before the tasks were asked for."""
    download_seconds: float = field(default=0.0)


class Feed:
    """Hands out one batch at a time; used by one thread at a time."""

    def __init__(
        self,
        client: AmiClient,
        downloader: Downloader,
        slugs: Sequence[str],
        batch_size: int,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._downloader = downloader
        self._slugs = list(slugs)
        self._batch_size = batch_size
        self._stop = stop
        self._jobs: deque[ListedJob] = deque()
        self._listed_at = float("-inf")
        self._skipped: set[int] = set()

    def next_batch(self) -> Batch | None:
        """The next batch, or None if no job has anything to do right now, or we were told to stop.

        Raises a `WorkerError` if the server cannot be talked to.
        """
        if not self._jobs or time.monotonic() - self._listed_at > JOBS_STAY_FRESH:
            self._list_jobs()
        while self._jobs and not self._stop.is_set():
            job = self._jobs[0]
            reserved_at = time.monotonic()
            tasks = self._reserve(job)
            if tasks:
                self._jobs.rotate(-1)
                return self._download(job, tasks, reserved_at)
            self._jobs.popleft()
        return None

    def _list_jobs(self) -> None:
        jobs = self._client.jobs(self._slugs)
        self._jobs = deque(job for job in jobs if job.pipeline_slug in self._slugs)
        self._listed_at = time.monotonic()

    def _reserve(self, job: ListedJob) -> list[PipelineProcessingTask]:
        try:
            return self._client.reserve(job.id, self._batch_size)
        except (NotFound, NotAllowed, RequestRefused) as error:
            # The job ended or was never for us; other jobs may be. Polls are frequent, so say it once.
            level = logging.DEBUG if job.id in self._skipped else logging.WARNING
            logger.log(level, "job skipped job=%d: %s", job.id, error)
            self._skipped.add(job.id)
            return []

    def _download(self, job: ListedJob, tasks: list[PipelineProcessingTask], reserved_at: float) -> Batch:
        started = time.monotonic()
        images = self._downloader.load(tasks)
        return Batch(
            job_id=job.id,
            slug=job.pipeline_slug or "",
            tasks=tasks,
            images=images,
            reserved_at=reserved_at,
            download_seconds=time.monotonic() - started,
        )
