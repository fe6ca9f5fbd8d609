"""The loop of a worker: feed, process, post; one batch ahead while the GPU works, one post behind.

Five threads: the caller's runs the pipelines, one reserves and downloads what comes next, one posts the
results of the last batch, one extends all leases in hand (`heartbeat`), and one gives back what is in hand
after a stop (`closing`). So few images wait under a lease, the GPU waits for neither network nor server, and
a batch may take as long as it takes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ami.ml.schemas import PipelineResultsResponse, PipelineTaskResult, QueuedTaskAcknowledgment
from ami.worker.background import BackgroundThreads, await_result
from ami.worker.client import AmiClient
from ami.worker.closing import Closing
from ami.worker.download import Downloader
from ami.worker.errors import NotAuthorised, WorkerError
from ami.worker.feed import IDLE_SECONDS, WAIT_SECONDS, Batch, Feed
from ami.worker.heartbeat import Heartbeat
from ami.worker.leases import Leases
from ami.worker.pipeline import Pipeline
from ami.worker.processing import process_batch

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE = 8
GRACE_SECONDS = 25.0
"""For the batch in process after a stop; supervisors that are told nothing else kill after 30."""

Fetch = Callable[[], list[Batch]]


@dataclass(slots=True)
class Totals:
    """What a run has done."""

    images: int = 0
    failed: int = 0
    detections: int = 0
    dropped: int = 0
    """Images given up on the way: their job ended, somebody else has them, or the grace time was over."""
    not_delivered: int = 0
    """Results that the server never took; their images are handed out again when the lease is over."""
    statuses: Counter[str] = field(default_factory=Counter)
    """How often the server answered queued, duplicate, rejected, …"""


class Worker:
    """Works for one server until it is told to stop."""

    def __init__(
        self,
        client: AmiClient,
        pipelines: Sequence[Pipeline],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        wait: float = WAIT_SECONDS,
        grace: float = GRACE_SECONDS,
        downloader: Downloader | None = None,
        idle_seconds: float = IDLE_SECONDS,
        stop: threading.Event | None = None,
        overdue: Callable[[], None] = lambda: None,
    ) -> None:
        """`stop` is set by whoever wants the worker to end; it must be the one of the client.

        `wait`: seconds that the server may wait for work. `grace`: seconds after a stop for the batch in
        process; if it takes longer, its images go back too, and `overdue` is called (in another thread).
        """
        self.stop = stop or threading.Event()
        self.totals = Totals()
        self._client = client
        self._pipelines = {pipeline.slug: pipeline for pipeline in pipelines}
        self._downloader = downloader or Downloader(stop=self.stop)
        self._leases = Leases()
        self._feed = Feed(
            client,
            self._downloader,
            self._leases,
            list(self._pipelines),
            batch_size,
            self.stop,
            wait=wait,
            idle_seconds=idle_seconds,
        )
        self._closing = Closing(client, self._leases, self.stop, grace, overdue)
        self._feeding = BackgroundThreads("feed")
        self._posting = BackgroundThreads("post")
        self._batches = 0
        self._post: Future[None] | None = None

    def run(self, *, until_idle: bool = False, once: bool = False) -> Totals:
        """Work until `stop` is set; `until_idle`: until there is nothing to do; `once`: one reservation.

        A worker runs once. What has begun before a stop is processed and posted, and the rest given back,
        before this returns. Raises a `WorkerError` if the server refuses us, or if it cannot be reached in a
        run that is meant to end by itself.
        """
        for pipeline in self._pipelines.values():
            pipeline.setup()
        try:
            with self._closing, Heartbeat(self._client, self._leases):
                self._loop(until_idle=until_idle, once=once)
                self._finish_post()
        finally:
            self._feeding.close()
            self._posting.close()
            self._downloader.close()
        return self.totals

    def _loop(self, *, until_idle: bool, once: bool) -> None:
        fetch = self._feed.what_there_is if until_idle or once else self._feed.wait_for_work
        upcoming, batches_at_poll = self._feeding.submit(fetch), 0
        while (batches := await_result(upcoming, self.stop.is_set)) is not None:
            if not batches and (once or not until_idle or self._is_idle(batches_at_poll)):
                return
            for batch in batches[:-1]:
                self._work(batch)
            if not once:
                upcoming, batches_at_poll = self._feeding.submit(fetch), self._batches
            for batch in batches[-1:]:
                self._work(batch)
            if once or self.stop.is_set():
                return

    def _is_idle(self, batches_at_poll: int) -> bool:
        """Whether the empty poll began after the last results were in; they may have brought new tasks."""
        self._finish_post()
        return batches_at_poll == self._batches

    def _work(self, reserved: Batch) -> None:
        """Process what of the batch is still ours, and hand its results to the thread that posts."""
        self._batches += 1
        batch = reserved.only(self._leases.begin(reserved.tokens))
        self.totals.dropped += len(reserved.tasks) - len(batch.tasks)
        if not batch.tasks:
            return
        started = time.monotonic()
        results = process_batch(self._pipelines[batch.slug], batch)
        self._count(batch, results, time.monotonic() - started)
        self._finish_post()
        self._post = self._posting.submit(lambda: self._deliver(batch, results))

    def _count(self, batch: Batch, results: Sequence[PipelineTaskResult], seconds: float) -> None:
        good = [item.result for item in results if isinstance(item.result, PipelineResultsResponse)]
        detections = sum(len(result.detections) for result in good)
        failed = len(results) - len(good)
        self.totals.images += len(results)
        self.totals.failed += failed
        self.totals.detections += detections
        jobs = ",".join(map(str, sorted({task.job_id for task in batch.tasks})))
        logger.info(
            "batch done job=%s images=%d detections=%d failed=%d download=%.2fs process=%.2fs",
            *(jobs, len(results), detections, failed, batch.download_seconds, seconds),
        )

    def _finish_post(self) -> None:
        """Wait for the post under way; raises if the server does not accept our token any more."""
        post, self._post = self._post, None
        if post is not None:
            await_result(post, self._closing.is_late)

    def _deliver(self, batch: Batch, results: Sequence[PipelineTaskResult]) -> None:
        """One post a job: the server checks results against their job."""
        by_job: dict[int, list[PipelineTaskResult]] = {}
        for task, result in zip(batch.tasks, results, strict=True):
            by_job.setdefault(task.job_id, []).append(result)
        for job_id, items in by_job.items():
            self._deliver_to(job_id, items)

    def _deliver_to(self, job_id: int, results: Sequence[PipelineTaskResult]) -> None:
        tokens = [item.reply_subject for item in results]
        wanted = self._leases.deliver(tokens)
        items = [item for item in results if item.reply_subject in wanted]
        self.totals.dropped += len(results) - len(items)
        try:
            if items:
                self._note(job_id, self._client.post_results(job_id, items))
        except WorkerError as error:
            self.totals.not_delivered += len(items)
            logger.error(  # noqa: TRY400 - a sentence for people; the traceback would tell nothing more
                "results lost job=%d images=%d: %s The server hands these images out again.",
                *(job_id, len(items), error),
            )
            if isinstance(error, NotAuthorised):
                raise
        finally:
            self._leases.settle(tokens)

    def _note(self, job_id: int, acknowledged: Sequence[QueuedTaskAcknowledgment]) -> None:
        statuses = Counter(item.status for item in acknowledged)
        self.totals.statuses += statuses
        for item in acknowledged:
            if item.status == "rejected":
                logger.warning("result rejected job=%d: %s", job_id, item.reason or "no reason given")
        logger.debug("results posted job=%d %s", job_id, dict(statuses))
