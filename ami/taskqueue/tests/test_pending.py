"""The pending sets: changed at once or not at all, and missing is told apart from unreachable."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import redis

from ami.embedded.valkey import Valkey
from ami.taskqueue import PendingStateUnavailable, names
from ami.taskqueue.pending import AsyncJobStateManager, PendingUpdate, list_job_ids_with_state
from ami.taskqueue.redis_client import shared_client
from ami.taskqueue.tests.waiting import freeze, stopwatch

pytestmark = pytest.mark.integration

WEEK = 7 * 24 * 3600


@pytest.fixture
def sets(redis_client: redis.Redis, job_id: int) -> AsyncJobStateManager:
    return AsyncJobStateManager(job_id, redis_client)


def _keys(client: redis.Redis, job_id: int) -> set[str]:
    return {key.decode() for key in client.scan_iter(match=f"job:{job_id}:*")}


def test_the_state_lies_under_the_agreed_keys_and_does_not_stay_for_ever(
    sets: AsyncJobStateManager, redis_client: redis.Redis, job_id: int
) -> None:
    sets.initialize([1, 2, 3], total=4, failed=[4])
    process, results = names.pending_key(job_id, "process"), names.pending_key(job_id, "results")
    assert redis_client.smembers(process) == redis_client.smembers(results) == {b"1", b"2", b"3"}
    assert redis_client.smembers(names.failed_key(job_id)) == {b"4"}
    assert redis_client.get(names.total_key(job_id)) == b"4"
    total = redis_client.ttl(names.total_key(job_id))
    assert WEEK - 10 < total <= WEEK
    for key in (process, results, names.failed_key(job_id)):
        assert total < redis_client.ttl(key) < WEEK + 24 * 3600  # what expires first is the total


def test_a_rebuild_leaves_nothing_of_before_and_nothing_aside(
    sets: AsyncJobStateManager, redis_client: redis.Redis, job_id: int
) -> None:
    sets.initialize(range(1, 50), total=60, failed=range(50, 61))
    sets.rebuild(pending_process=[], pending_results=iter([7]), failed=[], total=60)
    assert sets.pending_ids("results") == {7}
    assert _keys(redis_client, job_id) == {names.pending_key(job_id, "results"), names.total_key(job_id)}


def test_readers_see_a_rebuild_as_a_whole_or_not_at_all(
    sets: AsyncJobStateManager, redis_url: str, job_id: int
) -> None:
    one, other = list(range(1, 3_001)), list(range(1, 1_001))
    sets.initialize(one, total=3_000)
    stop = threading.Event()
    seen: set[tuple[int, int, int]] = set()

    def look() -> None:
        reader = AsyncJobStateManager(job_id, redis.Redis.from_url(redis_url))
        while not stop.is_set():
            snapshot = reader.snapshot()
            assert snapshot is not None
            seen.add((snapshot.total, snapshot.process, snapshot.results))
        reader._client.close()

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(20):
        sets.initialize(other, total=1_000)
        sets.initialize(one, total=3_000)
    stop.set()
    reader.join()
    assert seen <= {(3_000, 3_000, 3_000), (1_000, 1_000, 1_000)}
    assert len(seen) == 2


def test_a_large_job_is_set_up_in_pieces_that_block_nobody(
    sets: AsyncJobStateManager, redis_client: redis.Redis
) -> None:
    redis_client.config_resetstat()
    redis_client.slowlog_reset()
    redis_client.config_set("slowlog-log-slower-than", 50_000)
    sets.initialize(range(1, 100_001), total=100_000)
    assert redis_client.slowlog_get() == []
    snapshot = sets.snapshot()
    assert snapshot is not None
    assert (snapshot.process, snapshot.results) == (100_000, 100_000)
    assert len(sets.pending_ids("results")) == 100_000


def test_parallel_updates_count_every_image_once(
    sets: AsyncJobStateManager, redis_client: redis.Redis, job_id: int
) -> None:
    sets.initialize(range(1, 1_001), total=1_000)
    updates: list[PendingUpdate] = []

    def work() -> None:
        own = AsyncJobStateManager(job_id, redis_client)
        for start in range(1, 1_001, 50):
            update = own.update("results", range(start, start + 50))
            assert update is not None
            updates.append(update)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    removed = [image for update in updates for image in update.newly_removed]
    assert sorted(removed) == list(range(1, 1_001))
    assert min(update.remaining for update in updates) == 0


def test_an_expiring_failed_set_is_never_left_without_an_end(
    sets: AsyncJobStateManager, redis_client: redis.Redis, job_id: int
) -> None:
    sets.initialize([1, 2], total=2)
    sets.update("process", [], failed=[1])
    assert redis_client.ttl(names.failed_key(job_id)) > 0


def test_jobs_with_anything_left_in_redis_are_found(lone_valkey: Valkey) -> None:
    client = shared_client(lone_valkey.url)
    AsyncJobStateManager(3, client).initialize([1], total=1)
    client.sadd(names.failed_key(5), 1)
    client.set("job:x:pending_images_total", 1)
    client.set("celery", 1)
    assert list_job_ids_with_state(client) == [3, 5]


CALLS: dict[str, Callable[[AsyncJobStateManager], object]] = {
    "initialize": lambda sets: sets.initialize([1], total=1),
    "update": lambda sets: sets.update("process", [1]),
    "settle_batch": lambda sets: sets.settle_batch([1], [1], []),
    "snapshot": lambda sets: sets.snapshot(),
    "pending_ids": lambda sets: sets.pending_ids("process"),
    "exists": lambda sets: sets.exists(),
    "delete": lambda sets: sets.delete(),
    "list": lambda sets: list_job_ids_with_state(sets._client),
}


def test_an_unreachable_redis_is_told_apart_from_a_missing_state(lone_valkey: Valkey) -> None:
    sets = AsyncJobStateManager(1, shared_client(lone_valkey.url))
    sets.initialize([1], total=1)
    lone_valkey.kill()
    for call in CALLS.values():
        with pytest.raises(PendingStateUnavailable):
            call(sets)
    lone_valkey.start()
    assert sets.exists()


@pytest.mark.parametrize("name", ["update", "snapshot", "exists"])
def test_a_frozen_redis_costs_half_a_second(lone_valkey: Valkey, name: str) -> None:
    sets = AsyncJobStateManager(1, shared_client(lone_valkey.url))
    sets.initialize([1], total=1)
    freeze(lone_valkey)

    def call() -> None:
        with pytest.raises(PendingStateUnavailable):
            CALLS[name](sets)

    assert stopwatch(call) < 1.0
    lone_valkey.resume()
    assert sets.exists()


def test_a_full_redis_refuses_without_breaking_the_caller(lone_valkey: Valkey) -> None:
    client = shared_client(lone_valkey.url)
    client.config_set("maxmemory", 1)
    with pytest.raises(PendingStateUnavailable):
        AsyncJobStateManager(1, client).initialize([1], total=1)


def test_after_a_flush_the_state_is_missing_and_updates_leave_no_trace(lone_valkey: Valkey) -> None:
    client = shared_client(lone_valkey.url)
    sets = AsyncJobStateManager(1, client)
    sets.initialize([1, 2], total=2)
    client.flushall()
    assert sets.update("process", [1]) is None
    assert sets.settle_batch([1], [1], [2]) is None
    assert sets.snapshot() is None
    assert not sets.exists()
    assert client.dbsize() == 0
