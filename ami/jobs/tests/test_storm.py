"""Everybody at once: workers, savers, dispatchers, checks and wipes in threads of their own, on one job."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from ami.jobs import dispatcher as dispatching
from ami.jobs.health.runner import run_all
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.models import Job
from ami.jobs.states import JobState
from ami.jobs.tests.faults import flush_redis
from ami.jobs.tests.world import ALICE, BOB, World
from ami.ml.workers import SignOfLife
from ami.taskqueue import TaskQueueManager
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration

IMAGES = 150


class Crew:
    """Threads that do background work as it is asked for, and whatever else they are told, until it stops."""

    def __init__(self) -> None:
        """Nobody yet."""
        self.todo: queue.Queue[tuple[Callable[[int], object], int]] = queue.Queue()
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def dispatch(self, job_id: int, *, delay: float = 0) -> bool:
        """Have a job dispatched; now, whatever the delay."""
        self.todo.put((dispatch_job, job_id))
        return True

    def save(self, inbox_ids: list[int]) -> bool:
        """Have inbox rows saved; a broker delivers at least once, and now and then twice."""
        for inbox_id in inbox_ids:
            for _ in range(random.choice([1, 1, 2])):
                self.todo.put((save_inbox_row, inbox_id))
        return True

    def refresh(self, job_id: int, *, delay: float = 0) -> bool:
        """Have a job refreshed."""
        self.todo.put((refresh_job, job_id))
        return True

    def work_off(self) -> None:
        """Do the next thing that was asked for."""
        try:
            verb, key = self.todo.get(timeout=0.01)
        except queue.Empty:
            return
        verb(key)

    def employ(self, work: Callable[[], object]) -> None:
        """A thread that repeats `work` until the crew stops."""

        def repeat() -> None:
            try:
                while not self.over.is_set():
                    work()
            except BaseException as error:  # noqa: BLE001 - whatever it was, the test must hear of it
                self.failures.append(error)
                self.over.set()
            finally:
                connections.close_all()

        thread = threading.Thread(target=repeat)
        thread.start()
        self._threads.append(thread)

    def seen(self, sign: SignOfLife) -> bool:
        """Nobody looks at it here."""
        return True

    def stop(self) -> None:
        """Everybody goes home."""
        self.over.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), "a thread does not come back"


@contextmanager
def crew() -> Iterator[Crew]:
    """A crew that does the platform's background work while the block runs."""
    made = Crew()
    before = dispatching.install(made)
    try:
        yield made
    finally:
        made.stop()
        if before is not None:
            dispatching.install(before)


def work(world: World, job: Job, who: Worker) -> None:
    """A worker takes images, and dies with them, posts their results, or posts them twice."""
    tasks = world.reserve(Job.objects.get(pk=job.pk), random.randint(1, 12), who)
    fate = random.random()
    if fate < 0.15:
        return
    post = [world.success(task) for task in tasks]
    random.shuffle(post)
    for _ in range(2 if fate < 0.3 else 1):
        world.post(job, post, who)


def wipe(job: Job, over: threading.Event) -> None:
    """Two or three times a second, Redis or NATS loses everything."""
    if over.wait(random.uniform(0.2, 0.5)):
        return
    if random.random() < 0.5:
        flush_redis()
    else:
        TaskQueueManager().delete(job.pk)


def check(over: threading.Event) -> None:
    """Ten times a second, the health checks run."""
    if not over.wait(0.1):
        run_all()


def test_a_job_in_a_storm_ends_exactly_and_nobody_meets_an_error(world: World, settings: Settings) -> None:
    settings.NATS_TASK_TTR = 0.5
    settings.NATS_MAX_DELIVER = 20
    settings.DISPATCH_WINDOW = 60
    settings.PROGRESS_INTERVAL_SECONDS = 0.05
    settings.INBOX_RETRY_SECONDS = 0.0
    job = world.started_job(IMAGES, shuffle=True)

    def ended(failures: list[BaseException]) -> bool:
        status = Job.objects.values_list("status", flat=True).get(pk=job.pk)
        return status == JobState.SUCCESS or bool(failures)

    with crew() as hands:
        duties: list[Callable[[], object]] = [
            partial(work, world, job, ALICE),
            partial(work, world, job, BOB),
            *[hands.work_off] * 3,
            partial(check, hands.over),
            partial(wipe, job, hands.over),
        ]
        for duty in duties:
            hands.employ(duty)
        wait_for(lambda: ended(hands.failures), seconds=60)
        wait_for(lambda: hands.todo.empty() or hands.failures)
    assert hands.failures == []
    TaskQueueManager().delete(job.pk)
    world.background.refresh(job.pk)
    world.background.run()
    world.assert_ended_exactly(job, IMAGES)
