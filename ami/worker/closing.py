"""How a worker ends: what has not begun goes back at once, what is under way gets a time of grace."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ami.worker.client import AmiClient
from ami.worker.errors import WorkerError
from ami.worker.leases import Leases, Stage
from ami.worker.retrying import RetryPolicy

logger = logging.getLogger(__name__)

POSTING_SECONDS = 4.0
"""How long results that are on the way are waited for after the grace time."""
RELEASE_SECONDS = 3.0
RELEASE = RetryPolicy(attempts=1)


class Closing:
    """`with Closing(...) as closing:` waits for a stop in a thread of its own, and then gives back.

    Its own thread, because the one that processes may be deep in a pipeline when the stop comes.
    """

    def __init__(
        self,
        client: AmiClient,
        leases: Leases,
        stop: threading.Event,
        grace: float,
        overdue: Callable[[], None],
    ) -> None:
        """`grace`: seconds for the batch under way; `overdue` is called when all was given back after it."""
        self._client = client
        self._leases = leases
        self._stop = stop
        self._grace = grace
        self._overdue = overdue
        self._done = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="closing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._stop.set()
        self._thread.join()

    def is_late(self) -> bool:
        """Whether a stop was so long ago that nothing is waited for any more."""
        return time.monotonic() > self._deadline

    def give_back(self, tokens: list[str]) -> None:
        """Release leases; if that fails they end by themselves, a little later."""
        if not tokens:
            return
        try:
            self._client.release(tokens, retries=RELEASE, seconds=RELEASE_SECONDS)
        except WorkerError as error:
            logger.warning("not given back images=%d: %s", len(tokens), error)
        else:
            logger.info("given back images=%d", len(tokens))

    def _run(self) -> None:
        self._stop.wait()
        self._deadline = time.monotonic() + self._grace + POSTING_SECONDS
        self.give_back(self._leases.close())
        if self._done.wait(self._grace):
            # The end of a run that failed: whoever would have finished this is gone.
            self.give_back(self._leases.abandon(*Stage))
            return
        logger.warning("the batch in process takes longer than the grace time of %.0f s", self._grace)
        self.give_back(self._leases.abandon(Stage.BEGUN))
        if self._leases.count(Stage.POSTING) and self._done.wait(POSTING_SECONDS):
            return
        self.give_back(self._leases.abandon(*Stage))
        if not self._done.is_set():
            self._overdue()
