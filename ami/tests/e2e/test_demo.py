"""The demo, run as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE

import psutil
import pytest

from ami.demo.programs import ROOT
from ami.embedded.nats import Nats
from ami.embedded.process import alive
from ami.embedded.stack import ADDRESSES
from ami.embedded.tests.observe import wait_until
from ami.embedded.valkey import Valkey
from ami.tests.e2e.database import Database

SECONDS = 90.0


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """The data folder that the tests share, because the first start in a folder takes longest."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder, "data")


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "ami.demo", *map(str, arguments)]


def _environment(**variables: str) -> dict[str, str]:
    """Without the servers of this test session, unless they are named here."""
    kept = {name: value for name, value in os.environ.items() if name not in ADDRESSES}
    return kept | variables


def _run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*arguments),
        cwd=ROOT,
        env=_environment(**variables),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def _running(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        _command(*arguments),
        cwd=ROOT,
        env=_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process:
        yield process
        process.kill()


def test_demo_runs_a_job_and_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    report, temporary = tmp_path / "report.json", tmp_path / "tmp"
    temporary.mkdir()
    done = _run("--once", "--count", "4", "--data", data, "--json", report, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
    assert S_IMODE(report.stat().st_mode) == 0o600
    told = json.loads(report.read_text())
    assert told["job"]["status"] == "SUCCESS"
    assert [told["job"]["processed"], told["job"]["failed"]] == [4, 0]
    assert told["job"]["detections"] > 0
    assert len(told["pictures"]) == 4
    assert all(Path(picture).stat().st_size > 10_000 for picture in told["pictures"])
    assert told["logins"]["admin"]["password"] in done.stdout
    assert _processes_of(data) == []
    assert list(temporary.iterdir()) == []
    assert not (data / "tmp").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_demo_that_is_ended_takes_everything_with_it(data: Path, number: signal.Signals, code: int) -> None:
    with _running("--count", "4", "--data", data) as demo:
        wait_until(
            lambda: any("config.celery" in line for line in _processes_of(data)), "Celery runs", SECONDS
        )
        demo.send_signal(number)
        output, _ = demo.communicate(timeout=SECONDS)
        assert demo.returncode == code
        assert "Traceback" not in output
        wait_until(lambda: _processes_of(data) == [], "nothing of the demo runs any more")


def test_demo_uses_given_servers_and_harms_nothing_in_a_given_database(
    template_database: Database,
    data: Path,
    tmp_path: Path,
    own_valkey: Callable[[], Valkey],
    own_nats: Callable[[], Nats],
) -> None:
    database = template_database.copy(f"e2e_demo_{os.getpid()}")
    database.execute(
        "INSERT INTO main_project (name, description, active, draft, flags, session_time_gap_seconds, "
        "score_threshold, created_at, updated_at) "
        "VALUES ('Theirs', '', true, true, '{}', 1, 0.5, now(), now())"
    )
    try:
        before = database.rows("SELECT * FROM main_project"), database.rows("SELECT * FROM users_user")
        report = tmp_path / "report.json"
        done = _run(
            *("--once", "--count", "2", "--data", tmp_path / "data", "--json", report),
            DATABASE_URL=database.url,
            REDIS_URL=own_valkey().url,
            NATS_URL=own_nats().url,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Servers of the environment are used" in done.stdout
        assert [path.name for path in (tmp_path / "data" / "servers").iterdir()] == ["lock"]
        told = json.loads(report.read_text())
        jobs = "SELECT status FROM jobs_job WHERE project_id = %s"
        assert database.rows(jobs, told["ids"]["project"]) == [("SUCCESS",)]
        after = database.rows("SELECT * FROM main_project"), database.rows("SELECT * FROM users_user")
        assert [set(map(str, was)) - set(map(str, now)) for was, now in zip(before, after, strict=True)] == [
            set(),
            set(),
        ]
        assert [len(rows) for rows in after] == [len(before[0]) + 1, len(before[1]) + 3]
    finally:
        database.drop()


def test_given_server_that_does_not_answer_is_refused_with_a_sentence(tmp_path: Path) -> None:
    done = _run("--once", "--data", tmp_path / "data", REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 2
    assert done.stderr.startswith("REDIS_URL names a server that does not answer (127.0.0.1:1/0: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_folder_without_images_is_refused_with_a_sentence(tmp_path: Path) -> None:
    done = _run("--once", "--images", tmp_path)
    assert done.returncode == 2
    sentence = f"There are no JPEG or PNG images in {tmp_path}. Name a folder that has some."
    assert done.stderr.strip() == sentence


def test_taken_port_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run("--once", "--data", tmp_path / "data", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"Port {port} cannot be used: another program listens on it already.")


def _processes_of(data: Path) -> list[str]:
    """Command lines of running processes that have to do with this data folder, without the demo itself."""
    found = []
    for process in psutil.process_iter():
        try:
            texts = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if "ami.demo" not in texts and any(str(data) in text for text in texts) and alive(process):
            found.append(" ".join(process.cmdline()))
    return found
