"""A job's log as the wire shows it: lines for people, newest first."""

from __future__ import annotations

from ami.jobs.models import JobLog

_ERRORS = {"ERROR", "CRITICAL"}

NO_LOGS: dict[str, list[str]] = {"stdout": [], "stderr": []}
"""What lists show: they never read the log."""


def job_logs(job_id: int, limit: int) -> dict[str, list[str]]:
    """The newest `limit` lines: `stdout` with time and level, `stderr` with the bare messages of errors."""
    lines = list(
        JobLog.objects.filter(job_id=job_id)
        .order_by("-created_at", "-pk")
        .values_list("created_at", "level", "message")[:limit]
    )
    return {
        "stdout": [f"[{at:%Y-%m-%d %H:%M:%S}] {level} {message}" for at, level, message in lines],
        "stderr": [message for _, level, message in lines if level in _ERRORS],
    }
