"""What the page of a job shows beside its fields: buttons, whether all servers agree, and its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ami.base.admin.buttons import Button
from ami.jobs.models import ExportFormat, Job, JobLog
from ami.jobs.states import FINAL, JobState
from ami.jobs.tracing import QUICK, trace

LINES_SHOWN = 20
"""Of the log; a link leads to the others."""


def context_of(job: Job) -> dict[str, Any]:
    """For the template. Asks NATS and Redis, a second at most; a constant number of queries."""
    log = JobLog.objects.filter(job=job).order_by("-pk")[:LINES_SHOWN]
    return {"trace": trace(job.pk, patience=QUICK), "log": list(log)}


def buttons_of(job: Job, failed: int) -> Iterator[Button]:
    """What makes sense now; the lifecycle judges again when it is pressed. `failed`: images that failed."""
    if job.status == JobState.CREATED:
        yield Button("run_jobs", "Run")
    if job.status in FINAL:
        yield Button("retry_jobs", "Retry")
        if failed:
            yield Button("retry_failed", f"Retry {failed:,} failed")
    else:
        yield Button("cancel_jobs", "Cancel …", is_grave=True)
    yield Button("check_health", "Run health checks now")
    for export_format in ExportFormat:
        yield Button(f"export_jobs_as_{export_format.value}", f"Export: {export_format.label}")
