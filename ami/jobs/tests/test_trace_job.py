"""What a trace says of the job as a whole, with all servers there and with some of them away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import orjson
import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.embedded.nats import Nats
from ami.embedded.valkey import Valkey
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.runner import run_check
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job, JobTask
from ami.jobs.schedule import sync_schedule
from ami.jobs.tests.faults import delete_stream, flush_redis, lose_messages
from ami.jobs.tests.tracing import NOBODY, line, online_worker, places, words
from ami.jobs.tests.world import World
from ami.jobs.tracing import text_of, trace
from ami.jobs.tracing.phrases import moment, period, span
from ami.main.models import Project
from ami.ml.models import ProcessingService, WorkerInstance
from ami.taskqueue import TaskQueueManager
from ami.taskqueue.redis_client import shared_client

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def patient(world: World, settings: Settings) -> None:
    """The health checks are scheduled, as after every deployment; leases outlast the test."""
    settings.NATS_TASK_TTR, settings.RETRY_BACKOFF_SECONDS = 100, 60
    sync_schedule()


def waits_for(job: Job) -> str:
    """What the job waits for."""
    return trace(job.pk).waiting_for


def test_what_a_job_waits_for_from_its_beginning_to_its_end(world: World) -> None:
    job = world.job(3)
    assert waits_for(job) == "somebody who runs it: it was created and not submitted."
    run_job(job)
    asks = "the next dispatch check, within 15 s, asks for one."
    assert waits_for(job) == f"a dispatch, for the collecting of its captures; {asks}"
    world.dispatch(job)
    pipeline = world.pipeline.slug
    none = f"workers: none has registered the pipeline {pipeline} in this project"
    assert waits_for(job) == f"{none}; 3 images can be handed out."
    worker = online_worker(world)
    WorkerInstance.objects.update(online=False)
    ProcessingService.objects.update(last_seen_live=False)
    assert waits_for(job) == f"workers: none online for pipeline {pipeline}; 3 images can be handed out."
    WorkerInstance.objects.filter(pk=worker.pk).update(online=True)
    (first, *_) = world.reserve(job, 1)
    ask_more = "workers to ask for more: 2 images can be handed out; 1 worker online, 1 image leased."
    assert waits_for(job) == ask_more
    second, third = world.reserve(job)
    assert waits_for(job).startswith("answers of workers: 3 images leased, and the first lease ends 2")
    world.post(job, [world.success(first), world.success(second), world.error(third)])
    assert waits_for(job).startswith("the end of pauses: 1 image failed and may be tried again, ")
    world.expire(job, [third])
    (third,) = world.obtain(job, 1)
    world.post(job, [world.success(third)])
    assert waits_for(job) == "the saving of 3 accepted results in 2 inbox rows, 0 of them under way."
    world.background.run("save")
    world.background.run()
    job.refresh_from_db()
    assert waits_for(job).startswith("nothing: it ended as SUCCESS at 2")


def test_what_else_a_job_may_wait_for(world: World, settings: Settings) -> None:
    job = world.started_job(2)
    delete_stream(job)
    assert (
        waits_for(job)
        == "its queue: the queue is rebuilt from the ledger at the next dispatch check, within 15 s."
    )
    world.dispatch(job)
    lose_messages(job)
    assert waits_for(job).startswith("its queue: the queue is rebuilt once the dispatch check has seen")
    settings.DISPATCH_WINDOW = 0
    unpublished = world.started_job(2)
    asks = "the next dispatch check, within 15 s, asks for it."
    assert waits_for(unpublished) == f"the publishing of 2 images; {asks}"
    execute("UPDATE jobs_jobtask SET status = 4 WHERE job_id = %s", [unpublished.pk])
    assert waits_for(unpublished).startswith("its end to be noted")
    late = world.job(1, delay=600)
    run_job(late)
    assert waits_for(late).startswith("its start, which was put off until 2")


def test_a_cancelled_job_waits_for_what_was_accepted(world: World) -> None:
    job, _ = world.accepted_job(2)
    cancel_job(job.pk)
    assert waits_for(job) == "the saving of 2 accepted results; it ended as REVOKED."


def test_the_head_says_where_the_job_is(world: World) -> None:
    job = world.started_job(3)
    task, *_ = world.reserve(job, 2)
    world.post(job, [world.success(task)])
    worker = online_worker(world)
    assert line(job, "job") == f'{job.pk} "Job": STARTED, run 1, async_api'
    assert line(job, "images").startswith("3: 2 pending, 1 received, 0 processed, 0 failed, 0 cancelled; 0 ")
    assert line(job, "published") == "up to position 3, epoch 1"
    assert line(job, "dispatch") == "nobody is at it"
    assert line(job, "NATS") == (
        "stream with 3 messages; 1 not handed out yet, 2 handed out and unanswered, 0 of them more than once"
    )
    assert line(job, "Redis").startswith(
        "says 3 to process, 3 to save, 0 failed, 3 in all; the ledger says 2 "
    )
    assert line(job, "inbox").startswith("1 row, 0 being saved; the oldest waits for ")
    assert line(job, "workers").startswith(f"1 online for pipeline {world.pipeline.slug}: alice's gpu,")
    world.background.run()
    assert line(job, "Redis") == "agrees with the ledger: 2 to process, 2 to save, 0 failed, 3 in all"
    flush_redis()
    rebuilt = "rebuilt with the next progress, or at the next pending sets check, within 2 min"
    assert line(job, "Redis") == f"no pending sets; {rebuilt}"
    WorkerInstance.objects.filter(pk=worker.pk).update(last_seen=worker.last_seen - timedelta(minutes=5))
    assert line(job, "workers") == f"none online for pipeline {world.pipeline.slug}"
    execute("UPDATE jobs_job SET driver = 'abcdefghij', driver_until = now() - interval '5 s'")
    assert line(job, "dispatch").startswith("nobody is at it; the claim abcdefgh lapsed 2")


def test_the_head_says_when_the_checks_ran(world: World) -> None:
    job = world.started_job(1)
    assert line(job, "checks") == "inbox never, dispatch never, lost images never, pending sets never"
    run_check("lost_images")
    run_check("dispatch")
    assert re.fullmatch(
        r"inbox never, dispatch \d+ s ago, lost images \d+ s ago, pending sets never", line(job, "checks")
    )


def test_a_project_that_is_switched_off_is_named(world: World) -> None:
    job = world.started_job(1)
    online_worker(world)
    Project.objects.update(active=False)
    assert waits_for(job).startswith("its project is switched off (not active), so workers do not get its ")


def test_the_head_says_what_was_noticed(world: World) -> None:
    job = world.started_job(2)
    Job.objects.filter(pk=job.pk).update(diagnostics=["2 images were lost: 7, 8."])
    lose_messages(job)
    check_dispatch()
    check_dispatch()
    told = [text for label, text in trace(job.pk).head if label == "noticed"]
    assert told[0] == "2 images were lost: 7, 8."
    assert told[-1].endswith("The queue holds 0 messages for 2 waiting images: it is built anew.")


def test_without_nats_the_trace_says_so_and_goes_on(world: World, lonely_nats: Nats) -> None:
    job = world.started_job(4)
    held, over, accepted = world.reserve(job, 3)
    world.post(job, [world.success(accepted)])
    execute(
        "UPDATE jobs_jobtask SET leased_until = now() - interval '5 s' WHERE image_id = %s", [over.image_id]
    )
    lonely_nats.kill()
    found = trace(job.pk)
    told = {str(finding.place): (finding.where, finding.next) for finding in found.findings}
    after = "Once NATS answers, the next pull hands it out as attempt 1 of 3"
    assert told["published"] == (
        "Published; NATS does not say whether it still waits in the queue.",
        f"{after}; if its message was lost, the queue is rebuilt.",
    )
    again = (
        "Once NATS answers, the next pull redelivers it as attempt 2 of 3; a late result is taken as well."
    )
    assert told["lease ran out"][1] == again
    assert places(job) == {"published": 1, "leased": 1, "lease ran out": 1, "accepted": 1}
    assert line(job, "NATS").startswith("does not answer, so what stands in the queue is not known: ")
    assert line(job, "Redis").startswith("says 4 to process")
    assert found.waiting_for.startswith("NATS, and hands out nothing until then: ")
    assert "Leased by alice's gpu" in text_of(trace(job.pk, held.image_id))


def test_without_redis_the_trace_says_so_and_goes_on(
    world: World, own_valkey: Callable[[], Valkey], settings: Settings
) -> None:
    server = own_valkey()
    settings.REDIS_URL = server.url
    job = world.started_job(2)
    server.kill()
    assert line(job, "Redis").startswith("does not answer; work goes on without it: ")
    assert line(job, "NATS").startswith("stream with 2 messages")
    after = f"The next pull hands it out as attempt 1 of 3{NOBODY}."
    assert words(job) == [(2, "Waiting in the queue.", after)]


def test_a_trace_changes_nothing(world: World) -> None:
    job = world.started_job(4)
    first, second, _ = world.reserve(job, 3)
    world.post(job, [world.success(first), world.error(second)])

    def everything() -> list[object]:
        queue = TaskQueueManager()
        tables = (
            "jobs_job",
            "jobs_jobtask",
            "jobs_inboxentry",
            "jobs_attempt",
            "jobs_joblog",
            "jobs_jobstage",
        )
        client = shared_client()
        return [
            *(rows(f"SELECT * FROM {table} ORDER BY id") for table in tables),
            queue.consumer_state(job.pk, job.queue_epoch),
            queue.standing_tasks(job.pk, seconds=5),
            sorted(client.keys(f"job:{job.pk}:*")),
        ]

    before = everything()
    text_of(trace(job.pk))
    trace(job.pk, second.image_id)
    assert everything() == before
    assert [task.attempt for task in world.reserve(job)] == [1], "the last image is still to be had"


def test_many_images_in_one_place_are_counted(world: World) -> None:
    job = world.started_job(14)
    lines = text_of(trace(job.pk)).splitlines()
    ids = ", ".join(map(str, world.images(job)[:10]))
    assert lines[-2].startswith("  14 images: Waiting in the queue. The next pull hands it out as attempt 1")
    assert lines[-1] == f"      {ids} and 4 more"


def test_a_worker_cannot_play_with_the_terminal(world: World) -> None:
    job = world.started_job(1)
    world.reserve(job)
    JobTask.objects.filter(job=job).update(worker="evil\x1b[2J\nname")
    assert "Leased by evil name until" in text_of(trace(job.pk))


def test_the_command_prints_text_and_json(world: World) -> None:
    job = world.started_job(2)
    text, document = StringIO(), StringIO()
    call_command("trace_job", job.pk, stdout=text)
    assert f'job           {job.pk} "Job": STARTED' in text.getvalue()
    assert "waiting for   workers: none has registered" in text.getvalue()
    call_command("trace_job", job.pk, "--json", stdout=document)
    found = json.loads(document.getvalue())
    assert found["findings"][0]["place"] == "waiting in the queue"
    assert found["findings"][0]["images"] == world.images(job)
    assert found["facts"]["counts"]["pending"] == 2
    assert found["facts"]["queue"]["consumer"]["waiting"] == 2
    one = StringIO()
    call_command("trace_job", job.pk, "--image", world.first_image(job), "--json", stdout=one)
    assert orjson.loads(one.getvalue())["timeline"][0]["text"] == "The job was created."


def test_the_command_refuses_what_is_not_there(world: World) -> None:
    job = world.started_job(1)
    with pytest.raises(CommandError, match=r"There is no job 999999\."):
        call_command("trace_job", 999_999)
    with pytest.raises(CommandError, match=f"The job {job.pk} has no image 999999"):
        call_command("trace_job", job.pk, "--image", 999_999)


def test_times_are_told_as_people_read_them() -> None:
    now = datetime(2026, 6, 1, 22, 0, 5, tzinfo=UTC)
    assert moment(now + timedelta(seconds=5), now) == "2026-06-01 22:00:10 UTC (in 5 s)"
    assert moment(now - timedelta(hours=3), now) == "2026-06-01 19:00:05 UTC (3 h ago)"
    assert period(now, now, now) == "2026-06-01 22:00:05 UTC (0 s ago)"
    assert period(now, now + timedelta(minutes=5), now).endswith(" to 2026-06-01 22:05:05 UTC (in 5 min)")
    assert [span(seconds) for seconds in (0.4, 119, 7_000, 100_000, 10**6)] == [
        "0 s",
        "119 s",
        "117 min",
        "28 h",
        "12 days",
    ]
