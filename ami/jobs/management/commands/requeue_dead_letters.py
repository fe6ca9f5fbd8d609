"""`manage.py requeue_dead_letters`: have failed images done again, of one job or of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, QuerySet

from ami.base.api.fields import parse_key
from ami.jobs.lifecycle.requeue import Requeued, Selection, images_by_job, obstacle, requeue_each
from ami.jobs.models import DeadLetter, Job
from ami.jobs.states import ErrorCode
from ami.main.models import Project

BY = "manage.py requeue_dead_letters"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; None stands for any."""

    job: int | None
    images: frozenset[int]
    project: int | None
    code: str | None
    since: datetime | None

    @property
    def letters(self) -> QuerySet[DeadLetter]:
        """The dead letters that it names."""
        named = {
            "job_id": self.job,
            "image_id__in": self.images or None,
            "job__project_id": self.project,
            "error_code": self.code,
            "failed_at__gte": self.since,
        }
        given = {lookup: value for lookup, value in named.items() if value is not None}
        return DeadLetter.objects.filter(**given)

    @property
    def whole_jobs(self) -> bool:
        """Whether every dead letter of each job is meant."""
        return not self.images and self.code is None and self.since is None


class Command(BaseCommand):
    """Prints a line for each job: how many of its images are (or would be) done again, and why others not."""

    help = (
        "Have failed images done again, under the next run of their jobs. Only jobs that have ended take "
        "them. Exits with 1 if something was left as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which dead letters; what is given narrows, and at least one thing has to be."""
        parser.add_argument("--job", help="Of this job.")
        parser.add_argument("--image", nargs="+", action="extend", help="Only these captures of the job.")
        parser.add_argument("--project", help="Of the jobs of this project.")
        parser.add_argument("--code", help=f"Failed with this code: {', '.join(ErrorCode.values)}.")
        parser.add_argument("--since", help="Failed at or after this ISO time; UTC if it names no zone.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Change nothing, print what would be done."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, do, print. Raises CommandError for what makes no sense, and if something was left."""
        wanted = _wanted(options)
        selection = _selection(wanted)
        done = _foreseen(wanted, selection) if options["dry_run"] else requeue_each(selection, by=BY)
        left = sum(one.left for one in done)
        if done:
            self.stdout.write(_table(done, "would requeue" if options["dry_run"] else "requeued"))
        else:
            self.stdout.write("There are no such dead letters.")
        if missing := wanted.images - {image for images in selection.values() for image in images or ()}:
            numbers = ", ".join(map(str, sorted(missing)))
            raise CommandError(f"Not among the dead letters that you named: image {numbers}.")
        if left and not options["dry_run"]:
            raise CommandError(f"{_number(left, 'image')} left as {'it is' if left == 1 else 'they are'}.")


def _wanted(options: dict[str, Any]) -> Wanted:
    if not any(options[name] for name in ("job", "project", "code", "since")):
        raise CommandError("Say which dead letters: --job, --project, --code or --since, or several of them.")
    if options["image"] and not options["job"]:
        raise CommandError("--image needs --job: a capture may have failed in several jobs.")
    return Wanted(
        job=_existing(Job.objects.all(), "job", options["job"]),
        images=frozenset(_key("image", text) for text in options["image"] or ()),
        project=_existing(Project.objects.all(), "project", options["project"]),
        code=_code(options["code"]),
        since=_time(options["since"]),
    )


def _existing(rows: QuerySet[Any], name: str, text: str | None) -> int | None:
    if text is None:
        return None
    key = _key(name, text)
    if not rows.filter(pk=key).exists():
        raise CommandError(f"There is no {name} {key}.")
    return key


def _key(name: str, text: str) -> int:
    key = parse_key(text)
    if key is None:
        raise CommandError(f"--{name} wants a number, not {text!r}.")
    return key


def _code(text: str | None) -> str | None:
    if text is not None and text not in ErrorCode.values:
        raise CommandError(f"There is no error code {text!r}; there are {', '.join(ErrorCode.values)}.")
    return text


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--since wants an ISO time such as 2026-06-01T22:00, not {text!r}.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _selection(wanted: Wanted) -> Selection:
    if wanted.whole_jobs:
        return dict.fromkeys(wanted.letters.order_by().values_list("job_id", flat=True).distinct())
    return images_by_job(wanted.letters.order_by())


def _foreseen(wanted: Wanted, selection: Selection) -> list[Requeued]:
    """What requeueing would do now, as far as one can tell."""
    counted = wanted.letters.order_by().values_list("job_id").annotate(count=Count("pk"))
    counts: dict[int, int] = dict(counted)
    found = []
    for job in Job.objects.filter(pk__in=selection).order_by("pk"):
        count, why = counts.get(job.pk, 0), obstacle(job)
        found.append(Requeued(job.pk, 0 if why else count, count if why else 0, why))
    return found


def _table(done: Sequence[Requeued], doing: str) -> str:
    lines = [("job", doing, "left", ""), *_lines(done)]
    images, left = sum(one.images for one in done), sum(one.left for one in done)
    lines.append(("all", f"{images:,}", f"{left:,}", ""))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.rjust(width) for cell, width in zip(line, widths, strict=False)), line[3]]).rstrip()
        for line in lines
    )


def _lines(done: Sequence[Requeued]) -> Iterable[tuple[str, str, str, str]]:
    return ((str(one.job_id), f"{one.images:,}", f"{one.left:,}", one.why) for one in done)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
