"""CPU time of whole process trees, so that forked children count too."""

from __future__ import annotations

import psutil


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes and everything below them, living children included."""
    total = 0.0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for member in family:
            try:
                times = member.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total
