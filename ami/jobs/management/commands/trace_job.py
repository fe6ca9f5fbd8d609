"""`manage.py trace_job`: where every image of a job is, and what happens next."""

from __future__ import annotations

from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ami.jobs.models import Job
from ami.jobs.tracing import NotInJob, text_of, trace


class Command(BaseCommand):
    """Prints a trace; changes nothing, and works while NATS or Redis is away."""

    help = "Say where a job and each of its unfinished images are, and what will happen next."

    def add_arguments(self, parser: CommandParser) -> None:
        """The job; `--image ID` for the story of one image; `--json` for programs."""
        parser.add_argument("job", type=int, metavar="ID", help="Number of the job.")
        parser.add_argument("--image", type=int, metavar="ID", help="Tell the story of this image alone.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Trace and print. Raises CommandError, which ends with code 1, if there is no such job or image."""
        try:
            found = trace(options["job"], options["image"])
        except Job.DoesNotExist:
            raise CommandError(f"There is no job {options['job']}.") from None
        except NotInJob as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        else:
            self.stdout.write(text_of(found))
            self.stdout.write("\nWhat to do about it: docs/howto/operate/stuck-job.md")
