"""Random lives of a job: whatever happens in whatever order, nothing is lost, doubled or forgotten.

Each seed is one life: workers that die, repeat themselves and come late, servers that lose everything, savers
that stop at any step. After every step the invariants hold; when the faults are over, the job ends exactly.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import rows
from ami.base.failpoints import FailpointRaised, arm
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.inbox import check_inbox
from ami.jobs.invariants import Watch, check
from ami.jobs.lifecycle import lease_calls
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.lifecycle.retry import retry_failed, retry_job
from ami.jobs.models import Attempt, InboxEntry, Job, JobTask
from ami.jobs.tests.faults import (
    delete_consumer,
    flush_redis,
    lose_claims,
    lose_messages,
    publish_copies,
)
from ami.jobs.tests.world import ALICE, BOB, World, lease_of
from ami.ml.models import Classification, Detection
from ami.taskqueue import TaskQueueManager
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration

SEEDS = int(os.environ.get("AMI_CHAOS_SEEDS", "6"))
STEPS = 40
IMAGES = 8
POINTS = [
    "save.claimed",
    "save.after_predictions",
    "save.before_commit",
    "save.after_commit",
    "advance.after_pending",
    "advance.after_projection",
    "acknowledge.before",
    "acknowledge.after",
    "finish.before_update",
    "finish.before_cleanup",
    "publish.after_epoch",
    "publish.first",
    "receive.before_commit",
    "reserve.before_commit",
    "reserve.after_commit",
]


class Life:
    """A job, everybody who ever got one of its images, and chance."""

    def __init__(self, world: World, seed: int) -> None:
        """A started job."""
        self.world = world
        self.chance = random.Random(seed)
        self.job = world.started_job(IMAGES, shuffle=True)
        self.held: list[tuple[ReservedTask, bool]] = []
        self.done_before: set[tuple[int]] = set()
        self.watch = Watch([self.job.pk])
        self.story: list[str] = []

    def steps(self) -> dict[Callable[[], object], int]:
        """What may happen, and how often."""
        return {
            self.reserve: 8,
            self.succeed: 8,
            self.fail: 3,
            self.save: 6,
            self.expire: 3,
            self.give_back: 1,
            self.check: 3,
            self.refresh: 1,
            self.flush: 1,
            self.delete_stream: 1,
            self.delete_consumer: 1,
            self.lose_some: 1,
            self.copy: 1,
            self.dispatch: 1,
            self.cancel: 1,
            self.retry: 2,
        }

    def step(self) -> None:
        """Let one thing happen, perhaps stopped half-way, and look at what it left."""
        steps = self.steps()
        what = self.chance.choices(list(steps), list(steps.values()))[0]
        point = self.chance.choice(POINTS) if self.chance.random() < 0.3 else "nowhere"
        self.story.append(f"{getattr(what, '__name__', what)} until {point}")
        with arm(point):
            try:
                what()
            except FailpointRaised:
                self.story[-1] += " (stopped)"
        self.look()

    def reserve(self) -> None:
        """Somebody takes a few images."""
        first = self.chance.random() < 0.5
        tasks = self.world.reserve(self.job, self.chance.randint(1, 4), ALICE if first else BOB)
        self.held += [(task, first) for task in tasks]

    def some(self) -> list[tuple[ReservedTask, bool]]:
        """A few images that somebody got, now or long ago, all of one worker."""
        if not self.held:
            return []
        mine = self.chance.choice(self.held)[1]
        own = [pair for pair in self.held if pair[1] is mine]
        return self.chance.choices(own, k=self.chance.randint(1, 4))

    def succeed(self) -> None:
        """A worker posts results."""
        if chosen := self.some():
            items = [self.world.success(task) for task, _ in chosen]
            self.world.post(self.job, items, ALICE if chosen[0][1] else BOB)

    def fail(self) -> None:
        """A worker posts errors."""
        if chosen := self.some():
            items = [self.world.error(task, retryable=self.chance.random() < 0.8) for task, _ in chosen]
            self.world.post(self.job, items, ALICE if chosen[0][1] else BOB)

    def save(self) -> None:
        """One saver runs."""
        self.world.background.run("save")

    def expire(self) -> None:
        """All leases run out."""
        self.world.expire(self.job, [task for task, _ in self.held])

    def give_back(self) -> None:
        """A worker extends one lease and gives back another."""
        for task, _ in self.some():
            lease_calls.extend([lease_of(task)], ALICE)
            lease_calls.release([lease_of(task)], ALICE)

    def check(self) -> None:
        """The health checks run, a minute later."""
        lose_claims()
        check_inbox()
        check_dispatch()

    def refresh(self) -> None:
        """Trailing refreshes run."""
        self.world.background.run("refresh")

    def flush(self) -> None:
        """Redis loses everything."""
        flush_redis()

    def delete_stream(self) -> None:
        """NATS loses the stream."""
        TaskQueueManager().delete(self.job.pk)

    def delete_consumer(self) -> None:
        """NATS loses the consumer."""
        self.job.refresh_from_db()
        if TaskQueueManager().exists(self.job.pk, self.job.queue_epoch):
            delete_consumer(self.job)

    def lose_some(self) -> None:
        """NATS loses messages."""
        if self.world.standing(self.job):
            lose_messages(self.job, keep=self.chance.randint(0, IMAGES))

    def copy(self) -> None:
        """NATS brings messages back."""
        images = list(JobTask.objects.filter(job=self.job).values_list("image_id", flat=True))
        if self.world.standing(self.job) is not None:
            tag = self.chance.randint(10_000, 1_000_000)
            publish_copies(self.job, self.chance.sample(images, 2), run=self.job.run, tag=tag)

    def dispatch(self) -> None:
        """What was asked for is dispatched."""
        self.world.background.run("dispatch")

    def cancel(self) -> None:
        """A person cancels the job."""
        if self.chance.random() < 0.3:
            cancel_job(self.job.pk)

    def retry(self) -> None:
        """A person repeats the job, if it ended."""
        job = Job.objects.get(pk=self.job.pk)
        (retry_failed if self.chance.random() < 0.3 else retry_job)(job)
        self.world.background.dispatch(job.pk)

    def look(self) -> None:
        """The invariants."""
        assert check([self.job.pk]) == self.watch.look() == []
        tally = self.world.tally(self.job)
        assert sum(tally.values()) == IMAGES, "the total neither grows nor shrinks"
        processed = set(
            rows("SELECT image_id FROM jobs_jobtask WHERE job_id = %s AND status = 2", [self.job.pk])
        )
        assert processed >= self.done_before, "what is done stays done"
        self.done_before = processed
        assert Detection.objects.count() == Classification.objects.count() == 2 * len(processed)

    def end(self) -> None:
        """The faults are over: workers work, checks run, and the job ends.

        It may have to wait for messages that died with a reservation: their time in the queue has to pass.
        """
        wait_for(self.in_order, seconds=15)

    def in_order(self) -> bool:
        """A round in which everybody does their part; whether the job ended."""
        self.expire()
        self.check()
        self.world.background.run()
        self.held += [(task, True) for task in self.world.reserve(self.job, IMAGES)]
        self.world.post(self.job, [self.world.success(task) for task, alice in self.held if alice])
        self.world.background.run()
        self.job.refresh_from_db()
        return self.job.is_final


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_random_life_ends_exactly(light_world: World, settings: Settings, seed: int) -> None:
    settings.RETRY_BACKOFF_SECONDS = 0.0
    settings.NATS_TASK_TTR = 0.5
    life = Life(light_world, seed)
    try:
        for _ in range(STEPS):
            life.step()
        life.end()
        life.world.background.run()
        life.look()
    except Exception as error:
        raise AssertionError(f"seed {seed}: " + "; ".join(life.story)) from error
    job = Job.objects.get(pk=life.job.pk)
    tally = light_world.tally(job)
    figures = light_world.figures(job)
    assert figures["captures"] == tally.get("processed", 0)
    assert figures["failed"] == tally.get("failed", 0)
    assert figures["detections"] == 2 * tally.get("processed", 0)
    assert not InboxEntry.objects.exists()
    assert check(at_rest=True) == []
    exhausted = JobTask.objects.filter(job=job, error_code="delivery_exhausted")
    assert Attempt.objects.filter(image_id__in=exhausted.values("image_id")).count() >= exhausted.count()
