"""The next images to push: leased in the ledger, in the order of publishing, and only there.

`published_to` is how far this pass over the ledger has come. What failed or was given back behind it waits
for the next pass, which begins when this one has found the end.

Images on their last attempt come at the end of a pass, one by one and while nothing else is under way: one
that kills the service breaks off every request that is under way, and their images have attempts to lose.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from ami.base.database import execute, rows
from ami.base.failpoints import hit
from ami.jobs import ledger
from ami.jobs.ledger import LockedTask
from ami.jobs.lifecycle.advance import request_refresh
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.judging import FATAL, Verdict, failure_of, judge, silent_attempt
from ami.jobs.lifecycle.lease_calls import on_those_in_force
from ami.jobs.states import TaskState
from ami.main.addresses import addresses
from ami.taskqueue import Lease


@dataclass(frozen=True, slots=True)
class PushedImage:
    """One image in a service's hands."""

    lease: Lease
    url: str


Batch = Sequence[PushedImage]


def lease_seconds() -> float:
    """How long a pushed image is leased: for one request and its answer."""
    return float(settings.PUSH_REQUEST_SECONDS) + float(settings.PUSH_ANSWER_SECONDS)


class Batches:
    """Leases images of one job for one slice."""

    def __init__(self, claim: Claim, position: int, size: int) -> None:
        """`position`: where the pass stands in the ledger. `size`: images of one request."""
        self._claim = claim
        self._size = size
        self._ready: list[Batch] = []
        self._last_tried = 0
        self.position = position
        self.pass_over = False
        """Whether the end was found: what is left now waits for its time, or for the next pass."""

    def next(self, worker: Worker, *, undisturbed: bool) -> Batch | None:
        """The next batch, leased for `worker`; None when this pass has come to its end.

        After that only what is put back comes, and, if nothing else is under way (`undisturbed`), images on
        their last attempt.
        """
        while self._ready:
            if batch := still_held(self._ready.pop(0)):
                return batch
        return self._next_of_pass(worker) or (self._next_last_attempt(worker) if undisturbed else None)

    def _next_of_pass(self, worker: Worker) -> Batch | None:
        while not self.pass_over:
            found = self._free_rows(self.position, self._size, last_attempt=False)
            self.position = max((position for _, position in found), default=0)
            self.pass_over = not found
            if leased := self._lease([image for image, _ in found], worker):
                self._ready = leased[1:]
                return leased[0]
        return None

    def _next_last_attempt(self, worker: Worker) -> Batch | None:
        while found := self._free_rows(self._last_tried, 1, last_attempt=True):
            ((image, self._last_tried),) = found
            if leased := self._lease([image], worker):
                return leased[0]
        return None

    def _free_rows(self, behind: int, count: int, *, last_attempt: bool) -> list[tuple[int, int]]:
        """Image and position of the next free rows: fresh ones, or one that goes alone.

        One at a time, because the lease of the second would run while the first is worked on.
        """
        last = max(1, settings.NATS_MAX_DELIVER - 1)
        found = rows(_NEXT, [self._claim.job_id, behind, TaskState.PENDING, last, last_attempt, count])
        fresh = list(itertools.takewhile(lambda row: not row[2], found))
        return [(image, position) for image, position, _ in fresh or found[:1]]

    def put_back(self, batch: Batch) -> None:
        """Half of a batch that failed: it comes next."""
        self._ready.insert(0, batch)

    def give_up_the_rest(self) -> None:
        """Give back unused what was leased and is not under way."""
        for batch in self._ready:
            give_back(batch)
        self._ready = []

    def store_position(self) -> None:
        """Remember how far the pass came; the end of a pass is the beginning of the next."""
        execute(
            "UPDATE jobs_job SET published_to = %s WHERE id = %s AND driver = %s AND run = %s",
            [self.position, self._claim.job_id, self._claim.driver, self._claim.run],
        )

    def _lease(self, image_ids: Sequence[int], worker: Worker) -> list[Batch]:
        if not image_ids:
            return []
        job_id = self._claim.job_id
        with transaction.atomic():
            if not ledger.keep_job(job_id):
                return []
            tasks = list(ledger.lock(job_id, image_ids).values())
            urls = addresses([task.image_id for task in tasks], settings.EXTERNAL_BASE_URL.rstrip("/"))
            verdicts = {task.id: self._judge(task, urls) for task in tasks}
            chosen = [task for task in tasks if verdicts[task.id] in (Verdict.HAND_OUT, Verdict.LAST_CHANCE)]
            failures = [failure_of(verdicts[task.id], task) for task in tasks if verdicts[task.id] in FATAL]
            ledger.note_attempts(
                silent_attempt(task, lease_seconds()) for task in chosen if task.lease_ran_out
            )
            ledger.fail(failures)
            attempts = ledger.lease([task.id for task in chosen], worker=worker.name, seconds=lease_seconds())
            hit("push.before_lease")
        if failures:
            request_refresh(job_id)
        images = [
            (task, PushedImage(self._lease_of(task, attempts[task.id], worker), urls[task.image_id]))
            for task in chosen
        ]
        alone: list[Batch] = [[image] for task, image in images if task.used_attempts]
        together = [image for task, image in images if not task.used_attempts]
        return [*([together] if together else []), *alone]

    def _lease_of(self, task: LockedTask, attempt: int, worker: Worker) -> Lease:
        return Lease(task.job_id, task.run, task.image_id, attempt, worker.holder, None)

    def _judge(self, task: LockedTask, urls: dict[int, str]) -> Verdict:
        return judge(task, task.run, urls.get(task.image_id), settings.NATS_MAX_DELIVER)


def give_back(batch: Batch) -> None:
    """Give the leases of a batch back unused: the attempts do not count. Safe to run twice."""
    on_those_in_force([image.lease for image in batch], ledger.release)


def still_held(batch: Batch) -> Batch:
    """Lease a batch for another request; the images of it that are still ours. Safe to run twice."""
    by_lease = {image.lease: image for image in batch}
    held = on_those_in_force(list(by_lease), lambda ids: ledger.extend(ids, seconds=lease_seconds()))
    return [by_lease[lease] for lease in held]


def next_opening(job_id: int) -> float | None:
    """Seconds until the first pending image is free (0: now); None when none is pending."""
    pending, wait = rows(_OPENING, [job_id, TaskState.PENDING])[0]
    return max(0.0, float(wait or 0.0)) if pending else None


_NEXT = """SELECT image_id, position, attempt > released FROM jobs_jobtask
WHERE job_id = %s AND position > %s AND status = %s
    AND (leased_until IS NULL OR leased_until <= clock_timestamp())
    AND (not_before IS NULL OR not_before <= clock_timestamp())
    AND (attempt - released >= %s) = %s
ORDER BY position LIMIT %s"""

_OPENING = """SELECT count(*), EXTRACT(EPOCH FROM
    min(GREATEST(leased_until, not_before, clock_timestamp())) - clock_timestamp())::float8
FROM jobs_jobtask WHERE job_id = %s AND status = %s"""
