"""`manage.py run_health`: run the health checks now, also when the broker or beat is down."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ami.jobs.health.runner import CHECKS, run_check


class Command(BaseCommand):
    """Runs all checks, or the one that is named, and prints what each did."""

    help = "Run the health checks of jobs now."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--check NAME` runs one."""
        parser.add_argument("--check", choices=sorted(CHECKS), help="Run only this check.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run and print."""
        for name in [options["check"]] if options["check"] else CHECKS:
            report = run_check(name)
            if report.skipped:
                self.stdout.write(f"{name}: another process is running it")
            else:
                self.stdout.write(
                    f"{name}: checked {report.checked}, fixed {report.fixed}, unfixable {report.unfixable}"
                )
