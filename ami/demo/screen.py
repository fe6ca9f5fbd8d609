"""What the demo shows: steps with their times, a live progress bar, a summary.

At a terminal it moves; elsewhere (a file, a pipe, CI) it is plain lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.status import Status

from ami.demo.client import JobView, StageView

STEP_WIDTH = 62
BAR_WIDTH = 30
LINE_EVERY_SECONDS = 1.0
COLOURS = {"SUCCESS": "green", "FAILURE": "red", "REVOKED": "yellow"}


class Step:
    """A step under way; `note` is shown beside its text."""

    def __init__(self, text: str, status: Status | None) -> None:
        """`status`: the moving line that shows it, if there is one."""
        self._text = text
        self._status = status
        self._note = ""

    def note(self, text: str) -> None:
        """Say more about the step; the last note stays."""
        self._note = text
        if self._status:
            self._status.update(escape(str(self)))

    def __str__(self) -> str:
        return f"{self._text}: {self._note}" if self._note else self._text


class Screen:
    """Where the demo writes."""

    def __init__(self, console: Console | None = None) -> None:
        """`console`: by default, the standard output."""
        self._console = console or Console(highlight=False)
        self._moves = self._console.is_terminal
        unicode = self._console.encoding.startswith("utf")
        self._done, self._broken = ("✓", "✗") if unicode else ("ok", "failed")

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Show that something is under way, then that it is done and how long it took."""
        began = time.monotonic()
        status = self._console.status(escape(text)) if self._moves else None
        step = Step(text, status)
        try:
            with status or nullcontext():
                yield step
        except BaseException:
            self.say(f"[red]{self._broken}[/] {escape(str(step))}")
            raise
        seconds = time.monotonic() - began
        self.say(f"[green]{self._done}[/] {escape(f'{step!s:<{STEP_WIDTH}}')} [dim]{seconds:5.1f} s[/]")

    @contextmanager
    def job(self) -> Iterator[Callable[[JobView], None]]:
        """Live progress of a job; call what you get with every new look at it."""
        if self._moves:
            with self._bars() as bars:
                tasks: dict[str, TaskID] = {}
                yield lambda view: _move(bars, tasks, view)
        else:
            yield _Lines(self.say)

    def say(self, text: str = "") -> None:
        """A line, in rich's markup; the terminal wraps long ones, so that they can be copied whole."""
        self._console.print(text, soft_wrap=True)

    def item(self, word: str, text: str, colour: str) -> None:
        """One of several findings: a coloured word and a sentence, which is wrapped between its words."""
        line = f"[{colour}]{word}[/] {escape(text)}"
        if self._moves:
            self._console.print(Padding(line, (0, 0, 0, 2)))
        else:
            self.say(f"  {line}")

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Words and what belongs to them, in two columns; nothing is cut."""
        width = max(len(word) for word, _ in rows) + 3
        for word, text in rows:
            self.say(f"[bold]{escape(f'{word:<{width}}')}[/]{escape(text)}")

    def _bars(self) -> Progress:
        columns = (
            TextColumn("  {task.description:<8}"),
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
        )
        return Progress(*columns, console=self._console, disable=not self._moves)


class _Lines:
    """Progress where nothing can move: a line when something changed, at most one a second."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = ""
        self._said_at = float("-inf")

    def __call__(self, view: JobView) -> None:
        stages = "; ".join(f"{stage.name.lower()} {_note(stage)}" for stage in view.stages)
        line = f"  {view.status}: {stages}"
        if line != self._said and (view.ended or time.monotonic() - self._said_at >= LINE_EVERY_SECONDS):
            self._say(escape(line))
            self._said, self._said_at = line, time.monotonic()


def _move(bars: Progress, tasks: dict[str, TaskID], view: JobView) -> None:
    for stage in view.stages:
        if stage.key not in tasks:
            tasks[stage.key] = bars.add_task(escape(stage.name), total=1.0, note="")
        bars.update(tasks[stage.key], completed=stage.progress, note=_note(stage))


def _note(stage: StageView) -> str:
    """The numbers of a stage in words."""
    numbers = stage.figures
    match stage.key:
        case "collect":
            return f"{numbers['total_images']} captures"
        case "process":
            known = numbers["processed"] + numbers["remaining"]
            failed = f", {numbers['failed']} failed" if numbers["failed"] else ""
            return f"{numbers['processed']} of {known}{failed}"
        case "results":
            return f"{numbers['captures']} captures, {numbers['detections']} detections"
    return ""
