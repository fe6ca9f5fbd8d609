"""How fast pipelines are worked on: over the last minutes, per project, and forgotten after them."""

from __future__ import annotations

import pytest
import redis
import time_machine

from ami.embedded.valkey import Valkey
from ami.taskqueue import Pace, PendingStateUnavailable
from ami.taskqueue.pace import MINUTES

pytestmark = pytest.mark.integration

PROJECT = 10**9
"""One that no other test knows."""


def test_a_rate_is_what_was_done_over_the_last_minutes(redis_client: redis.Redis) -> None:
    pace = Pace(redis_client)
    with time_machine.travel("2027-06-01T12:00:00Z", tick=False) as traveller:
        pace.note(PROJECT, 1, 100)
        pace.note(PROJECT, 2, 5)
        traveller.shift(60)
        pace.note(PROJECT, 1, 50)
        rates = pace.rates()
        assert rates[PROJECT, 1] == pytest.approx(150 / (60 * MINUTES))
        assert rates[PROJECT, 2] == pytest.approx(5 / (60 * MINUTES))
        traveller.shift(60 * MINUTES)
        assert pace.rates()[PROJECT, 1] == pytest.approx(50 / (60 * MINUTES))
        traveller.shift(60)
        assert (PROJECT, 1) not in pace.rates()


def test_what_is_over_leaves_nothing_behind(redis_client: redis.Redis) -> None:
    Pace(redis_client).note(PROJECT, 1, 1)
    keys = list(redis_client.scan_iter(match="pace:*"))
    assert keys
    assert all(0 < redis_client.ttl(key) <= 60 * (MINUTES + 2) for key in keys)


def test_without_redis_the_caller_hears_it(lone_valkey: Valkey) -> None:
    client = redis.Redis.from_url(lone_valkey.url, socket_timeout=0.5, socket_connect_timeout=0.5)
    lone_valkey.kill()
    with pytest.raises(PendingStateUnavailable):
        Pace(client).rates()
    client.close()
