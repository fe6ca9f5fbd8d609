"""Plain lines where nothing can move; a moving display at a terminal."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from ami.demo.client import JobView, StageView
from ami.demo.screen import Screen


def _view(done: int, status: str = "STARTED") -> JobView:
    return JobView(
        id=1,
        status=status,
        seconds=None,
        stages=(
            StageView("collect", "Collect", 1.0, {"total_images": 4}),
            StageView(
                "process", "Process", done / 4, {"processed": done, "remaining": 4 - done, "failed": 1}
            ),
            StageView(
                "results", "Results", done / 4, {"captures": done, "detections": 9, "classifications": 9}
            ),
        ),
    )


def _screen(*, terminal: bool) -> tuple[Screen, StringIO]:
    written = StringIO()
    return Screen(Console(file=written, force_terminal=terminal, width=80, highlight=False)), written


def test_outside_a_terminal_there_are_only_plain_lines() -> None:
    screen, written = _screen(terminal=False)
    with screen.step("Captures") as step:
        step.note("4 of [night]")
    with screen.job() as update:
        update(_view(0))
        update(_view(0))
        update(_view(4, "SUCCESS"))
    text = written.getvalue()
    assert "\x1b" not in text
    assert "\r" not in text
    assert "Captures: 4 of [night]" in text
    assert [line for line in text.splitlines() if "process" in line] == [
        "  STARTED: collect 4 captures; process 0 of 4, 1 failed; results 0 captures, 9 detections",
        "  SUCCESS: collect 4 captures; process 4 of 4, 1 failed; results 4 captures, 9 detections",
    ]


def test_at_a_terminal_the_bars_fit_into_80_columns() -> None:
    screen, written = _screen(terminal=True)
    with screen.job() as update:
        update(_view(4, "SUCCESS"))
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", written.getvalue())
    lines = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", without_colours)  # other codes move the cursor
    assert any("100% 4 of 4, 1 failed" in line for line in lines)
    assert max(len(line) for line in lines) <= 80


def test_step_that_fails_is_marked_and_the_error_goes_on() -> None:
    screen, written = _screen(terminal=False)

    def fail() -> None:
        with screen.step("Servers"):
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        fail()
    assert "Servers" in written.getvalue()
    assert "✗" in written.getvalue()
