"""`manage.py chaos_monkey`: break something on purpose, and say which check will heal it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ami.base.errors import AmiError
from ami.jobs.chaos import hints, killing, servers
from ami.jobs.chaos.errors import ChaosRefused, check_enabled
from ami.jobs.chaos.exhaust import ensure_stream, exhaust


class Command(BaseCommand):
    """Breaks one thing; refuses where `CHAOS_ENABLED` is off."""

    help = "Break something on purpose: lose Redis or queues, use up attempts, kill processes."

    def add_arguments(self, parser: CommandParser) -> None:
        """A subcommand each; underscores do as well as hyphens."""
        ways = parser.add_subparsers(dest="way", required=True, metavar="WAY")
        flush = ways.add_parser("flush", help="Lose everything in Redis, or the queues of all jobs.")
        flush.add_argument("server", choices=["redis", "nats"])
        delete = ways.add_parser("delete-stream", aliases=["delete_stream"], help="Lose the queue of a job.")
        _add_job(delete)
        uses = ways.add_parser(
            "exhaust-max-deliver",
            aliases=["exhaust_max_deliver"],
            help="Lease images in silence until their attempts are used up.",
        )
        _add_job(uses)
        uses.add_argument("--image-ids", "--image_ids", required=True, type=numbers, metavar="A,B,C")
        uses.add_argument(
            "--ensure-stream",
            "--ensure_stream",
            action="store_true",
            help="Dispatch the job first, if it has no queue.",
        )
        kill = ways.add_parser("kill-worker", aliases=["kill_worker"], help="SIGKILL a Celery child.")
        kill.add_argument("--name", default="", help="A process with this text in its command, instead.")
        kill.add_argument("--pid", type=int, help="This process of the installation.")
        kill.add_argument("--all", action="store_true", help="All that fit, if there are several.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, say what was done and what to watch. Raises CommandError: it ends with code 1."""
        try:
            check_enabled()
            for line in _WAYS[options["way"].replace("_", "-")](options):
                self.stdout.write(line)
        except AmiError as error:
            raise CommandError(error.message) from error


def _flush(options: dict[str, Any]) -> Iterator[str]:
    if options["server"] == "redis":
        lost = servers.flush_redis()
        yield f"Redis lost {lost:,} keys: pending sets, cache, and what Celery was asked for."
        yield hints.redis_lost()
        return
    jobs = servers.flush_nats()
    named = f" ({', '.join(map(str, jobs[:10]))}{', …' if len(jobs) > 10 else ''})" if jobs else ""
    yield f"NATS lost the queues of {len(jobs):,} jobs{named}; streams of others were left alone."
    yield hints.queue_lost()


def _delete_stream(options: dict[str, Any]) -> Iterator[str]:
    job_id = options["job_id"]
    if not servers.delete_stream(job_id):
        raise ChaosRefused(f"The job {job_id} has no queue.")
    yield f"The job {job_id} lost its queue."
    yield hints.queue_lost(job_id)


def _exhaust(options: dict[str, Any]) -> Iterator[str]:
    job_id, image_ids = options["job_id"], options["image_ids"]
    if options["ensure_stream"] and ensure_stream(job_id):
        yield f"The job {job_id} had no queue, so it was dispatched."
    yield hints.patience(len(image_ids))
    outcomes = exhaust(job_id, image_ids)
    for outcome in outcomes:
        how = f" ({outcome.error_code})" if outcome.error_code else ""
        state = outcome.status.name.lower()
        yield f"Image {outcome.image_id}: {state}{how} after {outcome.used} attempts."
    if not all(outcome.is_exhausted for outcome in outcomes):
        raise ChaosRefused("Not all of them could be exhausted: others were quicker, or hold them.")
    yield hints.exhausted(job_id)


def _kill(options: dict[str, Any]) -> Iterator[str]:
    choice = killing.Choice(options["name"], options["pid"], options["all"])
    for process in killing.kill(choice):
        yield f"Killed {process}"
    yield hints.killed()


_WAYS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "flush": _flush,
    "delete-stream": _delete_stream,
    "exhaust-max-deliver": _exhaust,
    "kill-worker": _kill,
}


def _add_job(parser: Any) -> None:
    parser.add_argument("--job-id", "--job_id", type=int, required=True, metavar="ID")


def numbers(text: str) -> list[int]:
    """Numbers between commas; raises ValueError, which the parser turns into a sentence."""
    return list(dict.fromkeys(int(part) for part in text.split(",")))
