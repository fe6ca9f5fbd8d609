"""Groups of named processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ami.embedded.processes import Ended, ProcessGroup
from ami.embedded.tests.observe import family_with, wait_until, wait_until_gone

pytestmark = pytest.mark.integration

OUTLIVING_PARENT = """
import time
from pathlib import Path
from ami.embedded.processes import ProcessGroup
group = ProcessGroup()
group.start("web", ["sh", "-c", "sleep 60 & wait"])
print("ready", flush=True)
time.sleep(60)
"""


def test_the_first_to_end_is_reported_with_its_code() -> None:
    with ProcessGroup() as group:
        group.start("web", ["sleep", "60"])
        group.start("beat", ["sh", "-c", "exit 3"])
        assert group.wait(10) == Ended("beat", 3)


def test_waiting_ends_with_the_time() -> None:
    with ProcessGroup() as group:
        group.start("web", ["sleep", "60"])
        assert group.wait(0.05) is None


def test_output_is_shown_with_the_name_of_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with ProcessGroup() as group:
        group.start("web", ["sh", "-c", "echo one; echo two >&2"])
        group.wait(10)
    assert capsys.readouterr().out == "web      | one\nweb      | two\n"


def test_a_log_file_takes_the_output_of_all_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "web.log"
    with ProcessGroup() as group:
        group.start("web", ["sh", "-c", 'echo "$MOTH"'], env={**os.environ, "MOTH": "7"}, log=log)
        group.wait(10)
        group.restart("web")
        group.wait(10)
    assert log.read_text() == "7\n7\n"
    assert capsys.readouterr().out == ""


def test_stopping_goes_backwards_and_takes_what_was_started_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = 'trap "echo $0; exit" TERM; sleep 60 & echo up; wait'
    group = ProcessGroup()
    for count, name in enumerate(("first", "second"), start=1):
        group.start(name, ["sh", "-c", program, name], log=log)
        wait_until(lambda: log.exists() and log.read_text().count("up") == count, "it is up")  # noqa: B023
    everything = family_with(group.pid("first"), "sleep") + family_with(group.pid("second"), "sleep")
    group.stop()
    assert log.read_text().split()[2:] == ["second", "first"]
    wait_until_gone(everything)


def test_a_process_that_ignores_the_signal_is_killed_after_its_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ProcessGroup() as group:
        pid = group.start("deaf", ["sh", "-c", "trap '' TERM; echo up; sleep 60"], log=log, stop_seconds=0.1)
        wait_until(lambda: "up" in log.read_text(), "it is up")
    assert not psutil.pid_exists(pid)


def test_a_killed_process_is_reported(tmp_path: Path) -> None:
    with ProcessGroup() as group:
        group.start("web", ["sleep", "60"])
        group.kill("web")
        assert group.wait(10) == Ended("web", -signal.SIGKILL)


def test_when_the_parent_is_killed_its_processes_and_their_children_die() -> None:
    parent = subprocess.Popen([sys.executable, "-c", OUTLIVING_PARENT], stdout=subprocess.PIPE)
    try:
        assert parent.stdout
        assert parent.stdout.readline() == b"ready\n"
        everything = family_with(parent.pid, "sleep")
    finally:
        parent.kill()
        parent.communicate()
    wait_until_gone(everything)
