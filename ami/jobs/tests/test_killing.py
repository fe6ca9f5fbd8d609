"""Processes of this installation are told from all others, and only they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings

from ami.jobs.chaos import killing, processes
from ami.jobs.chaos.errors import ChaosRefused
from ami.jobs.chaos.killing import Choice, kill, pools_here
from ami.jobs.chaos.processes import Process, find, installed_processes

Start = Callable[..., "subprocess.Popen[bytes]"]
NAME = f"made-up-program-{os.getpid()}"
"""Tests that run beside these have another."""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that waits until the test is over; by default one of this installation."""
    with ExitStack() as stack:

        def begin(name: str = NAME, *, cwd: Path = settings.BASE_DIR, **variables: str) -> object:
            argv = [sys.executable, "-c", "input()", name]
            environment = {**os.environ, **variables}
            started = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=subprocess.PIPE)
            stack.callback(started.communicate)
            stack.callback(started.kill)
            return started

        yield begin  # type: ignore[misc]


def test_another_checkout_and_other_servers_are_another_installation(start: Start, tmp_path: Path) -> None:
    ours = start()
    start(cwd=tmp_path)
    start(DATABASE_URL="postgresql://elsewhere/ami")
    found = [process for process in installed_processes() if process.command.endswith(NAME)]
    assert [process.pid for process in found] == [ours.pid]
    assert found[0].parent == os.getpid()


def test_neither_this_process_nor_who_started_it_is_found() -> None:
    pids = {process.pid for process in installed_processes()}
    assert not pids & {os.getpid(), os.getppid()}


def test_the_only_one_of_a_name_is_killed(start: Start) -> None:
    victim, other = start(), start("bystander")
    assert [process.pid for process in kill(Choice(name=NAME))] == [victim.pid]
    assert victim.wait(5) == -signal.SIGKILL
    assert other.poll() is None
    with pytest.raises(ChaosRefused, match="There is no process of this installation with 'made-up-prog"):
        kill(Choice(name=NAME))


def test_one_of_several_has_to_be_chosen(start: Start) -> None:
    first, second, third = start(), start(), start()
    with pytest.raises(
        ChaosRefused, match=f"more than one process(.|\n)*{first.pid}  .*(.|\n)*{third.pid}  "
    ):
        kill(Choice(name=NAME))
    assert [victim.poll() for victim in (first, second, third)] == [None] * 3
    kill(Choice(pid=second.pid))
    assert second.wait(5) == -signal.SIGKILL
    kill(Choice(name=NAME, everything=True))
    assert (first.wait(5), third.wait(5)) == (-signal.SIGKILL, -signal.SIGKILL)


def test_a_process_of_somebody_else_is_refused(start: Start, tmp_path: Path) -> None:
    stranger = start(cwd=tmp_path)
    with pytest.raises(ChaosRefused, match=f"The process {stranger.pid} is not of this installation"):
        kill(Choice(pid=stranger.pid))
    assert stranger.poll() is None


def test_without_celery_there_is_no_child_to_kill() -> None:
    with pytest.raises(ChaosRefused, match="There is no pool of a Celery worker of this installation"):
        kill(Choice())


def test_several_pools_are_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [[Process(11, 1, "celery a"), Process(12, 1, "celery a")], [Process(21, 2, "celery b")]]
    monkeypatch.setattr(killing, "pools_here", lambda: pools)
    with pytest.raises(ChaosRefused, match="more than one pool") as refusal:
        kill(Choice())
    assert refusal.value.message.endswith("\n  11  celery a\n  21  celery b")


def test_a_machine_without_proc_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path / "none")
    with pytest.raises(ChaosRefused, match="where there is a /proc"):
        installed_processes()
    assert find(1) is None


def test_a_broker_that_is_away_has_no_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def inspect(self, timeout: float) -> object:
            raise ConnectionRefusedError

    monkeypatch.setattr(current_app, "control", Away(), raising=False)
    assert pools_here() == []
