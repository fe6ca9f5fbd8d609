"""Looks at the invariants about every second while a scenario runs, over a database connection of its own."""

from __future__ import annotations

import threading
from typing import Self

from django.db import Error

from ami.chaos.database import drop_connection
from ami.jobs.invariants import Violation, Watch, check

SECONDS = 0.5
"""Between two looks: jobs of chaos are short."""


class Sampler:
    """`with Sampler() as sampler:` looks in the background until the block ends."""

    def __init__(self) -> None:
        self.samples = 0
        self.missed = 0
        """Looks that the database did not answer."""
        self._watches: dict[int, Watch] = {}
        self._found: dict[Violation, None] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)

    def watch(self, job_id: int) -> None:
        """Look at this job, too."""
        with self._lock:
            self._watches[job_id] = Watch([job_id])

    def look(self) -> None:
        """One look, now."""
        with self._lock:
            if not self._watches:
                return
            found = [violation for watch in self._watches.values() for violation in watch.look()]
            found += check(list(self._watches))
            self.samples += 1
            self._found |= dict.fromkeys(found)

    @property
    def violations(self) -> list[Violation]:
        """What was ever found, each once."""
        return list(self._found)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stop.wait(SECONDS):
                try:
                    self.look()
                except Error:  # it is restarted, or frozen, on purpose
                    self.missed += 1
                    drop_connection()
        finally:
            drop_connection()
