"""`manage.py test_ml_job_e2e`: run one job through the whole system, and check that its end is exact."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ami.jobs.lifecycle.failures import failure_lines
from ami.jobs.models import Job
from ami.jobs.states import DispatchMode, JobState
from ami.jobs.tracing import trace
from ami.jobs.trials.request import BadRequest, read_request
from ami.jobs.trials.run import Ending, begin, watch
from ami.jobs.trials.screen import showing

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes; 0 is a job that ended as SUCCESS with exact numbers."""


class Command(BaseCommand):
    """Creates a job, runs it, shows its progress, judges its end. It needs Celery, and workers that pull."""

    help = "Run one job end to end; exit 0 if it ended as SUCCESS with exact numbers."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to run, and for how long."""
        parser.add_argument("--project", type=int, required=True, metavar="ID")
        parser.add_argument(
            "--collection", required=True, metavar="NAME|ID", help="The capture set to work on."
        )
        parser.add_argument("--pipeline", required=True, metavar="SLUG")
        modes = [str(mode) for mode in DispatchMode]
        parser.add_argument(
            "--dispatch-mode",
            "--dispatch_mode",
            required=True,
            choices=modes,
            help="Who works on the images.",
        )
        parser.add_argument(
            "--timeout", type=_seconds, metavar="SECONDS", help="Stop watching after so long; exit 1."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it. Raises CommandError with code 1 (no success, or not exact), 2 (bad input), 130 (Ctrl-C)."""
        mode = DispatchMode(options["dispatch_mode"])
        try:
            request = read_request(options["project"], options["collection"], options["pipeline"], mode)
        except BadRequest as error:
            raise CommandError(error.message, returncode=BAD_INPUT) from error
        job = begin(request)
        self.stdout.write(
            f"Job {job.pk}: {request.pipeline.slug} over {request.captures:,} captures of "
            f"{request.capture_set.name!r} in project {request.project.pk}."
        )
        try:
            with showing(cast("TextIO", self.stdout._out)) as show:
                ending = watch(job, request.captures, show, timeout=options["timeout"])
        except KeyboardInterrupt:
            raise CommandError(_goes_on(job), returncode=INTERRUPTED) from None
        self._tell(ending, options["timeout"])

    def _tell(self, ending: Ending, timeout: float | None) -> None:
        """The end in numbers. Raises CommandError unless it is a success with exact numbers."""
        job, counts = ending.job, ending.counts
        if not ending.in_time:
            self.stdout.write(f"It waits for {trace(job.pk).waiting_for}")
            raise CommandError(
                f"The job {job.pk} is {job.status} after {timeout:g} s. {_goes_on(job)}", returncode=FAILED
            )
        seconds = job.duration.total_seconds() if job.duration else 0.0
        self.stdout.write(
            f"Job {job.pk} ended as {job.status} after {seconds:.1f} s: {counts.processed:,} of "
            f"{counts.total:,} images processed, {counts.failed:,} failed, {counts.cancelled:,} cancelled, "
            f"{counts.detections:,} detections, {counts.classifications:,} classifications."
        )
        for line in failure_lines(job.pk, counts.failed):
            self.stdout.write(f"  {line.message}")
        for problem in ending.problems:
            self.stdout.write(f"  Not exact: {problem}")
        if ending.problems:
            raise CommandError(f"The numbers of the job {job.pk} are not exact.", returncode=FAILED)
        if job.status != JobState.SUCCESS:
            raise CommandError(f"The job {job.pk} did not succeed.", returncode=FAILED)
        self.stdout.write("The numbers are exact: ledger, progress, inbox, queue and pending sets agree.")


def _goes_on(job: Job) -> str:
    return (
        f"The job goes on; to end it, cancel it in the admin or with POST /api/v2/jobs/{job.pk}/cancel/. "
        f"manage.py trace_job {job.pk} says where its images are."
    )


def _seconds(text: str) -> float:
    """A positive number of seconds; raises ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return seconds
