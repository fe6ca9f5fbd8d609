"""Run a trial: create the job, watch it until it ended, and judge its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ami.jobs import ledger
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job
from ami.jobs.progress import Counts
from ami.jobs.trials.request import Request
from ami.jobs.trials.screen import Look, Show
from ami.jobs.trials.verdict import problems

POLL_SECONDS = 0.25
SETTLING_SECONDS = 15.0
"""How long an ended job may take until its progress is shown and its queue is gone."""

Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trial ended. `problems` is empty if the numbers are exact, or if it did not end in time."""

    job: Job
    counts: Counts
    in_time: bool
    problems: list[str]


def begin(request: Request) -> Job:
    """Create the job and submit it. Not safe to run twice: it makes another job."""
    job = create_job(
        name=f"Trial of {request.pipeline.slug}",
        project=request.project,
        pipeline=request.pipeline,
        source_image_collection=request.capture_set,
        shuffle=False,
    )
    run_job(job)
    return job


def watch(
    job: Job, captures: int, show: Show, *, timeout: float | None = None, pause: Pause = time.sleep
) -> Ending:
    """Look at the job until it ended, at most `timeout` seconds, and compare its end with the ledger.

    Changes nothing, so it can be stopped at any moment. `pause` waits so many seconds between two looks.
    """
    began = time.monotonic()
    while True:
        job.refresh_from_db()
        counts = ledger.count(job.pk)
        seconds = time.monotonic() - began
        show(Look(job.status, counts, seconds))
        if job.is_final:
            return Ending(job, counts, True, _settled(job, captures, pause))
        if timeout is not None and seconds >= timeout:
            return Ending(job, counts, False, [])
        pause(POLL_SECONDS)


def _settled(job: Job, captures: int, pause: Pause) -> list[str]:
    """The problems that stay once the last steps after the end had their time."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while (found := problems(job, captures)) and time.monotonic() < deadline:
        pause(POLL_SECONDS)
    return found
