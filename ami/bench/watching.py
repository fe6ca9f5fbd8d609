"""What one heavy call does to a web server: its memory, and how long others wait meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import requests

SAMPLE_SECONDS = 0.005
CALL_EVERY_SECONDS = 0.02
MIB = 2**20


@dataclass
class Seen:
    """Figures of the time that was watched. Memory in bytes, times in seconds."""

    idle: int
    peak: int = 0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    """How long each cheap call took."""

    def wait_ms(self, percent: int) -> float:
        """A percentile of the cheap calls, in milliseconds."""
        ranked = sorted(self.waits)
        return 1_000 * ranked[min(len(ranked) - 1, len(ranked) * percent // 100)]

    def __str__(self) -> str:
        waits = ", ".join(
            f"{name} {self.wait_ms(percent):.0f} ms"
            for name, percent in (("p50", 50), ("p95", 95), ("max", 100))
        )
        return (
            f"{self.seconds:.2f} s; memory idle {self.idle // MIB} MiB, "
            f"peak {(self.peak - self.idle) / MIB:+.0f} MiB; {len(self.waits)} cheap calls: {waits}"
        )


def memory_of(pid: int) -> int:
    """Resident bytes of a process and what it has started."""
    process = psutil.Process(pid)
    return sum(member.memory_info().rss for member in [process, *process.children(recursive=True)])


@contextmanager
def watching(pid: int, cheap_url: str) -> Iterator[Seen]:
    """Sample the memory of `pid` and call `cheap_url` every 20 ms until the block ends."""
    seen = Seen(idle=memory_of(pid))
    stop = threading.Event()
    session = requests.Session()

    def sample() -> None:
        seen.peak = max(seen.peak, memory_of(pid))

    def call() -> None:
        began = time.perf_counter()
        session.get(cheap_url, timeout=60).raise_for_status()
        seen.waits.append(time.perf_counter() - began)

    call()
    seen.waits.clear()
    threads = [
        threading.Thread(target=_repeat, args=[sample, SAMPLE_SECONDS, stop]),
        threading.Thread(target=_repeat, args=[call, CALL_EVERY_SECONDS, stop]),
    ]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    try:
        yield seen
    finally:
        seen.seconds = time.perf_counter() - began
        stop.set()
        for thread in threads:
            thread.join()
        session.close()


def _repeat(act: Callable[[], None], pause: float, stop: threading.Event) -> None:
    act()
    while not stop.wait(pause):
        act()
