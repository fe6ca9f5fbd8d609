"""pending sets: what Redis says is compared with the ledger, and written anew where it is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.embedded.valkey import Valkey
from ami.jobs.health import pending_sets
from ami.jobs.health.pending_sets import check_pending_sets
from ami.jobs.health.report import Report
from ami.jobs.models import Job
from ami.jobs.tests.faults import flush_redis
from ami.jobs.tests.faults import pending_sets as sets_of
from ami.jobs.tests.world import World
from ami.taskqueue.names import failed_key, pending_key, total_key
from ami.taskqueue.redis_client import shared_client

pytestmark = pytest.mark.integration


def half_done(world: World) -> Job:
    """A job of six: two processed, one failed, three open."""
    job = world.started_job(6)
    tasks = world.reserve(job, 3)
    world.post(job, [world.success(task) for task in tasks[:2]])
    world.post(job, [world.error(tasks[2], retryable=False)])
    world.background.run()
    execute("UPDATE jobs_jobtask SET finished_at = finished_at - interval '5 minutes'")
    assert len(sets_of(job)[1]) == 3
    return job


def test_an_index_in_order_stays_as_it_is(light_world: World) -> None:
    half_done(light_world)
    assert check_pending_sets() == Report(checked=1)


def spoil(job: Job) -> dict[str, Callable[[], object]]:
    """Ways to make the index wrong."""
    redis, results = shared_client(), pending_key(job.pk, "results")
    process = pending_key(job.pk, "process")
    return {
        "all is gone": flush_redis,
        "the total is wrong": lambda: redis.set(total_key(job.pk), 99),
        "an open image is missing": lambda: redis.spop(results),
        "a settled image is open": lambda: redis.sadd(results, _settled(job)),
        "a stranger is open": lambda: redis.sadd(results, 10**12),
        "one is missing and a stranger there": lambda: (redis.spop(results), redis.sadd(results, 10**12)),
        "more to process than to save": lambda: redis.sadd(process, 10**12, 10**12 + 1),
        "too many failed": lambda: redis.sadd(failed_key(job.pk), 10**12, 10**12 + 1),
    }


def _settled(job: Job) -> int:
    return int(job.tasks.filter(status=2).values_list("image_id", flat=True)[0])


@pytest.mark.parametrize("how", list(spoil(Job(pk=0))))
def test_an_index_that_is_wrong_is_written_anew(light_world: World, how: str) -> None:
    job = half_done(light_world)
    before = sets_of(job)
    spoil(job)[how]()
    assert check_pending_sets(dry_run=True) == Report(checked=1, fixed=1)
    assert check_pending_sets() == Report(checked=1, fixed=1)
    assert sets_of(job) == before
    assert check_pending_sets() == Report(checked=1)
    light_world.work_off(job)
    assert Job.objects.get(pk=job.pk).status == "SUCCESS"


def test_in_a_large_job_images_are_compared_by_number(
    light_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_sets, "COMPARED_ONE_BY_ONE", 2)
    job = half_done(light_world)
    assert check_pending_sets() == Report(checked=1)
    shared_client().spop(pending_key(job.pk, "results"))
    assert check_pending_sets() == Report(checked=1, fixed=1)


def test_an_index_that_has_not_heard_yet_of_an_outcome_is_not_wrong(light_world: World) -> None:
    job = light_world.started_job(4)
    tasks = light_world.reserve(job, 2)
    before = sets_of(job)
    light_world.post(job, [light_world.success(task) for task in tasks])
    light_world.background.run("save")
    light_world_sets = shared_client()
    light_world_sets.sadd(pending_key(job.pk, "results"), *before[1])
    assert check_pending_sets() == Report(checked=1)


def test_jobs_that_are_dispatched_or_ended_are_left_alone(light_world: World) -> None:
    job = half_done(light_world)
    flush_redis()
    execute("UPDATE jobs_job SET driver = 'x', driver_until = clock_timestamp() + interval '1 minute'")
    assert check_pending_sets() == Report()
    execute("UPDATE jobs_job SET driver = '', driver_until = NULL, status = 'REVOKED'")
    assert check_pending_sets() == Report()
    assert Job.objects.get(pk=job.pk).status == "REVOKED"


def test_without_redis_it_says_so_once(
    light_world: World, own_valkey: Callable[[], Valkey], settings: Settings
) -> None:
    half_done(light_world)
    half_done(light_world)
    server = own_valkey()
    settings.REDIS_URL = server.url
    server.stop()
    assert check_pending_sets() == Report(checked=1, unfixable=1)
