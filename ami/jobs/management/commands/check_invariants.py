"""`manage.py check_invariants`: ask a live system whether it keeps its promises."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ami.jobs.invariants import Violation, check, leftovers
from ami.jobs.models import Job
from ami.taskqueue import PendingStateUnavailable, QueueError

SETTLING_SECONDS = 60.0
"""How long an ended job may take to be cleaned up."""


class Command(BaseCommand):
    """Prints what does not hold; the exit code is 1 if there is anything."""

    help = "Check that no job lost, doubled or miscounted an image, or left anything behind."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--job ID` looks at one; `--at-rest` compares the figures of running jobs too."""
        parser.add_argument("--job", type=int, help="Look at this job alone.")
        parser.add_argument(
            "--at-rest",
            action="store_true",
            help="Nobody is at work: compare the figures of running jobs with the ledger, too.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check and print. Raises CommandError, which ends with code 1, for violations and unknown jobs."""
        job_id: int | None = options["job"]
        if job_id is not None and not Job.objects.filter(pk=job_id).exists():
            raise CommandError(f"There is no job {job_id}.")
        found = check(None if job_id is None else [job_id], at_rest=options["at_rest"])
        found += [left for left in self._leftovers() if job_id in (None, left.job_id)]
        for violation in found:
            self.stdout.write(str(violation))
        if found:
            raise CommandError(f"{len(found)} violations. What to do: docs/howto/operate/violations.md")
        self.stdout.write("All invariants hold.")

    def _leftovers(self) -> list[Violation]:
        try:
            return leftovers(SETTLING_SECONDS)
        except (QueueError, PendingStateUnavailable) as error:
            self.stderr.write(f"What ended jobs left behind is not known: {error.message}")
            return []
