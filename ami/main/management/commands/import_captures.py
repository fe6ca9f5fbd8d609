"""`import_captures`: makes a folder of images captures of a station."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ami.base.errors import AmiError
from ami.main.importing import import_folder
from ami.main.models import Deployment


class Command(BaseCommand):
    """Import images."""

    help = "Copies the JPEG and PNG files of a folder into the media storage, one capture each."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where from, where to, and how."""
        parser.add_argument("--deployment", type=int, required=True, help="Id of the station.")
        parser.add_argument("--folder", type=Path, required=True, help="Folder, with its subfolders.")
        parser.add_argument("--limit", type=int, help="At most so many new captures.")
        parser.add_argument(
            "--allow-unreadable", action="store_true", help="Keep damaged files as captures, too."
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--copy", action="store_true", help="Leave the originals alone (the default).")
        how.add_argument("--move", action="store_true", help="Delete each original once it is imported.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, say what happened."""
        deployment = Deployment.objects.filter(pk=options["deployment"]).first()
        if deployment is None:
            raise CommandError(f"There is no deployment {options['deployment']}.")
        try:
            report = import_folder(
                deployment=deployment,
                folder=options["folder"],
                limit=options["limit"],
                move=options["move"],
                allow_unreadable=options["allow_unreadable"],
            )
        except (AmiError, OSError) as error:
            raise CommandError(str(error)) from error
        for name, reason in report.broken:
            self.stderr.write(f"left out {name}: {reason}")
        self.stdout.write(
            f"{report.imported} imported ({report.without_time} without a time), "
            f"{report.already_there} already there, {len(report.broken)} damaged."
        )
