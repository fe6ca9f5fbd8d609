"""What the page of a job shows beside its fields: buttons, whether all servers agree, and its log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ami.jobs.models import Job, JobLog
from ami.jobs.states import FINAL, JobState
from ami.jobs.tracing import QUICK, trace

LINES_SHOWN = 20
"""Of the log; a link leads to the others."""


@dataclass(frozen=True, slots=True)
class Button:
    """One action of the list of jobs, for this job."""

    action: str
    words: str
    is_grave: bool = False


def context_of(job: Job, failed: int, actions: dict[str, Any]) -> dict[str, Any]:
    """For the template. Asks NATS and Redis, a second at most; a constant number of queries.

    `failed`: images that failed; `actions`: those that the person may take.
    """
    log = JobLog.objects.filter(job=job).order_by("-pk")[:LINES_SHOWN]
    return {
        "buttons": [button for button in _buttons(job, failed) if button.action in actions],
        "exports": [
            Button(name, words.removeprefix("Export selected jobs as "))
            for name, (_, _, words) in actions.items()
            if name.startswith("export_jobs_as_")
        ],
        "trace": trace(job.pk, patience=QUICK),
        "log": list(log),
    }


def _buttons(job: Job, failed: int) -> Iterator[Button]:
    """What makes sense now; the lifecycle judges again when it is pressed."""
    if job.status == JobState.CREATED:
        yield Button("run_jobs", "Run")
    if job.status in FINAL:
        yield Button("retry_jobs", "Retry")
        if failed:
            yield Button("retry_failed", f"Retry {failed:,} failed")
    else:
        yield Button("cancel_jobs", "Cancel …", is_grave=True)
    yield Button("check_health", "Run health checks now")
