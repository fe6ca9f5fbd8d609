"""`manage.py sync_schedule`: carry the schedule of the code into the database; run it after `migrate`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ami.jobs.schedule import sync_schedule


class Command(BaseCommand):
    """Creates missing entries and follows changes of the code; keeps what operators changed."""

    help = "Write the periodic tasks into the database, keeping operators' changes."

    def handle(self, *args: Any, **options: Any) -> None:
        """Sync and print."""
        self.stdout.write(f"{sync_schedule()} entries created or changed")
