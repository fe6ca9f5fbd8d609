"""The heartbeat of a worker: a thread that extends every lease in hand, whatever the other threads are at.

It is also how a worker learns that a job was cancelled, or that an image went to somebody else. No error ends
it: a lease survives the loss of a heartbeat, but not the loss of the thread.
"""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Self

from ami.ml.schemas import LeasesResponse
from ami.worker.client import AmiClient
from ami.worker.errors import WorkerError
from ami.worker.leases import BEATS_PER_LEASE, Leases
from ami.worker.retrying import RetryPolicy
from ami.worker.transport import ANSWER_SECONDS

logger = logging.getLogger(__name__)

ONE_ATTEMPT = RetryPolicy(attempts=1)
"""A repeated call would speak for leases as they were; the next heartbeat speaks for them as they are."""
PAUSES = RetryPolicy(first_delay=1.0, max_delay=20.0)
"""How long to wait after a heartbeat that failed, unless the lease is too short for that."""


class Heartbeat:
    """`with Heartbeat(...):` keeps the leases alive inside the block."""

    def __init__(self, client: AmiClient, leases: Leases) -> None:
        self._client = client
        self._leases = leases
        self._ended = False
        self._failures = 0
        self._not_before = 0.0
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Not joined: a heartbeat under way may take long to end, and does no harm."""
        self._ended = True
        self._leases.changed.set()

    def _run(self) -> None:
        while not self._ended:
            self._leases.changed.wait(self._seconds_to_beat())
            self._leases.changed.clear()
            if not self._ended and self._seconds_to_beat() == 0.0:
                self._beat()

    def _seconds_to_beat(self) -> float | None:
        due = self._leases.beat_at()
        return None if due is None else max(0.0, max(due, self._not_before) - time.monotonic())

    def _beat(self) -> None:
        try:
            self._extend()
        except Exception as error:
            self._failures += 1
            self._not_before = time.monotonic() + self._pause(error)
            logger.warning("heartbeat failed: %s", error, exc_info=not isinstance(error, WorkerError))
        else:
            self._failures = 0

    def _pause(self, error: Exception) -> float:
        """Seconds after a failure: as long as the server asks, or so short that the lease gets its chance."""
        retry_after = error.retry_after if isinstance(error, WorkerError) else None
        pause = PAUSES.delay(self._failures, retry_after)
        return pause if retry_after is not None else min(pause, self._leases.shortest() / 6)

    def _extend(self) -> None:
        tokens = self._leases.held()
        patience = min(ANSWER_SECONDS, max(1.0, self._leases.shortest() / BEATS_PER_LEASE))
        sent_at = time.monotonic()
        answer = self._client.extend(tokens, retries=ONE_ATTEMPT, seconds=patience)
        self._take_in(tokens, answer, sent_at)

    def _take_in(self, tokens: list[str], answer: LeasesResponse, sent_at: float) -> None:
        news = self._leases.note(tokens, answer, sent_at)
        if news.cancelled:
            logger.info("job ended elsewhere, its images are dropped images=%d", len(news.cancelled))
        for state in news.lost:
            logger.warning("lease %s: %s", state.status, state.reason or "somebody else has the image now")
