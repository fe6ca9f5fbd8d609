"""Celery's way in: the tasks, and the broker that may be away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import redis
from celery import current_app
from django.db import connection, connections

from ami.base.database import execute
from ami.embedded.valkey import Valkey
from ami.jobs import broker, tasks
from ami.jobs.models import InboxEntry
from ami.jobs.tests.world import World
from ami.taskqueue.tests.waiting import stopwatch, wait_for

pytestmark = pytest.mark.integration


def end_session_from_outside() -> None:
    """Have the server end this thread's idle session, as a restart does."""
    assert connection.connection is not None
    pid = connection.connection.info.backend_pid

    def end() -> None:
        execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        connections.close_all()

    other = threading.Thread(target=end)
    other.start()
    other.join(10)


def test_a_task_after_a_restart_of_the_database_works_at_once(world: World) -> None:
    job = world.started_job(2)
    world.post(job, [world.success(task) for task in world.reserve(job)])
    entry = InboxEntry.objects.get()
    end_session_from_outside()
    assert tasks.save.apply((entry.pk,)).successful()
    world.background.run()
    world.assert_ended_exactly(job, 2)


@pytest.fixture
def own_broker(own_valkey: Callable[[], Valkey], monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """A broker for this test alone."""
    server = own_valkey()
    monkeypatch.setitem(current_app.conf, "broker_write_url", server.url)
    monkeypatch.setattr(broker, "_down_until", 0.0)
    broker._forget_producer()
    yield server
    broker._forget_producer()


def send() -> bool:
    """Ask Celery for a refresh of a job that does not exist."""
    return tasks.CeleryDispatcher().refresh(1)


def test_work_goes_to_its_queue_and_never_waits_long_in_the_broker(own_broker: Valkey) -> None:
    celery = tasks.CeleryDispatcher()
    assert celery.save([1, 2])
    assert celery.refresh(3)
    assert celery.dispatch(4, delay=3_600)
    with redis.Redis.from_url(own_broker.url) as client:
        sent = {
            name: [json.loads(item) for item in client.lrange(name, 0, -1)] for name in ("results", "jobs")
        }
    assert [item["headers"]["task"] for item in sent["results"]] == ["jobs.refresh", "jobs.save", "jobs.save"]
    [dispatch] = sent["jobs"]
    waits = datetime.fromisoformat(dispatch["headers"]["eta"]) - datetime.now(UTC)
    assert waits.total_seconds() < 61


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_broker_that_is_away_costs_a_moment_then_nothing_and_then_heals(
    own_broker: Valkey, fault: str
) -> None:
    assert send()
    answers: list[bool] = []
    getattr(own_broker, fault)()
    assert stopwatch(lambda: answers.append(send())) < 1.0
    assert stopwatch(lambda: answers.append(send())) < 0.02
    assert answers == [False, False]
    own_broker.resume() if own_broker.running else own_broker.start()
    wait_for(send)
