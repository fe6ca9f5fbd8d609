"""Jobs that are pushed to a service: the right images fail for the right reasons, the rest is exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import execute
from ami.embedded.nats import Nats
from ami.jobs import transitions
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.inbox import check_inbox
from ami.jobs.health.lost_images import check_lost_images
from ami.jobs.health.stalled import check_stalled
from ami.jobs.lifecycle import catalogue, claims
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.collect import collect_chunk
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.push import push_slice
from ami.jobs.lifecycle.retry import retry_failed, retry_job
from ami.jobs.models import Attempt, Job, JobTask
from ami.jobs.tests.faults import bring_back, killed_at, lose_claims, together
from ami.jobs.tests.push_service import BOXES, PushService, push_service
from ami.jobs.tests.tracing import the_words
from ami.jobs.tests.world import World
from ami.jobs.tracing import trace
from ami.main.models import SourceImage
from ami.ml.models import Algorithm, Classification, Detection, ProcessingService
from ami.ml.pipeline_configs import forget_configs
from ami.taskqueue import AsyncJobStateManager, TaskQueueManager

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    """Short times, small batches, and this machine may be called."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.PUSH_BATCH_SIZE = 4
    settings.PUSH_REQUEST_SECONDS = 5.0
    settings.RETRY_BACKOFF_SECONDS = 0.0
    forget_configs()


@pytest.fixture
def pushing(world: World) -> Iterator[PushService]:
    """The world's project switched pull workers off; a service offers its pipeline."""
    with push_service(world.pipeline.slug) as there:
        enlist(world, there)
        yield there


def enlist(world: World, there: PushService, **fields: Any) -> ProcessingService:
    """Make a service one of the world's."""
    world.project.flags = {"async_pipeline_workers": False}
    world.project.save()
    row = ProcessingService.objects.create(
        name="GPU", endpoint_url=there.url, **({"last_seen_live": True, "last_seen_latency": 0.1} | fields)
    )
    row.projects.add(world.project)
    row.pipelines.add(world.pipeline)
    return row


def pushed_job(world: World, images: int, **fields: Any) -> Job:
    """A submitted job."""
    job = world.job(images, **fields)
    assert job.dispatch_mode == "sync_api"
    run_job(job)
    return job


def captures_of(job: Job) -> list[int]:
    """The captures that a job will work on, by id."""
    captures = SourceImage.objects.filter(capture_sets=job.source_image_collection_id)
    return list(captures.order_by("pk").values_list("pk", flat=True))


def run_out(world: World, job: Job, slices: int = 20) -> None:
    """Slices until the job has ended; pauses between them do not last."""
    for _ in range(slices):
        lose_claims()
        dispatch_job(job.pk)
        world.background.run("save")
        world.background.run("refresh")
        job.refresh_from_db()
        if job.is_final:
            return
    raise AssertionError(f"job {job.pk} is {job.status} after {slices} slices: {world.tally(job)}")


def assert_exact(world: World, job: Job, processed: int, boxes: int | None = None) -> None:
    """What was processed is saved once and counted once; nothing of it is in NATS or Redis."""
    wanted = processed * BOXES if boxes is None else boxes
    assert Detection.objects.real().filter(job_id=job.pk).count() == wanted
    assert Classification.objects.filter(detection__job_id=job.pk).count() == wanted
    figures = world.figures(job)
    assert (figures["captures"], figures["detections"], figures["classifications"]) == (
        processed,
        wanted,
        wanted,
    )
    assert TaskQueueManager().message_count(job.pk) is None
    assert not AsyncJobStateManager(job.pk).exists()


def errors(job: Job) -> dict[int, tuple[str, str]]:
    """Code and text of each failed image."""
    failed = JobTask.objects.filter(job=job, status=3)
    return {task.image_id: (task.error_code, task.error_text) for task in failed}


def test_a_job_runs_to_its_end_without_nats_and_redis(
    lonely_nats: Nats, world: World, pushing: PushService
) -> None:
    job = pushed_job(world, 10)
    lonely_nats.kill()
    run_out(world, job)
    bring_back(lonely_nats)
    assert (job.status, world.tally(job)) == ("SUCCESS", {"processed": 10})
    assert_exact(world, job, 10)
    assert sorted(map(len, pushing.requests)) == [2, 4, 4]
    body = pushing.bodies[0]
    assert list(body) == ["pipeline", "source_images", "detections", "config"]
    assert (body["detections"], body["config"]) == ([], {})
    assert {task.worker for task in JobTask.objects.filter(job=job)} == {"GPU"}


def test_the_pipelines_settings_travel_and_choose_the_size_of_a_request(
    world: World, pushing: PushService
) -> None:
    world.pipeline.default_config = {"request_source_image_batch_size": 3, "threshold": 0.1}
    world.pipeline.save()
    world.pipeline.project_pipeline_configs.update(config={"threshold": 0.7})
    run_out(world, pushed_job(world, 6))
    assert sorted(map(len, pushing.requests)) == [3, 3]
    assert pushing.bodies[0]["config"] == {"request_source_image_batch_size": 3, "threshold": 0.7}


def test_several_requests_are_under_way_and_no_more_than_allowed(
    world: World, pushing: PushService, settings: Settings
) -> None:
    settings.PUSH_REQUESTS_AT_ONCE = 3
    pushing.hold.clear()
    job = pushed_job(world, 24)

    def let_go() -> None:
        for _ in range(3):
            assert pushing.came.acquire(timeout=10)
        pushing.hold.set()

    together(lambda: run_out(world, job), let_go)
    assert pushing.most_at_once == 3
    assert_exact(world, job, 24)


@pytest.mark.parametrize(
    ("mood", "code", "text", "attempts"),
    [
        ("crash", "service_error", "HTTP 500", 3),
        ("refuse", "service_error", "HTTP 422: The image is not a photograph.", 1),
        ("garbage", "service_error", "The answer is not as it should be: total_time: Field required", 3),
        ("hang up", "service_error", "broke off before it had answered", 3),
        ("hang", "service_timeout", "did not answer within 0.3 s", 3),
        ("omit", "service_error", "The answer leaves this image out.", 3),
        ("complain", "service_error", "Too dark.", 3),
        ("alien", "rejected_result", "'another' is not registered on the pipeline", 3),
    ],
)
def test_a_bad_image_fails_alone_and_says_why(
    world: World, pushing: PushService, settings: Settings, mood: str, code: str, text: str, attempts: int
) -> None:
    if mood == "hang":
        settings.PUSH_REQUEST_SECONDS = 0.3
    job = pushed_job(world, 8)
    victim = captures_of(job)[2]
    pushing.bad[victim] = mood
    run_out(world, job)
    assert job.status == "SUCCESS"
    assert world.tally(job) == {"processed": 7, "failed": 1}
    found_code, found_text = errors(job)[victim]
    assert found_code == code
    assert text in found_text
    assert_exact(world, job, 7)
    assert Attempt.objects.filter(job=job, image_id=victim).count() == attempts
    assert max(count for image, count in pushing.asked_for().items() if image != victim) <= 4
    assert not Detection.objects.filter(source_image_id=victim).exists(), "not even a null marker"


REASONS = {
    "crash": "service_error",
    "refuse": "service_error",
    "garbage": "service_error",
    "hang up": "service_error",
    "hang": "service_timeout",
    "omit": "service_error",
    "complain": "service_error",
    "alien": "rejected_result",
}


@pytest.mark.parametrize("time", ["once", "and once more"])
def test_two_hundred_images_with_trouble_of_every_kind_end_exactly(
    world: World, pushing: PushService, settings: Settings, time: str
) -> None:
    settings.PUSH_BATCH_SIZE = 16
    settings.PUSH_REQUEST_SECONDS = 1.0
    settings.PUSH_REQUESTS_AT_ONCE = 3
    job = pushed_job(world, 200)
    images = captures_of(job)
    pushing.bad = {image: mood for image, mood in zip(images[3::23], REASONS, strict=False)}
    pushing.bad[images[150]] = "nothing"
    run_out(world, job)
    assert (job.status, world.tally(job)) == ("SUCCESS", {"processed": 192, "failed": 8})
    told = {pushing.bad[image]: code for image, (code, _) in errors(job).items()}
    assert told == REASONS
    assert_exact(world, job, 192, boxes=191 * BOXES)
    pushing.bad = {}
    assert retry_failed(job) == 8
    run_out(world, job)
    assert_exact(world, job, 200, boxes=199 * BOXES)


def test_nothing_found_is_processed_and_marked(world: World, pushing: PushService) -> None:
    job = pushed_job(world, 3)
    empty = captures_of(job)[1]
    pushing.bad[empty] = "nothing"
    run_out(world, job)
    assert world.tally(job) == {"processed": 3}
    assert_exact(world, job, 3, boxes=2 * BOXES)
    assert Detection.objects.filter(source_image_id=empty, x1=None).count() == 1


def test_more_than_half_failed_images_fail_the_job_and_a_retry_repeats_only_those(
    world: World, pushing: PushService
) -> None:
    job = pushed_job(world, 6)
    images = captures_of(job)
    pushing.bad = dict.fromkeys(images[:4], "refuse")
    run_out(world, job)
    assert (job.status, world.tally(job)) == ("FAILURE", {"processed": 2, "failed": 4})
    pushing.bad = {}
    pushing.requests.clear()
    assert retry_failed(job) == 4
    run_out(world, job)
    assert job.status == "SUCCESS"
    assert set(pushing.asked_for()) == set(images[:4])
    assert_exact(world, job, 6)
    assert not retry_failed(job)
    assert retry_job(job)
    run_out(world, job)
    assert_exact(world, job, 6)


@pytest.mark.parametrize(
    ("point", "again"),
    [("push.before_lease", 0), ("push.leased", 0), ("push.answered", 4), ("receive.before_commit", 4)],
)
def test_a_slice_that_dies_loses_and_doubles_nothing(
    world: World, pushing: PushService, settings: Settings, point: str, again: int
) -> None:
    settings.PUSH_REQUESTS_AT_ONCE = 1
    job = pushed_job(world, 8)
    killed_at(point, lambda: dispatch_job(job.pk))
    world.let_leases_run_out(job)
    run_out(world, job)
    assert world.tally(job) == {"processed": 8}
    assert_exact(world, job, 8)
    assert sum(pushing.asked_for().values()) == 8 + again


def test_what_was_answered_before_a_crash_is_saved_from_the_inbox(
    world: World, pushing: PushService, settings: Settings
) -> None:
    settings.PUSH_REQUESTS_AT_ONCE = 1
    job = pushed_job(world, 4)
    killed_at("receive.after_commit", lambda: dispatch_job(job.pk))
    assert world.tally(job) == {"received": 4}
    pushing.ready = False
    lose_claims()
    assert check_inbox().fixed == 1
    world.background.run("save")
    world.background.run("refresh")
    job.refresh_from_db()
    assert job.status == "SUCCESS"
    assert_exact(world, job, 4)


def test_a_cancel_takes_effect_within_one_request(
    world: World, pushing: PushService, settings: Settings
) -> None:
    settings.PUSH_REQUESTS_AT_ONCE = 1
    pushing.hold.clear()
    job = pushed_job(world, 12)

    def cancel() -> None:
        assert pushing.came.acquire(timeout=10)
        cancel_job(job.pk)
        pushing.hold.set()

    together(lambda: dispatch_job(job.pk), cancel)
    job.refresh_from_db()
    assert (job.status, world.tally(job)) == ("REVOKED", {"cancelled": 12})
    assert len(pushing.requests) == 1
    assert not Detection.objects.filter(job_id=job.pk).exists()


def test_when_the_quickest_service_is_away_the_next_one_takes_over(
    world: World, pushing: PushService
) -> None:
    gone = enlist(world, pushing, last_seen_latency=0.01)
    ProcessingService.objects.filter(pk=gone.pk).update(name="Gone", endpoint_url="http://127.0.0.1:9")
    job = pushed_job(world, 6)
    run_out(world, job)
    assert_exact(world, job, 6)
    assert not Attempt.objects.filter(job=job).exists(), "it is no fault of the images"
    gone.refresh_from_db()
    assert gone.last_seen_live is False


def test_without_a_service_the_job_waits_and_says_for_what(world: World, pushing: PushService) -> None:
    ProcessingService.objects.update(last_seen_live=None)
    pushing.ready = False
    job = pushed_job(world, 3)
    dispatch_job(job.pk)
    job.refresh_from_db()
    assert job.status == "STARTED"
    assert job.waiting == f"waiting for a push service: none online for pipeline {world.pipeline.slug} (GPU)."
    assert world.tally(job) == {"pending": 3}
    check_stalled()
    check_lost_images()
    job.refresh_from_db()
    assert job.waiting.startswith("waiting for a push service")
    pushing.ready = True
    lose_claims()
    assert check_dispatch().fixed == 1
    run_out(world, job)
    assert_exact(world, job, 3)
    assert job.waiting == ""


def test_an_overloaded_service_is_asked_again_later_and_no_image_pays_for_it(
    world: World, pushing: PushService
) -> None:
    job = pushed_job(world, 4)
    pushing.bad = dict.fromkeys(captures_of(job), "busy")
    pushing.ready = False
    dispatch_job(job.pk)
    assert world.tally(job) == {"pending": 4}
    assert not Attempt.objects.filter(job=job).exists()
    pushing.bad, pushing.ready = {}, True
    run_out(world, job)
    assert_exact(world, job, 4)


def test_a_slice_ends_in_time_and_the_next_goes_on_where_it_was(
    world: World, pushing: PushService, settings: Settings
) -> None:
    settings.PUSH_REQUESTS_AT_ONCE = 1
    job = pushed_job(world, 12)
    claim = claims.take(job.pk)
    assert claim is not None
    transitions.start(job.pk, 1)
    collect_chunk(claim)
    times = iter([False, False])
    assert push_slice(claim, lambda: next(times, True)) == 0
    job.refresh_from_db()
    assert job.published_to == 8
    assert world.tally(job) == {"received": 8, "pending": 4}
    run_out(world, job)
    assert_exact(world, job, 12)
    assert set(pushing.asked_for().values()) == {1}


def test_an_address_that_must_not_be_called_is_not_called(
    world: World, pushing: PushService, settings: Settings
) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = []
    job = pushed_job(world, 2)
    dispatch_job(job.pk)
    job.refresh_from_db()
    assert pushing.requests == []
    assert job.waiting.startswith("waiting for a push service")
    assert world.tally(job) == {"pending": 2}


def test_a_trace_says_what_a_pushed_job_waits_for(world: World, pushing: PushService) -> None:
    job = pushed_job(world, 3)
    pushing.ready = False
    ProcessingService.objects.update(last_seen_live=False)
    dispatch_job(job.pk)
    nobody = f"a push service: none online for pipeline {world.pipeline.slug} (GPU)."
    assert trace(job.pk).waiting_for == nobody
    assert the_words(job) == ("Waits to be pushed to a service.", f"Waiting for {nobody}")
    ProcessingService.objects.update(last_seen_live=True)
    execute("UPDATE jobs_job SET driver = '', driver_until = NULL")
    assert trace(job.pk).waiting_for.startswith("the next slice of pushing; the next dispatch check")
    execute("UPDATE jobs_jobtask SET leased_until = now() + interval '1 minute', attempt = 1, worker = 'GPU'")
    assert trace(job.pk).waiting_for.startswith("answers of workers: 3 images leased")
    assert "the next slice of pushing redelivers it as attempt 2 of 3" in the_words(job)[1]


def test_boxes_that_are_known_go_along_and_only_their_names_are_new(
    world: World, pushing: PushService
) -> None:
    job = pushed_job(world, 2)
    run_out(world, job)
    assert all(body["detections"] == [] for body in pushing.bodies)
    world.project.flags |= {"reprocess_existing_detections": True}
    world.project.save()
    newer = Algorithm.objects.create(
        key="newer", name="Newer", task_type="classification", category_map=world.classifier.category_map
    )
    world.pipeline.algorithms.add(newer)
    catalogue.forget()
    pushing.classifier = "newer"
    again = pushed_job(world, 2, source_image_collection=job.source_image_collection)
    run_out(world, again)
    sent = pushing.bodies[-1]["detections"]
    assert len(sent) == 2 * BOXES
    first = captures_of(job)[0]
    assert sent[0] == {
        "source_image": {"id": str(first), "url": pushing.bodies[-1]["source_images"][0]["url"]},
        "bbox": {"x1": 0.0, "y1": 5.0, "x2": 8.0, "y2": 9.0},
        "crop_image_url": None,
        "algorithm": {"name": "Detector", "key": "detector"},
    }
    assert world.tally(again) == {"processed": 2}
    assert Detection.objects.real().count() == 2 * BOXES, "no box is there twice"
    assert Classification.objects.filter(algorithm=newer).count() == 2 * BOXES
    third = pushed_job(world, 2, source_image_collection=job.source_image_collection)
    run_out(world, third)
    assert world.tally(third) == {}, "nothing is left to be done"
    world.pipeline.default_config = {"reprocess_existing_detections": False}
    world.pipeline.save()
    forget_configs()
    world.project.flags |= {"reprocess_all_images": True}
    world.project.save()
    run_out(world, pushed_job(world, 2, source_image_collection=job.source_image_collection))
    assert pushing.bodies[-1]["detections"] == []
