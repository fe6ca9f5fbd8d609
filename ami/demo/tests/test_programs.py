"""Whoever waits while programs run hears at once that one of them has ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest

from ami.demo.errors import DemoError
from ami.demo.programs import Programs
from ami.embedded.tests.observe import wait_until


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """No program yet."""
    with Programs(tmp_path / "logs", os.environ) as programs:
        yield programs


def test_early_end_is_reported_with_the_last_words(programs: Programs) -> None:
    programs.start("web", "json.tool", "/nonexistent.json")
    with pytest.raises(DemoError, match=r"(?s)web has ended with code [12].*nonexistent\.json"):
        programs.wait_for(lambda: False, what="never", seconds=30)


def test_killed_program_is_reported_with_its_signal(programs: Programs) -> None:
    programs.start("web", "http.server", "--bind", "127.0.0.1", "0")
    programs.kill("web")
    with pytest.raises(DemoError, match="web has ended with signal 9"):
        programs.watch()


def test_waiting_ends_at_its_deadline(programs: Programs) -> None:
    with pytest.raises(DemoError, match="Waited 0 s, but not that pigs fly"):
        programs.wait_for(lambda: False, what="pigs fly", seconds=0.01)


def test_logs_are_private_and_begin_anew(programs: Programs, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "web.log"
    log.parent.mkdir()
    log.write_text("of the last run")
    programs.start("web", "http.server", "--bind", "127.0.0.1", "0")
    assert "last run" not in log.read_text()
    assert S_IMODE(log.stat().st_mode) == 0o600


def test_temporary_files_of_killed_programs_are_removed(tmp_path: Path) -> None:
    with Programs(tmp_path / "logs", os.environ) as programs:
        program = "import tempfile, time; tempfile.mkdtemp(); time.sleep(60)"
        (tmp_path / "litter.py").write_text(program)
        programs.start("litter", "litter", stop_signal=signal.SIGKILL, PYTHONPATH=str(tmp_path))
        wait_until(lambda: any((tmp_path / "tmp").iterdir()), "it has a temporary folder")
    assert not (tmp_path / "tmp").exists()
