"""`python -m ami.embedded` as people and scripts use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ami.embedded.process import alive
from ami.embedded.tests.observe import family, family_with, wait_until, wait_until_gone

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
NO_POSTGRES = {"DATABASE_URL": "postgresql://elsewhere/ami"}
ONLY_OURS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "NATS_URL")
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
SLEEP_WITH_CHILD = ["sh", "-c", "sleep 60 & echo started; wait"]

Runner = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def embedded() -> Iterator[Runner]:
    """Starts the command line; whatever a test leaves running is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name not in ONLY_OURS}
        process = subprocess.Popen(
            [sys.executable, "-m", "ami.embedded", *arguments],
            cwd=ROOT,
            env={**environment, **(NO_POSTGRES if environ is None else environ)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line: str = process.stdout.readline()
    return line.strip()


def test_the_commands_exit_code_passes_through(embedded: Runner) -> None:
    process = embedded("--", "sh", "-c", 'echo "$NATS_URL"; exit 7')
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 7, errors
    assert output.startswith("nats://ami:")


def test_a_command_that_a_signal_ended_gives_128_and_its_number(embedded: Runner) -> None:
    process = embedded("--", "sh", "-c", "kill -KILL $$")
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_named(embedded: Runner) -> None:
    process = embedded("--", "no-such-program")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "no-such-program" in errors
    assert "Traceback" not in errors


def test_sigterm_ends_the_command_with_all_it_started_and_then_the_servers(embedded: Runner) -> None:
    process = embedded("--", *SLEEP_WITH_CHILD)
    assert first_line(process) == "started"
    everything = family_with(process.pid, "sh", "sleep", "valkey-server", "nats-server")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    wait_until_gone(everything)


def test_the_command_may_answer_a_signal_in_its_own_way(embedded: Runner) -> None:
    process = embedded("--", "sh", "-c", "trap 'exit 5' TERM; echo started; while :; do sleep 0.05; done")
    assert first_line(process) == "started"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_command_it_stays_until_a_signal_and_leaves_nothing(
    embedded: Runner, number: signal.Signals, tmp_path: Path
) -> None:
    addresses = tmp_path / "addresses.json"
    process = embedded("--json", str(addresses))
    wait_until(addresses.exists, "the addresses are written")
    assert json.loads(addresses.read_text())["NATS_URL"].startswith("nats://ami:")
    assert addresses.stat().st_mode & 0o777 == 0o600
    everything = family(process.pid)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert not addresses.exists()
    wait_until_gone(everything)


@pytest.mark.parametrize("by", ["kernel", "guard"])
def test_killing_the_supervisor_leaves_nothing_and_the_data_can_be_used_again(
    embedded: Runner, by: str, used_folder: Path
) -> None:
    if by == "kernel" and sys.platform != "linux":
        pytest.skip("only Linux ends children with their parent")
    environ = {"AMI_EMBEDDED_GUARD": "1"} if by == "guard" else {}
    process = embedded("--data", str(used_folder), "--", *SLEEP_WITH_CHILD, environ=environ)
    assert first_line(process) == "started"
    everything = family_with(process.pid, "postgres", "valkey-server", "nats-server", "sleep")
    process.kill()
    wait_until_gone(everything)
    again = embedded("--data", str(used_folder), "--", "true", environ={})
    _, errors = again.communicate(timeout=30)
    assert again.returncode == 0, errors


def test_it_ends_with_a_sentence_when_a_server_dies(embedded: Runner, tmp_path: Path) -> None:
    addresses = tmp_path / "addresses.json"
    process = embedded("--json", str(addresses))
    wait_until(addresses.exists, "the addresses are written")
    next(each for each in family(process.pid) if each.name() == "nats-server").kill()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "NATS has ended" in errors


def test_a_signal_during_the_start_leaves_nothing(embedded: Runner) -> None:
    process = embedded(environ={})
    everything: list[psutil.Process] = []

    def initdb_runs() -> bool:
        everything[:] = family(process.pid)
        return any(each.name() == "initdb" for each in everything if alive(each))

    wait_until(initdb_runs, "initdb runs")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    wait_until_gone(everything)
