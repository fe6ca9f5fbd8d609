"""Try again what failed for a moment: longer and longer pauses with jitter, or as the server asks."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from ami.worker.errors import WorkerError

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

Wait = Callable[[float], bool]
"""Waits that many seconds; True means that the worker was told to stop meanwhile."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently."""

    attempts: int = 5
    first_delay: float = 0.5
    max_delay: float = 30.0
    max_retry_after: float = 600.0
    """However long the server asks us to stay away, in seconds."""

    def delay(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1)."""
        spread = random.random()  # noqa: S311 - jitter, not a secret
        if retry_after is not None:
            return min(retry_after, self.max_retry_after) * (1 + 0.2 * spread)
        longest: float = min(self.max_delay, self.first_delay * 2.0 ** min(attempt - 1, 16))
        return longest * (0.5 + 0.5 * spread)


def with_retries(
    operation: Callable[[], Answer],
    *,
    policy: RetryPolicy,
    wait: Wait,
    never: type[WorkerError] | tuple[type[WorkerError], ...] = (),
) -> Answer:
    """Call `operation` until it succeeds, fails for good, or the attempts are used up.

    Only errors that call themselves temporary are tried again, and none of `never`.
    """
    attempt = 1
    while True:
        try:
            return operation()
        except WorkerError as error:
            if not error.temporary or isinstance(error, never) or attempt >= policy.attempts:
                raise
            delay = policy.delay(attempt, error.retry_after)
            logger.warning(
                "%s Trying again in %.1f s (attempt %d of %d).", error, delay, attempt, policy.attempts
            )
            if wait(delay):
                raise
        attempt += 1


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from a `Retry-After` header: a number, or a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
