"""Waiting for tasks: woken by what comes up, wherever it comes up; holding nothing meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.jobs.lifecycle import hand_out as handing_out
from ami.jobs.lifecycle import lease_calls, openings, turns
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.hand_out import Crowded, wait_for_tasks
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.lifecycle.turns import Reach
from ami.jobs.models import Job
from ami.jobs.tests.world import ALICE, BASE_URL, BOB, World, lease_of
from ami.taskqueue import wakeups
from ami.taskqueue.tests.waiting import stopwatch, wait_for

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _only_wake_ups_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself within the time of a test, unless a lease ends."""
    monkeypatch.setattr(handing_out, "LOOK_AGAIN_SECONDS", 60.0)
    openings.forget_drained()


def reach(world: World) -> Reach:
    """Everything in the world's project."""
    return Reach([world.project.pk])


@contextmanager
def waiting(world: World, wanted: int = 5, seconds: float = 30.0) -> Iterator[list[ReservedTask]]:
    """BOB waits in a thread of his own; what he got is in the list when the block is over."""
    got: list[ReservedTask] = []

    def wait() -> None:
        try:
            got.extend(wait_for_tasks(reach(world), wanted, seconds, worker=BOB, base_url=BASE_URL))
        finally:
            connections.close_all()

    before = wakeups().count
    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(lambda: wakeups().count == before + 1)
    wait_for(lambda: not _others_are_at_work())
    yield got
    thread.join(20)
    assert not thread.is_alive(), "the waiter was not woken"


def _others_are_at_work() -> bool:
    """Whether there is a session but ours: the waiter has closed its own when it sleeps."""
    return bool(
        rows(
            """SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND backend_type = 'client backend'"""
        )
    )


def test_a_waiter_is_woken_when_a_job_is_published(world: World) -> None:
    job = world.job(3)
    with waiting(world) as got:
        run_job(job)
        world.dispatch(job)
    assert {task.job_id for task in got} == {job.pk}
    assert len(got) == 3


def test_a_waiter_is_woken_when_a_task_is_released(world: World) -> None:
    job = world.started_job(1)
    (task,) = world.reserve(job)
    with waiting(world) as got:
        lease_calls.release([lease_of(task)], ALICE)
    assert [one.image_id for one in got] == [task.image_id]


def test_a_waiter_gets_what_failed_when_its_pause_is_over(world: World, settings: Settings) -> None:
    settings.RETRY_BACKOFF_SECONDS = 0.3
    job = world.started_job(1)
    (task,) = world.reserve(job)
    with waiting(world) as got:
        world.post(job, [world.error(task)])
    assert [(one.image_id, one.attempt) for one in got] == [(task.image_id, 2)]


def test_a_waiter_looks_again_when_the_next_lease_ends(world: World, settings: Settings) -> None:
    settings.NATS_TASK_TTR = 1.0
    job = world.started_job(1)
    (task,) = world.reserve(job)
    with waiting(world) as got:
        pass
    assert [(one.image_id, one.attempt) for one in got] == [(task.image_id, 2)]


def test_a_waiter_is_woken_when_a_job_is_retried(world: World) -> None:
    job = world.started_job(1)
    (task,) = world.reserve(job)
    world.post(job, [world.error(task, retryable=False)])
    world.background.run()
    job.refresh_from_db()
    assert job.status == "FAILURE"
    with waiting(world) as got:
        retry_job(job)
        world.dispatch(job)
    assert [one.image_id for one in got] == [task.image_id]


def test_a_waiter_that_is_given_nothing_though_something_is_free_looks_less_and_less_often(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.started_job(3)
    settings.WORKER_MAX_LEASES = 0
    pauses: list[float] = []
    monkeypatch.setattr(handing_out, "_sleep", lambda _, seconds: pauses.append(seconds))
    there = iter([True] * 8)
    got = wait_for_tasks(
        reach(world), 1, 30, worker=BOB, base_url=BASE_URL, still_there=lambda: next(there, False)
    )
    assert got == []
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]


def test_who_waits_for_nothing_comes_back_empty_when_the_time_is_over(world: World) -> None:
    world.started_job(1)
    nothing: list[list[ReservedTask]] = []
    elsewhere = Reach([world.project.pk + 1])
    took = stopwatch(lambda: nothing.append(wait_for_tasks(elsewhere, 1, 0.2, worker=BOB, base_url=BASE_URL)))
    assert nothing == [[]]
    assert 0.2 <= took < 2


def test_what_is_there_already_is_handed_out_without_waiting(world: World) -> None:
    world.started_job(3)
    took = stopwatch(lambda: wait_for_tasks(reach(world), 2, 30, worker=BOB, base_url=BASE_URL))
    assert took < 2


def test_a_waiter_holds_no_database_connection(world: World) -> None:
    with waiting(world):
        wait_for(lambda: not _others_are_at_work())
        job = world.job(1)
        execute("UPDATE jobs_job SET name = 'x' WHERE id = %s", [job.pk])
        run_job(job)
        world.dispatch(job)
    assert connection.is_usable()


def test_a_client_that_hung_up_is_handed_nothing(world: World) -> None:
    job = world.started_job(2)
    got = wait_for_tasks(reach(world), 2, 30, worker=BOB, base_url=BASE_URL, still_there=lambda: False)
    assert got == []
    assert not Job.objects.get(pk=job.pk).tasks.filter(attempt__gt=0).exists()


def test_only_so_many_wait_at_once(world: World, settings: Settings) -> None:
    settings.LONG_POLL_MAX_WAITERS = 1
    with waiting(world):
        with pytest.raises(Crowded):
            wait_for_tasks(reach(world), 1, 30, worker=BOB, base_url=BASE_URL)
        job = world.job(1)
        run_job(job)
        world.dispatch(job)


def test_concurrent_claims_get_different_jobs(world: World) -> None:
    jobs = [world.started_job(1) for _ in range(4)]
    ids = [job.pk for job in jobs]
    claimed: list[int | None] = []
    barrier = threading.Barrier(4)

    def claim() -> None:
        try:
            barrier.wait(10)
            claimed.append(turns.claim(ids))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(claimed) == 4
    assert len(set(claimed)) >= 3, (
        "claims spread over jobs; two may meet when a row is held at that very moment"
    )


def test_a_claim_finds_a_job_though_its_row_is_held(world: World) -> None:
    job = world.started_job(1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Job.objects.select_for_update().get(pk=job.pk)
                held.set()
                done.wait(10)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        assert turns.claim([job.pk]) == job.pk
    finally:
        done.set()
        thread.join(10)
