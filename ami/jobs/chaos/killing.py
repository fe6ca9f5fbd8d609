"""Killing processes of this installation with SIGKILL, as a lack of memory or a power cut would.

Celery itself is asked which processes its workers have: the broker is what makes them one installation, and
only Celery knows its pool from the clock that may run beside it.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from celery import current_app
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ami.jobs.chaos.errors import ChaosRefused
from ami.jobs.chaos.processes import Process, find, installed_processes

ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which processes to kill: those with this text in their command, or else a child of Celery's pool."""

    name: str = ""
    pid: int | None = None
    everything: bool = False


def kill(choice: Choice) -> list[Process]:
    """Kill what was chosen; returns what was killed.

    Raises ChaosRefused if there is nothing, or more than one and not `everything` was asked for. The children
    of one pool do the same work, so the first of them stands for all. Not safe to run twice: it kills others.
    """
    chosen = _chosen(choice)
    for process in chosen:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except PermissionError:
            raise ChaosRefused(f"This account may not kill the process {process}.") from None
        except ProcessLookupError:
            raise ChaosRefused(f"The process {process.pid} ended by itself just now.") from None
    return chosen


def _chosen(choice: Choice) -> list[Process]:
    if choice.pid is not None:
        return [_by_pid(choice.pid)]
    if choice.name:
        named = [process for process in installed_processes() if choice.name in process.command]
        return _only(named, f"process of this installation with {choice.name!r} in its command", choice)
    pools = pools_here()
    first = [pool[0] for pool in pools if pool]
    wanted = "pool of a Celery worker of this installation"
    if choice.everything:
        return _only([process for pool in pools for process in pool], wanted, choice)
    return _only(first, wanted, choice)


def _by_pid(pid: int) -> Process:
    """Raises ChaosRefused for a process that is not of this installation."""
    known = [*installed_processes(), *(process for pool in pools_here() for process in pool)]
    for process in known:
        if process.pid == pid:
            return process
    raise ChaosRefused(f"The process {pid} is not of this installation, or is not there.")


def _only(found: Sequence[Process], what: str, choice: Choice) -> list[Process]:
    if not found:
        raise ChaosRefused(f"There is no {what} on this machine.")
    if len(found) > 1 and not choice.everything:
        lines = "\n".join(f"  {process}" for process in found)
        raise ChaosRefused(f"There is more than one {what}. Choose with --pid, or take --all:\n{lines}")
    return list(found)


def pools_here() -> list[list[Process]]:
    """The children of each Celery worker of this broker on this machine, as the workers say.

    Empty if none answers, also because the broker is away.
    """
    try:
        answers = current_app.control.inspect(timeout=ANSWER_SECONDS).stats() or {}
    except (KombuError, RedisError, OSError):
        return []
    here = f"@{socket.gethostname()}"
    return [
        [process for pid in stats["pool"].get("processes", []) if (process := _child(pid, stats["pid"]))]
        for node, stats in sorted(answers.items())
        if node.endswith(here)
    ]


def _child(pid: int, main: int) -> Process | None:
    """The process of that number, if it is a child of that worker indeed: another container has others."""
    process = find(pid)
    return process if process and process.parent == main else None
