"""Open leases are counted per holder, and drop out by themselves when they end; so it is in the twin."""

from __future__ import annotations

import uuid

import pytest
import redis
import time_machine

from ami.embedded.valkey import Valkey
from ami.taskqueue import DeliveryRef, Lease, OpenLeases, PendingStateUnavailable
from ami.taskqueue.memory_leases import MemoryOpenLeases

pytestmark = pytest.mark.integration

Leases = OpenLeases | MemoryOpenLeases


def lease(image: int, attempt: int = 1, job: int = 7) -> Lease:
    """A lease on an image."""
    return Lease(job, 1, image, attempt, "service:1", DeliveryRef(job, 1, 1, image, 1, 1, 0))


@pytest.fixture(params=["memory", "redis"])
def leases(request: pytest.FixtureRequest) -> Leases:
    """The real ones and their twin; both judge by the time of day."""
    if request.param == "memory":
        return MemoryOpenLeases()
    return OpenLeases(request.getfixturevalue("redis_client"))


@pytest.fixture
def holder() -> str:
    """A holder that no other test knows."""
    return f"test:{uuid.uuid4().hex}"


def test_leases_count_until_they_are_answered(leases: Leases, holder: str) -> None:
    own = f"{holder}/1"
    leases.add([holder, own], [lease(1), lease(2), lease(3)], seconds=60)
    leases.add([holder], [lease(4)], seconds=60)
    leases.remove([holder, own], [lease(2)])
    assert leases.counts([holder, own, f"{holder}/2"]) == {holder: 3, own: 2, f"{holder}/2": 0}


def test_taking_or_returning_the_same_lease_twice_changes_nothing(leases: Leases, holder: str) -> None:
    for _ in range(2):
        leases.add([holder], [lease(1)], seconds=60)
    assert leases.counts([holder]) == {holder: 1}
    for _ in range(2):
        leases.remove([holder], [lease(1)])
    assert leases.counts([holder]) == {holder: 0}


def test_a_lease_that_ran_out_does_not_count_and_an_extended_one_does(leases: Leases, holder: str) -> None:
    with time_machine.travel("2026-06-01T12:00:00Z", tick=False) as traveller:
        leases.add([holder], [lease(1), lease(2)], seconds=10)
        traveller.shift(9)
        leases.add([holder], [lease(2)], seconds=10)
        traveller.shift(2)
        assert leases.counts([holder]) == {holder: 1}


def test_the_attempt_tells_leases_on_one_image_apart(leases: Leases, holder: str) -> None:
    leases.add([holder], [lease(1, attempt=2)], seconds=60)
    leases.remove([holder], [lease(1, attempt=1)])
    assert leases.counts([holder]) == {holder: 1}


def test_what_is_out_of_a_job_is_known_with_the_lease_that_ends_first(leases: Leases, holder: str) -> None:
    job, other = 10**9 + uuid.uuid4().int % 10**9, 10**9 - 1
    with time_machine.travel("2026-06-01T12:00:00Z", tick=False) as traveller:
        leases.add([holder], [lease(1, job=job), lease(2, job=job)], seconds=10)
        traveller.shift(4)
        leases.add([holder], [lease(3, job=job)], seconds=10)
        found = leases.of_jobs([job, other])
        assert found[job].images == 3
        assert found[job].first_ends_in == pytest.approx(6)
        assert (found[other].images, found[other].first_ends_in) == (0, None)
        leases.remove([holder], [lease(1, job=job), lease(2, job=job)])
        assert leases.of_jobs([job])[job].images == 1
        traveller.shift(11)
        assert leases.of_jobs([job])[job].images == 0
        assert leases.of_jobs([]) == {}


def test_a_holder_who_holds_nothing_any_more_leaves_nothing_behind(
    redis_client: redis.Redis, holder: str
) -> None:
    leases = OpenLeases(redis_client)
    leases.add([holder], [lease(1)], seconds=60)
    assert 60 < redis_client.ttl(f"leases:{holder}") <= 180
    leases.remove([holder], [lease(1)])
    assert not redis_client.exists(f"leases:{holder}")


def test_without_redis_the_caller_hears_it(lone_valkey: Valkey, holder: str) -> None:
    client = redis.Redis.from_url(lone_valkey.url, socket_timeout=0.5, socket_connect_timeout=0.5)
    lone_valkey.kill()
    with pytest.raises(PendingStateUnavailable):
        OpenLeases(client).counts([holder])
    client.close()
