"""`manage.py run_health`: run the health checks now, also when the broker or beat is down."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ami.jobs.health.report import Report
from ami.jobs.health.runner import CHECKS, run_check


class Command(BaseCommand):
    """Runs all checks, or the one that is named, and prints what each did."""

    help = "Run the health checks of jobs now."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--check NAME` runs one; `--dry-run` only looks."""
        parser.add_argument("--check", choices=sorted(CHECKS), help="Run only this check.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be repaired.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run and print."""
        unfixable = 0
        for name in [options["check"]] if options["check"] else CHECKS:
            report = run_check(name, dry_run=options["dry_run"])
            unfixable += report.unfixable
            self.stdout.write(f"{name}: {_words(report, options['dry_run'])}")
        if unfixable:
            self.stdout.write("What to do: docs/howto/operate/warnings.md, health checks")


def _words(report: Report, dry_run: bool) -> str:
    if report.skipped:
        return "another process is running it"
    if report.error:
        return f"failed: {report.error}"
    verb = "would fix" if dry_run else "fixed"
    return f"checked {report.checked}, {verb} {report.fixed}, unfixable {report.unfixable}"
