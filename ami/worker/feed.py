"""Where the work comes from: reserve tasks of whatever job has some, and download their images.

One reservation may bring tasks of several jobs and pipelines. They are made into batches of one pipeline with
one set of settings, so that a pipeline gets what it can process together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import orjson

from ami.ml.schemas import PipelineProcessingTask, ReservedTask, ReserveResponse, TaskFailure
from ami.worker.client import AmiClient
from ami.worker.download import Downloader, FailedImage
from ami.worker.errors import WorkerError
from ami.worker.leases import Leases
from ami.worker.pipeline import LoadedImage
from ami.worker.retrying import RetryPolicy

logger = logging.getLogger(__name__)

WAIT_SECONDS = 20.0
IDLE_SECONDS = 5.0
SHORTEST_POLL = 1.0
"""An empty answer that came faster than this was not waited for, whatever the server meant by it."""
OUTAGE = RetryPolicy(first_delay=2.0, max_delay=60.0)
"""How long to stay away from a server that does not answer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks for one pipeline, with their images."""

    slug: str
    tasks: Sequence[ReservedTask]
    images: Sequence[LoadedImage | FailedImage]
    """One a task, in the order of the tasks."""
    download_seconds: float = field(default=0.0)

    @property
    def tokens(self) -> list[str]:
        """The leases of the tasks."""
        return [task.reply_subject for task in self.tasks]

    def only(self, tokens: Collection[str]) -> Batch:
        """The part under these leases."""
        kept = [pair for pair in zip(self.tasks, self.images, strict=True) if pair[0].reply_subject in tokens]
        return replace(self, tasks=[task for task, _ in kept], images=[image for _, image in kept])


@dataclass(frozen=True, slots=True)
class Supply:
    """What one reservation gave: batches, or how many seconds to stay away."""

    batches: list[Batch]
    pause: float = 0.0


class Feed:
    """One reservation at a time; used by one thread at a time."""

    def __init__(
        self,
        client: AmiClient,
        downloader: Downloader,
        leases: Leases,
        slugs: Sequence[str],
        batch_size: int,
        stop: threading.Event,
        *,
        wait: float = WAIT_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """`wait`: seconds that the server may wait for work; `idle_seconds`: between polls without that."""
        self._client = client
        self._downloader = downloader
        self._leases = leases
        self._slugs = list(slugs)
        self._batch_size = batch_size
        self._stop = stop
        self._wait = wait
        self._idle_seconds = idle_seconds
        self._said = ""

    def what_there_is(self) -> list[Batch]:
        """The batches of one reservation that does not wait; raises a `WorkerError` if it fails."""
        return [] if self._stop.is_set() else self._ask(0.0).batches

    def wait_for_work(self) -> list[Batch]:
        """The next batches, however long they take; an empty list only after a stop.

        Raises a `WorkerError` if the server refuses us.
        """
        outages = 0
        while not self._stop.is_set():
            try:
                supply = self._ask(self._wait)
            except WorkerError as error:
                if not error.temporary:
                    raise
                outages += 1
                supply = Supply([], OUTAGE.delay(outages, error.retry_after))
                logger.warning("%s Next attempt in %.0f s.", error, supply.pause)
            else:
                outages = 0
            if supply.batches:
                return supply.batches
            self._stop.wait(supply.pause)
        return []

    def _ask(self, wait: float) -> Supply:
        asked_at = time.monotonic()
        answer = self._client.reserve(self._batch_size, wait=wait, pipelines=self._slugs)
        if not answer.tasks:
            self._say(answer.reason or "")
            return Supply([], self._pause(answer, wait, time.monotonic() - asked_at))
        self._say("")
        batches = self._take(answer)
        return Supply(batches, 0.0 if batches else self._idle_seconds)

    def _pause(self, answer: ReserveResponse, wait: float, waited: float) -> float:
        if answer.retry_after is not None:
            return OUTAGE.delay(1, answer.retry_after)
        if wait <= 0.0:
            return self._idle_seconds
        return max(0.0, min(SHORTEST_POLL, wait) - waited)

    def _say(self, reason: str) -> None:
        """Why there is nothing to do, once and not with every poll."""
        if reason and reason != self._said:
            logger.info("no work: %s", reason)
        self._said = reason

    def _take(self, answer: ReserveResponse) -> list[Batch]:
        """Batches of what was reserved, with their images; nothing if we were told to stop meanwhile."""
        known = [task for task in answer.tasks if task.pipeline_slug in self._slugs]
        self._refuse([task for task in answer.tasks if task.pipeline_slug not in self._slugs])
        leases = {task.reply_subject: task.lease_seconds or answer.lease_seconds for task in known}
        if not self._leases.add(leases):
            self._client.release(list(leases))
            return []
        return [self._download(tasks) for tasks in _grouped(known)]

    def _refuse(self, tasks: Sequence[ReservedTask]) -> None:
        """Tasks that we cannot do, and did not ask for, are failed: another worker may be able to do them."""
        if not tasks:
            return
        slugs = ", ".join(sorted({task.pipeline_slug for task in tasks}))
        logger.error("refused images=%d: this worker has no pipeline %s", len(tasks), slugs)
        error = "This worker has not loaded the pipeline."
        failures = [
            TaskFailure(reply_subject=task.reply_subject, error=error, retryable=True, code="worker_error")
            for task in tasks
        ]
        try:
            self._client.fail(failures)
        except WorkerError as problem:
            logger.warning("not reported: %s", problem)

    def _download(self, tasks: Sequence[ReservedTask]) -> Batch:
        started = time.monotonic()
        images = self._downloader.load(tasks, self._is_wanted)
        return Batch(tasks[0].pipeline_slug, tasks, images, time.monotonic() - started)

    def _is_wanted(self, task: PipelineProcessingTask) -> bool:
        return self._leases.holds(task.reply_subject or "")


def _grouped(tasks: Sequence[ReservedTask]) -> list[list[ReservedTask]]:
    """By pipeline and settings, in the order of the first task of each group."""
    groups: dict[tuple[str, bytes], list[ReservedTask]] = {}
    for task in tasks:
        settings = orjson.dumps(task.config or {}, option=orjson.OPT_SORT_KEYS)
        groups.setdefault((task.pipeline_slug, settings), []).append(task)
    return list(groups.values())
