"""A snapshot of the system, taken at most once every few seconds, whoever asks and how often.

Processes share it through the cache; without the cache each takes its own. Every server has a deadline of its
own, in a thread of its own: one that hangs makes its figures absent, and nobody wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from django.core.cache import cache

from ami.base.metrics.rendering import Sample
from ami.jobs.health.runner import CHECKS
from ami.jobs.metrics import others, table
from ami.jobs.metrics.database import Facts, ask_postgres

logger = structlog.get_logger(__name__)
T = TypeVar("T")

FRESH_SECONDS = 5.0
STALE_SECONDS = 60.0
"""While somebody else takes a new one, an older one does; up to this age."""

DATABASE_SECONDS = 3.0
OTHERS_SECONDS = 1.5

_KEY, _TAKING = "metrics:snapshot", "metrics:taking"
_OTHERS: dict[str, Callable[[Facts], list[Sample]]] = {
    table.REDIS: others.ask_redis,
    table.BROKER: others.ask_broker,
    table.QUEUE: others.ask_queue,
}
_lock = threading.Lock()
_latest: Snapshot | None = None


@dataclass(frozen=True)
class Snapshot:
    """Figures as they were at `taken_at` (seconds since 1970)."""

    taken_at: float
    samples: list[Sample]

    @property
    def age(self) -> float:
        """In seconds."""
        return max(0.0, time.time() - self.taken_at)


def current() -> Snapshot:
    """The state of the system, a few seconds old at most. Takes some seconds at worst, and never raises."""
    global _latest
    if _latest is not None and _latest.age < FRESH_SECONDS:
        return _latest
    if not _lock.acquire(blocking=_latest is None or _latest.age > STALE_SECONDS):
        return _latest  # type: ignore[return-value]  # there is one, for nobody waits otherwise
    try:
        if _latest is None or _latest.age >= FRESH_SECONDS:
            _latest = _shared()
        return _latest
    finally:
        _lock.release()


def forget() -> None:
    """Take the next one anew."""
    global _latest
    _latest = None
    for key in (_KEY, _TAKING):
        cache.delete(key)


def _shared() -> Snapshot:
    """What another process has just taken, or a new one."""
    found: Any = cache.get(_KEY)
    known = Snapshot(*found) if found else None
    if known is not None and known.age < FRESH_SECONDS:
        return known
    mine = cache.add(_TAKING, 1, timeout=DATABASE_SECONDS + OTHERS_SECONDS)
    if not mine and known is not None and known.age < STALE_SECONDS:
        return known
    snapshot = take()
    cache.set(_KEY, (snapshot.taken_at, snapshot.samples), timeout=STALE_SECONDS)
    if mine:
        cache.delete(_TAKING)
    return snapshot


def take() -> Snapshot:
    """Ask everybody now."""
    at = time.time()
    pool = ThreadPoolExecutor(max_workers=len(table.SOURCES), thread_name_prefix="metrics")
    try:
        samples: list[Sample] = []
        facts = _answer(table.POSTGRES, _timed(pool, ask_postgres, list(CHECKS)), DATABASE_SECONDS, samples)
        about: Facts = facts or Facts([], [], {})
        samples += about.samples
        deadline = time.monotonic() + OTHERS_SECONDS
        asked = {name: _timed(pool, ask, about) for name, ask in _OTHERS.items()}
        for name, future in asked.items():
            answer = _answer(name, future, deadline - time.monotonic(), samples)
            samples += answer or []
        return Snapshot(at, samples)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _timed(pool: ThreadPoolExecutor, ask: Callable[[Any], T], about: Any) -> Future[tuple[T, float]]:
    def run() -> tuple[T, float]:
        began = time.monotonic()
        return ask(about), time.monotonic() - began

    return pool.submit(run)


def _answer(source: str, future: Future[tuple[T, float]], seconds: float, samples: list[Sample]) -> T | None:
    """What a server said; None, and a figure that says so, if it did not."""
    try:
        answer, took = future.result(timeout=max(0.0, seconds))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a server is a figure here
        logger.warning("metrics.source_down", source=source, error=type(error).__name__)
        samples.append((table.SOURCE_UP.name, (source,), 0.0))
        return None
    samples.append((table.SOURCE_UP.name, (source,), 1.0))
    samples.append((table.SOURCE_SECONDS.name, (source,), took))
    return answer


def as_samples(snapshot: Snapshot) -> Sequence[Sample]:
    """Its figures, with its age."""
    return [*snapshot.samples, (table.AGE.name, (), snapshot.age)]
