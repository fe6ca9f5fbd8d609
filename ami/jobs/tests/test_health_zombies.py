"""zombie streams: only what is old, of known age, and needed by no job is deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings
from structlog.testing import capture_logs

from ami.base import clock
from ami.embedded.nats import Nats
from ami.embedded.valkey import Valkey
from ami.jobs import transitions
from ami.jobs.health.zombies import check_zombies
from ami.jobs.lifecycle import cleanup
from ami.jobs.models import Job
from ami.jobs.tests.world import World
from ami.taskqueue import AsyncJobStateManager, StreamSnapshot, TaskQueueManager

pytestmark = pytest.mark.integration


@pytest.fixture
def own_streams(own_nats: Callable[[], Nats], own_valkey: Callable[[], Valkey], settings: Settings) -> None:
    """Servers with nothing of other tests in them."""
    settings.NATS_URL = own_nats().url
    settings.REDIS_URL = own_valkey().url


@pytest.fixture
def hours_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours from now."""
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(hours=2))


def ended(world: World) -> Job:
    """A job that was cancelled while NATS and Redis did not listen."""
    job = world.started_job(2)
    world.reserve(job, 1)
    transitions.cancel(job.pk)
    return job


@pytest.mark.usefixtures("own_streams", "hours_later")
class TestOld:
    """Streams that are two hours old."""

    def test_the_stream_and_the_keys_of_an_ended_job_go_and_the_log_says_so(self, light_world: World) -> None:
        job = ended(light_world)
        with capture_logs() as lines:
            report = check_zombies()
        assert (report.fixed, report.unfixable) == (1, 0)
        assert light_world.standing(job) is None
        assert not AsyncJobStateManager(job.pk).exists()
        line = next(line for line in lines if line["event"] == "health.zombie_stream")
        assert (line["job_id"], line["status"], line["age_minutes"]) == (job.pk, "REVOKED", 120)
        assert (line["redelivered"], line["consumer_deleted"], line["stream_deleted"]) == (0, True, True)
        assert check_zombies().fixed == 0

    def test_the_stream_of_a_job_that_is_gone_goes(self, light_world: World) -> None:
        job = ended(light_world)
        key = job.pk
        Job.objects.filter(pk=key).delete()
        assert check_zombies().fixed == 1
        assert TaskQueueManager().message_count(key) is None
        assert not AsyncJobStateManager(key).exists()

    def test_a_running_job_keeps_its_stream_however_old(self, light_world: World) -> None:
        job = light_world.started_job(2)
        assert check_zombies().fixed == 0
        assert light_world.standing(job) == 2

    def test_a_dry_run_deletes_nothing(self, light_world: World) -> None:
        job = ended(light_world)
        assert check_zombies(dry_run=True).fixed == 1 + 1, "a stream and a set of keys"
        assert light_world.standing(job) == 2

    def test_keys_alone_are_orphans_as_well(self, light_world: World) -> None:
        job = ended(light_world)
        TaskQueueManager().delete(job.pk)
        assert check_zombies().fixed == 1
        assert not AsyncJobStateManager(job.pk).exists()

    def test_a_job_that_was_retried_in_between_keeps_its_stream(
        self, light_world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = ended(light_world)
        clean_up = cleanup.clean_up

        def retried_first(job_id: int, run: int) -> bool:
            transitions.reopen(job_id, run)
            return clean_up(job_id, run)

        monkeypatch.setattr("ami.jobs.health.zombies.clean_up", retried_first)
        assert check_zombies().fixed == 0
        assert light_world.standing(job) == 2

    def test_a_stream_of_unknown_age_is_never_touched(
        self, light_world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = ended(light_world)
        AsyncJobStateManager(job.pk).delete()
        ageless = [StreamSnapshot(job.pk, f"job_{job.pk}", None, 2, 0, 1)]
        monkeypatch.setattr(TaskQueueManager, "list_streams", lambda self: ageless)
        report = check_zombies()
        assert (report.fixed, report.unfixable) == (0, 1)
        assert light_world.standing(job) == 2


@pytest.mark.usefixtures("own_streams")
def test_a_young_stream_is_left_to_its_clean_up(light_world: World) -> None:
    job = ended(light_world)
    report = check_zombies()
    assert (report.checked, report.fixed, report.unfixable) == (2, 0, 0)
    assert light_world.standing(job) == 2


def test_without_nats_or_redis_each_is_one_thing_that_cannot_be_fixed(
    light_world: World, own_nats: Callable[[], Nats], own_valkey: Callable[[], Valkey], settings: Settings
) -> None:
    nats, valkey = own_nats(), own_valkey()
    settings.NATS_URL, settings.REDIS_URL = nats.url, valkey.url
    nats.stop()
    valkey.stop()
    report = check_zombies()
    assert (report.checked, report.fixed, report.unfixable) == (0, 0, 2)
