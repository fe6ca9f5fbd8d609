"""The loop of a worker: feed, process, post; one batch ahead while the GPU works, one post behind.

Three threads: the caller's runs the pipelines, one reserves and downloads the next batch, one posts the
results of the last. So few images wait under a lease, and the GPU waits for neither network nor server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ami.ml.schemas import PipelineResultsResponse, PipelineTaskResult, QueuedTaskAcknowledgment
from ami.worker.client import AmiClient
from ami.worker.download import Downloader
from ami.worker.errors import NotAuthorised, WorkerError
from ami.worker.feed import Batch, Feed
from ami.worker.pipeline import Pipeline
from ami.worker.processing import process_batch
from ami.worker.retrying import RetryPolicy

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE = 8
IDLE_SECONDS = 5.0
OUTAGE = RetryPolicy(first_delay=2.0, max_delay=60.0)
"""How long to stay away from a server that does not answer."""


@dataclass(slots=True)
class Totals:
    """What a run has done."""

    images: int = 0
    failed: int = 0
    detections: int = 0
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
        downloader: Downloader | None = None,
        idle_seconds: float = IDLE_SECONDS,
        stop: threading.Event | None = None,
    ) -> None:
        """`stop` is set by whoever wants the worker to finish what it has and return."""
        self.stop = stop or threading.Event()
        self.totals = Totals()
        self._client = client
        self._pipelines = {pipeline.slug: pipeline for pipeline in pipelines}
        self._downloader = downloader or Downloader(stop=self.stop)
        self._idle = RetryPolicy(first_delay=idle_seconds, max_delay=idle_seconds)
        self._feed = Feed(client, self._downloader, list(self._pipelines), batch_size, self.stop)
        self._batches = 0
        self._post: Future[None] | None = None

    def run(self, *, until_idle: bool = False, once: bool = False) -> Totals:
        """Work until `stop` is set; `until_idle`: until there is nothing to do; `once`: for one batch.

        What was reserved is processed and posted before this returns. Raises a `WorkerError` if the server
        refuses us, or if it cannot be reached in a run that is meant to end by itself.
        """
        for pipeline in self._pipelines.values():
            pipeline.setup()
        try:
            with ThreadPoolExecutor(1, "feed") as feeding, ThreadPoolExecutor(1, "post") as posting:
                try:
                    self._loop(feeding, posting, until_idle=until_idle, once=once)
                    self._finish_post()
                finally:
                    self.stop.set()
        finally:
            self._downloader.close()
        return self.totals

    def _loop(
        self, feeding: ThreadPoolExecutor, posting: ThreadPoolExecutor, *, until_idle: bool, once: bool
    ) -> None:
        fetch = self._feed.next_batch if until_idle or once else self._await_batch
        upcoming, batches_at_poll = feeding.submit(fetch), 0
        while True:
            batch = upcoming.result()
            last = once or self.stop.is_set()
            if batch is None and (last or not until_idle or self._is_idle(batches_at_poll)):
                return
            if not last:
                upcoming, batches_at_poll = feeding.submit(fetch), self._batches
            if batch is not None:
                self._work(batch, posting)
            if last:
                return

    def _await_batch(self) -> Batch | None:
        """The next batch, however long it takes; None only after a stop."""
        outages = 0
        while not self.stop.is_set():
            try:
                batch = self._feed.next_batch()
            except WorkerError as error:
                if not error.temporary:
                    raise
                outages += 1
                delay = OUTAGE.delay(outages, error.retry_after)
                logger.warning("%s Next attempt in %.0f s.", error, delay)
            else:
                if batch is not None:
                    return batch
                outages = 0
                delay = self._idle.delay(1, None)
            self.stop.wait(delay)
        return None

    def _is_idle(self, batches_at_poll: int) -> bool:
        """Whether the empty poll began after the last results were in; they may have brought new tasks."""
        self._finish_post()
        return batches_at_poll == self._batches

    def _work(self, batch: Batch, posting: ThreadPoolExecutor) -> None:
        started = time.monotonic()
        results = process_batch(self._pipelines[batch.slug], batch)
        self._count(batch, results, time.monotonic() - started)
        self._finish_post()
        self._post = posting.submit(self._deliver, batch, results)
        self._batches += 1

    def _count(self, batch: Batch, results: Sequence[PipelineTaskResult], seconds: float) -> None:
        good = [item.result for item in results if isinstance(item.result, PipelineResultsResponse)]
        detections = sum(len(result.detections) for result in good)
        failed = len(results) - len(good)
        self.totals.images += len(results)
        self.totals.failed += failed
        self.totals.detections += detections
        logger.info(
            "batch done job=%d images=%d detections=%d failed=%d download=%.2fs process=%.2fs",
            *(batch.job_id, len(results), detections, failed, batch.download_seconds, seconds),
        )

    def _finish_post(self) -> None:
        """Wait for the post under way; raises if the server does not accept our token any more."""
        post, self._post = self._post, None
        if post is not None:
            post.result()

    def _deliver(self, batch: Batch, results: Sequence[PipelineTaskResult]) -> None:
        try:
            acknowledged = self._client.post_results(batch.job_id, results)
        except WorkerError as error:
            self.totals.not_delivered += len(results)
            logger.error(  # noqa: TRY400 - a sentence for people; the traceback would tell nothing more
                "results lost job=%d images=%d: %s The server hands these images out again.",
                *(batch.job_id, len(results), error),
            )
            if isinstance(error, NotAuthorised):
                raise
            return
        self._note(batch, acknowledged)

    def _note(self, batch: Batch, acknowledged: Sequence[QueuedTaskAcknowledgment]) -> None:
        statuses = Counter(item.status for item in acknowledged)
        self.totals.statuses += statuses
        for item in acknowledged:
            if item.status == "rejected":
                logger.warning("result rejected job=%d: %s", batch.job_id, item.reason or "no reason given")
        held = time.monotonic() - batch.reserved_at
        lease = min((task.lease_seconds for task in batch.tasks if task.lease_seconds), default=None)
        if lease is not None and held > lease:
            logger.warning(
                "lease over job=%d: the batch took %.0f s, the lease is %.0f s. Use a smaller --batch-size, "
                "or others will do the same images again.",
                *(batch.job_id, held, lease),
            )
        logger.debug("results posted job=%d %s", batch.job_id, dict(statuses))
