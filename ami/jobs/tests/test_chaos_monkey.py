"""The chaos monkey breaks what it says and nothing else, and only where it may."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from ami.embedded.nats import Nats
from ami.jobs.chaos.errors import ChaosRefused
from ami.jobs.chaos.exhaust import Outcome, exhaust
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.models import Attempt, Job, JobTask
from ami.jobs.schedule import sync_schedule
from ami.jobs.states import TaskState
from ami.jobs.tests.faults import flush_redis
from ami.jobs.tests.world import BOB, World
from ami.taskqueue import AsyncJobStateManager, OpenLeases, TaskQueueManager
from ami.taskqueue.redis_client import shared_client
from ami.taskqueue.tests import raw
from config.checks import check_chaos
from config.settings.servers import redis_database

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def allowed(light_world: World, settings: Settings) -> None:
    """Things may be broken here."""
    settings.CHAOS_ENABLED = True
    sync_schedule()


def monkey(*arguments: str | int) -> str:
    """What the command prints."""
    printed = StringIO()
    call_command("chaos_monkey", *map(str, arguments), stdout=printed)
    return printed.getvalue()


def expiring(world: World, job: Job) -> list[Outcome]:
    """Exhaust the first image, with leases that run out at once."""
    image_id = world.first_image(job)
    return exhaust(job.pk, [image_id], let_run_out=lambda tasks: world.expire(job, tasks))


def test_it_refuses_where_it_is_switched_off(light_world: World, settings: Settings) -> None:
    settings.CHAOS_ENABLED = False
    job = light_world.started_job(1)
    with pytest.raises(CommandError, match="The chaos monkey is switched off here") as refusal:
        monkey("delete-stream", "--job-id", job.pk)
    assert refusal.value.returncode == 1
    assert light_world.standing(job) == 1


def test_a_deployment_that_allows_it_is_refused(settings: Settings) -> None:
    settings.DEBUG = False
    assert [message.id for message in check_chaos()] == ["ami.E006"]
    settings.CHAOS_ENABLED = False
    assert check_chaos() == []
    settings.CHAOS_ENABLED = settings.DEBUG = True
    assert check_chaos() == []


def test_flush_redis_loses_what_is_ours(light_world: World, settings: Settings) -> None:
    job = light_world.started_job(2)
    foreign = shared_client(redis_database(settings.REDIS_URL, 7))
    foreign.set("somebody's", "1")
    try:
        printed = monkey("flush", "redis")
        assert foreign.get("somebody's") == b"1"
    finally:
        foreign.delete("somebody's")
    assert not AsyncJobStateManager(job.pk).exists()
    assert "keys: pending sets, cache, and what Celery was asked for." in printed
    assert "asked for again by the next inbox check, within 15 s" in printed


def test_flush_nats_loses_our_queues_and_nobody_elses(light_world: World, lonely_nats: Nats) -> None:
    first, second = light_world.started_job(1), light_world.started_job(2)
    raw.create_stream(lonely_nats.url, "orders", "orders.*")
    printed = monkey("flush", "nats")
    assert f"NATS lost the queues of 2 jobs ({first.pk}, {second.pk}); streams of others were left" in printed
    assert "rebuilt from the ledger by the next dispatch check, within 15 s" in printed
    assert raw.js(lonely_nats.url, "STREAM.NAMES")["streams"] == ["orders"]
    check_dispatch()
    light_world.background.run("dispatch")
    assert [light_world.standing(job) for job in (first, second)] == [1, 2]


def test_a_server_that_is_away_is_named(light_world: World, lonely_nats: Nats) -> None:
    lonely_nats.kill()
    with pytest.raises(CommandError, match=r"NATS|queue"):
        monkey("flush", "nats")


@pytest.mark.parametrize("spelling", [("delete-stream", "--job-id"), ("delete_stream", "--job_id")])
def test_delete_stream_loses_one_queue(light_world: World, spelling: tuple[str, str]) -> None:
    job, other = light_world.started_job(1), light_world.started_job(1)
    assert f"Watch manage.py trace_job {job.pk}." in monkey(*spelling, job.pk)
    assert (light_world.standing(job), light_world.standing(other)) == (None, 1)
    with pytest.raises(CommandError, match=f"The job {job.pk} has no queue."):
        monkey(*spelling, job.pk)


def test_exhausting_uses_up_the_attempts_of_these_images_alone(light_world: World) -> None:
    job = light_world.started_job(6)
    held = light_world.reserve(job, 1, BOB)[0]
    image_id = light_world.images(job)[3]

    def run_out(tasks: object) -> None:
        leased = JobTask.objects.filter(job=job, leased_until__isnull=False).exclude(image_id=held.image_id)
        assert list(leased.values_list("image_id", flat=True)) == [image_id], "all others were given back"
        JobTask.objects.filter(job=job, image_id=image_id).update(leased_until=job.created_at)
        light_world.redeliver(tasks)  # type: ignore[arg-type]

    outcomes = exhaust(job.pk, [image_id], let_run_out=run_out)
    assert outcomes == [Outcome(image_id, TaskState.FAILED, "delivery_exhausted", 3)]
    attempts = Attempt.objects.filter(job=job)
    assert [(attempt.image_id, attempt.worker) for attempt in attempts] == [(image_id, "chaos monkey")] * 3
    others = JobTask.objects.filter(job=job).exclude(image_id=image_id)
    assert {task.attempt - task.released for task in others.exclude(image_id=held.image_id)} == {0}
    assert light_world.row(job, held.image_id).attempt == 1
    light_world.post(job, [light_world.success(held)], BOB)
    light_world.background.run()
    light_world.work_off(job)
    assert light_world.tally(job) == {"processed": 5, "failed": 1}


def test_attempts_that_are_used_already_are_not_needed_again(light_world: World) -> None:
    job = light_world.started_job(1)
    light_world.expire(job, light_world.reserve(job, 1, BOB))
    assert [outcome.used for outcome in expiring(light_world, job)] == [3]
    workers = Attempt.objects.filter(job=job).order_by("attempt").values_list("worker", flat=True)
    assert list(workers) == ["bob's gpu", "chaos monkey", "chaos monkey"]


def test_an_image_that_is_done_meanwhile_is_told_as_it_is(light_world: World) -> None:
    job = light_world.started_job(2)
    image_id = light_world.first_image(job)
    (task,) = light_world.reserve(job, 1, BOB)

    def answer(_: object) -> None:
        light_world.post(job, [light_world.success(task)], BOB)

    light_world.let_leases_run_out(job)
    light_world.redeliver([task])
    outcomes = exhaust(job.pk, [image_id], let_run_out=answer)
    assert [(outcome.status, outcome.is_exhausted) for outcome in outcomes] == [(TaskState.RECEIVED, False)]


def test_quotas_do_not_end_it(
    light_world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WORKER_MAX_LEASES = settings.HOLDER_MAX_LEASES = 2
    flush_redis()  # leases of other tests' monkeys, who have the same names
    job = light_world.started_job(7)
    last = light_world.images(job)[-1]
    outcomes = exhaust(job.pk, [last], let_run_out=lambda tasks: light_world.expire(job, tasks))
    assert outcomes[0].is_exhausted
    assert OpenLeases().counts(["chaos:1"]) == {"chaos:1": 0}, "what was given back counts for nobody"


def test_the_command_waits_until_real_leases_are_over(light_world: World, settings: Settings) -> None:
    settings.NATS_TASK_TTR, settings.NATS_MAX_DELIVER = 0.5, 2
    job = light_world.started_job(3)
    TaskQueueManager().delete(job.pk)
    image_id = light_world.images(job)[1]
    arguments = ("exhaust_max_deliver", "--job-id", job.pk, "--image-ids", image_id)
    with pytest.raises(CommandError, match=f"The job {job.pk} has no queue now; --ensure-stream disp"):
        monkey(*arguments)
    printed = monkey(*arguments, "--ensure-stream")
    assert f"The job {job.pk} had no queue, so it was dispatched." in printed
    assert f"Image {image_id}: failed (delivery_exhausted) after 2 attempts." in printed
    assert light_world.tally(job) == {"pending": 2, "failed": 1}


def test_exhausting_refuses_what_cannot_be(light_world: World) -> None:
    job = light_world.started_job(2)
    first, second = light_world.images(job)
    with pytest.raises(ChaosRefused, match="There is no job 999999"):
        exhaust(999_999, [first])
    with pytest.raises(ChaosRefused, match=f"The job {job.pk} has no image 999999"):
        exhaust(job.pk, [first, 999_999])
    (task,) = light_world.reserve(job, 1)
    light_world.post(job, [light_world.success(task)])
    with pytest.raises(ChaosRefused, match=f"The image {first} is received"):
        exhaust(job.pk, [first, second])
    cancel_job(job.pk)
    with pytest.raises(ChaosRefused, match=f"The job {job.pk} is REVOKED: it hands out nothing"):
        exhaust(job.pk, [second])
    with pytest.raises(CommandError, match="cannot be dispatched now"):
        monkey("exhaust-max-deliver", "--job-id", job.pk, "--image-ids", second, "--ensure-stream")
    with pytest.raises(CommandError, match="argument --image-ids"):
        monkey("exhaust-max-deliver", "--job-id", job.pk, "--image-ids", "first")


def test_when_it_is_stopped_others_have_their_images_back(light_world: World) -> None:
    job = light_world.started_job(3)

    def held() -> int:
        return JobTask.objects.filter(job=job, leased_until__isnull=False).count()

    def fail(_: object) -> None:
        assert held() == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exhaust(job.pk, [light_world.images(job)[-1]], let_run_out=fail)
    assert held() == 1
