"""The leases in a worker's hand, and how far the work on each has come. One object for all threads.

A lease is *waiting* (reserved, perhaps downloaded), *begun* (the pipeline is at it) or *posting* (its result
is on the way). It leaves when its result is in, when it is given back, or when the server says it is gone.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ami.ml.schemas import LeasesResponse, LeaseState

DEFAULT_LEASE_SECONDS = 60.0
"""For a server that does not say how long a lease is: short enough for any that we know."""
BEATS_PER_LEASE = 3
"""Two heartbeats may be lost before a lease is."""
SHORTEST_BEAT = 0.05


class Stage(enum.Enum):
    """How far the work under a lease has come."""

    WAITING = enum.auto()
    BEGUN = enum.auto()
    POSTING = enum.auto()


@dataclass(slots=True)
class _Lease:
    seconds: float
    extended_at: float
    stage: Stage = Stage.WAITING

    @property
    def beat_at(self) -> float:
        return self.extended_at + max(self.seconds / BEATS_PER_LEASE, SHORTEST_BEAT)


@dataclass(frozen=True, slots=True)
class News:
    """What a heartbeat brought: leases that are gone, by the reason."""

    cancelled: list[str]
    lost: list[LeaseState]


class Leases:
    """Every lease from its reservation until its result is in. Times are of `time.monotonic()`."""

    def __init__(self) -> None:
        self.changed = threading.Event()
        """Set when the next heartbeat may be due earlier than it was."""
        self._lock = threading.Lock()
        self._held: dict[str, _Lease] = {}
        self._worthless: set[str] = set()
        self._closed = False

    def add(self, handed_out: Mapping[str, float | None]) -> bool:
        """Take leases (token to seconds) that were just handed out.

        False after `close`: then whoever has them gives them back.
        """
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return False
            for token, seconds in handed_out.items():
                self._held[token] = _Lease(seconds or DEFAULT_LEASE_SECONDS, now)
        self.changed.set()
        return True

    def holds(self, token: str) -> bool:
        """Whether work on it still makes sense."""
        with self._lock:
            return token in self._held

    def begin(self, tokens: Iterable[str]) -> set[str]:
        """The pipeline begins with these now; returns those that are still ours, none after `close`."""
        with self._lock:
            mine = set() if self._closed else {token for token in tokens if token in self._held}
            for token in mine:
                self._held[token].stage = Stage.BEGUN
            return mine

    def deliver(self, tokens: Iterable[str]) -> set[str]:
        """The results of these are there; returns those that are to be posted.

        Not those of cancelled jobs, and none that we gave back. A result under a lost lease is posted: the
        server takes the first result of an image, whoever it comes from.
        """
        with self._lock:
            wanted = {token for token in tokens if token not in self._worthless}
            for token in wanted & self._held.keys():
                self._held[token].stage = Stage.POSTING
            return wanted

    def settle(self, tokens: Iterable[str]) -> None:
        """Nothing more is to be done about these."""
        with self._lock:
            for token in tokens:
                self._held.pop(token, None)
                self._worthless.discard(token)

    def close(self) -> list[str]:
        """No work begins any more. Returns the leases of what has not begun, which are no longer ours."""
        with self._lock:
            self._closed = True
            return self._give_up({Stage.WAITING})

    def abandon(self, *stages: Stage) -> list[str]:
        """Leases in these stages, which are no longer ours; their results will not be posted."""
        with self._lock:
            return self._give_up(set(stages))

    def count(self, stage: Stage) -> int:
        """Number of leases in a stage."""
        with self._lock:
            return sum(lease.stage is stage for lease in self._held.values())

    def held(self) -> list[str]:
        """All leases in hand."""
        with self._lock:
            return list(self._held)

    def shortest(self) -> float:
        """Seconds of the shortest lease in hand."""
        with self._lock:
            return min((lease.seconds for lease in self._held.values()), default=DEFAULT_LEASE_SECONDS)

    def beat_at(self) -> float | None:
        """When the next heartbeat is due; None while nothing is in hand."""
        with self._lock:
            return min((lease.beat_at for lease in self._held.values()), default=None)

    def note(self, asked: Iterable[str], answer: LeasesResponse, at: float) -> News:
        """Take in the answer to a heartbeat that was sent at the time `at`; tells which leases are gone."""
        cancelled = [state.reply_subject for state in answer.leases if _is_cancelled(state)]
        lost = [state for state in answer.leases if state.status in {"lost", "rejected"}]
        with self._lock:
            for token in asked:
                if lease := self._held.get(token):
                    lease.extended_at = at
                    lease.seconds = answer.lease_seconds or lease.seconds
            gone = [token for token in cancelled if token in self._held]
            self._worthless.update(token for token in gone if self._held[token].stage is not Stage.WAITING)
            news = News(gone, [state for state in lost if self._is_news(state.reply_subject)])
            for token in (*gone, *(state.reply_subject for state in lost)):
                self._held.pop(token, None)
            return news

    def _is_news(self, token: str) -> bool:
        """A lease whose result is on the way may be gone because the result has arrived."""
        lease = self._held.get(token)
        return lease is not None and lease.stage is not Stage.POSTING

    def _give_up(self, stages: set[Stage]) -> list[str]:
        tokens = [token for token, lease in self._held.items() if lease.stage in stages]
        for token in tokens:
            if self._held.pop(token).stage is not Stage.WAITING:
                self._worthless.add(token)
        return tokens


def _is_cancelled(state: LeaseState) -> bool:
    return state.cancelled or state.status == "cancelled"
