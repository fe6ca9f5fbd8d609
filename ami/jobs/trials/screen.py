"""How a trial is shown: a moving bar at a terminal, elsewhere a line every other second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ami.jobs.progress import Counts

LINE_EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Look:
    """How the job was when it was looked at. `seconds`: since the trial began to watch."""

    status: str
    counts: Counts
    seconds: float

    @property
    def text(self) -> str:
        """Its numbers in words."""
        counts = self.counts
        return (
            f"{self.status}, {counts.processed:,} of {counts.total:,} processed, {counts.failed:,} failed, "
            f"{counts.received:,} being saved, {counts.pending:,} pending"
        )


Show = Callable[[Look], None]


@contextmanager
def showing(out: TextIO) -> Iterator[Show]:
    """A function that shows looks at `out`, the way that suits it."""
    if not out.isatty():
        yield Lines(out)
        return
    bar = Progress(
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        console=Console(file=out),
    )
    with bar:
        task = bar.add_task("", total=None, text="")

        def move(look: Look) -> None:
            counts = look.counts
            done = counts.total - counts.open
            bar.update(task, total=counts.total or None, completed=done, text=look.text)

        yield move


class Lines:
    """A line now and then."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """`out`: where the lines go. `clock`: in seconds."""
        self._out = out
        self._clock = clock
        self._due = clock()

    def __call__(self, look: Look) -> None:
        """Write it, unless the last line is younger than two seconds."""
        if self._clock() >= self._due:
            self._out.write(f"{look.seconds:6.1f} s  {look.text}\n")
            self._out.flush()
            self._due = self._clock() + LINE_EVERY_SECONDS
