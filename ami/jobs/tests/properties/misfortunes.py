"""What befalls servers and broker: outages, lost answers, lost data, lost requests, results gone bad."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ami.jobs.models import InboxEntry
from ami.jobs.states import TaskState
from ami.jobs.tests.properties.life import A_LONG_TIME, Life
from ami.jobs.tests.properties.spoiling import is_readable, spoil_body, spoil_first_item
from ami.jobs.tests.properties.twins import Trouble
from ami.taskqueue import QueueMissing, TaskMessage, TaskQueueManager

NUMBER = st.integers(0, 1)
IMAGES = st.sets(st.integers(0, 4), min_size=1, max_size=3)
TROUBLE = st.sampled_from([Trouble.NONE, *Trouble])
ANOTHER_COPY = 1_000_000
"""A `reopened` that no retry reaches: makes the message id of a surplus copy another one."""


class Loss(StrEnum):
    """What may be lost, or worse."""

    REQUESTS = "what Celery was asked for"
    STREAM = "a stream"
    CONSUMER = "the consumer of a stream"
    MESSAGES = "the oldest messages of a stream"
    REDIS = "all of Redis"
    COPIES = "messages are there twice"
    OLD_COPIES = "messages of the run before come back"
    RESULT = "an accepted result cannot be saved"
    RESULTS = "an inbox row cannot be read"


class Misfortunes(Life):
    """Rules of bad luck."""

    @precondition(lambda self: self.just != "time")
    @rule(seconds=st.sampled_from([A_LONG_TIME, A_LONG_TIME, 40.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        """Time goes by: a pause, some of a lease, or all of everything."""
        self.now = "time"
        self.pass_time(seconds)

    @precondition(lambda self: self.just != "trouble")
    @rule(nats=TROUBLE, redis=TROUBLE, broker=st.booleans(), lasts=st.integers(1, 3))
    def trouble_comes(self, nats: Trouble, redis: Trouble, broker: bool, lasts: int) -> None:
        """For some steps the servers do like this, and Celery can or cannot be asked for anything."""
        self.now = "trouble"
        self.servers.nats, self.servers.redis, self.celery.down = nats, redis, not broker
        self.trouble_lasts = lasts + 1

    @precondition(lambda self: self.jobs)
    @rule(loss=st.sampled_from(Loss), number=NUMBER, images=IMAGES, tag=st.integers(0, 2))
    def fate_strikes(self, loss: Loss, number: int, images: set[int], tag: int) -> None:
        """Something is lost, or comes back that was done with, or goes bad."""
        if loss is Loss.REQUESTS:
            self.celery.forget()
        elif loss is Loss.REDIS:
            self.tamper(self.servers.flush_redis)
        elif loss in (Loss.COPIES, Loss.OLD_COPIES):
            self._bring_back(number, images, tag, old=loss is Loss.OLD_COPIES)
        elif loss in (Loss.RESULT, Loss.RESULTS):
            self._spoil(number, whole=loss is Loss.RESULTS)
        else:
            self.lose_from_nats(number, loss, keep=tag)

    def lose_from_nats(self, number: int, loss: Loss, keep: int = 0) -> None:
        """NATS loses something of a job."""
        job = self.job(number)
        if self.in_trouble or not TaskQueueManager().exists(job.pk, job.queue_epoch):
            return
        losses: dict[Loss, Callable[[], object]] = {
            Loss.STREAM: lambda: TaskQueueManager().delete(job.pk),
            Loss.CONSUMER: lambda: self.servers.lose_consumer(job.pk, job.queue_epoch),
            Loss.MESSAGES: lambda: self.servers.lose_messages(job.pk, keep),
        }
        self.tamper(losses[loss])
        self.oracle.robbed.add((job.pk, job.queue_epoch))

    def _bring_back(self, number: int, images: set[int], tag: int, *, old: bool) -> None:
        """Surplus copies of messages, of this run or the one before, stand in the stream."""
        if self.in_trouble:
            return
        job = self.job(number)
        run = job.run - 1 if old and job.run > 1 else job.run
        copies = [TaskMessage(self.captures[i].pk, run, ANOTHER_COPY + tag) for i in sorted(images)]
        try:
            TaskQueueManager().publish(job.pk, job.queue_epoch, copies)
        except QueueMissing:
            return

    def _spoil(self, number: int, *, whole: bool) -> None:
        """An accepted result cannot be saved, or a whole inbox row cannot be read."""
        waiting = self._waiting()
        if not waiting:
            return
        entry = InboxEntry.objects.get(pk=waiting[number % len(waiting)])
        if not is_readable(entry):
            return
        if whole:
            spoil_body(entry)
        image_id = None if whole else spoil_first_item(entry)
        for row in self.oracle.view.rows.values():
            if row.accepted_in == entry.pk and row.image_id == (image_id or row.image_id):
                self.oracle.spoiled.add((row.job_id, row.image_id, row.run))

    def _waiting(self) -> list[int]:
        rows = self.oracle.view.rows.values()
        return sorted(
            {row.accepted_in for row in rows if row.accepted_in and row.status == TaskState.RECEIVED}
        )
