"""Collecting: every capture of the job has exactly one ledger row, whatever stops it on the way."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.base.failpoints import FailpointRaised, arm
from ami.jobs import transitions
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.lifecycle import claims, collect
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.lifecycle.collect import collect_chunk
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.models import Job, JobLog, JobTask
from ami.jobs.tests.faults import killed_at, lose_claims
from ami.jobs.tests.world import World
from ami.main.models import SourceImage, SourceImageCollection

pytestmark = pytest.mark.integration


def claimed(job: Job) -> Claim:
    """The claim on a job that was just submitted."""
    transitions.submit(job.pk)
    claim = claims.take(job.pk)
    assert claim is not None
    return claim


def collected(job: Job) -> list[int]:
    """Collect all; the images in ledger order."""
    claim = claimed(job)
    while collect_chunk(claim):
        pass
    claims.release(claim)
    job.refresh_from_db()
    assert job.collected_at is not None
    return in_order(job)


def in_order(job: Job) -> list[int]:
    """The images of a job in the order of their positions."""
    return list(JobTask.objects.filter(job=job).order_by("position").values_list("image_id", flat=True))


def forget(job: Job) -> None:
    """Take a job back to where nothing was collected."""
    JobTask.objects.filter(job=job).delete()
    Job.objects.filter(pk=job.pk).update(collected_at=None, collect_cursor=0, status="CREATED")


def test_chunks_go_by_ranges_of_ids_and_the_last_one_says_so(light_world: World, settings: Settings) -> None:
    settings.COLLECT_CHUNK = 3
    job = light_world.job(8)
    claim = claimed(job)
    seen = []
    for expected in (True, True, False):
        assert collect_chunk(claim) is expected
        job.refresh_from_db()
        seen.append((JobTask.objects.filter(job=job).count(), job.collected_at is not None))
    assert seen == [(3, False), (6, False), (8, True)]
    assert in_order(job) == sorted(in_order(job))
    assert rows("SELECT DISTINCT run, status, attempt FROM jobs_jobtask WHERE job_id = %s", [job.pk]) == [
        (1, 0, 0)
    ]


@pytest.mark.parametrize("images", [0, 3, 6])
def test_collecting_ends_when_a_chunk_was_exactly_full(
    light_world: World, settings: Settings, images: int
) -> None:
    settings.COLLECT_CHUNK = 3
    assert len(collected(light_world.job(images))) == images


def test_a_limit_takes_that_many_in_one_statement(light_world: World, settings: Settings) -> None:
    settings.COLLECT_CHUNK = 2
    job = light_world.job(8, limit=5)
    assert not collect_chunk(claimed(job))
    captures = SourceImage.objects.order_by("pk").values_list("pk", flat=True)[:5]
    assert in_order(job) == list(captures)


@pytest.mark.parametrize("limit", [None, 20])
def test_shuffling_is_random_but_a_repeat_chooses_the_same(light_world: World, limit: int | None) -> None:
    job = light_world.job(40, shuffle=True, limit=limit)
    first = collected(job)
    assert first != sorted(first)
    forget(job)
    assert collected(job) == first
    other = light_world.job(shuffle=True, limit=limit, source_image_collection=job.source_image_collection)
    assert collected(other) != first, "another job has another order"


def test_a_capture_without_a_file_fails_alone_and_says_why(light_world: World) -> None:
    captures = [*light_world.captures(2), *light_world.captures(1, deployment=None)]
    SourceImage.objects.filter(pk=captures[2].pk).update(path="")
    job = light_world.job(source_image_collection=light_world.capture_set(captures))
    collected(job)
    assert light_world.tally(job) == {"pending": 2, "failed": 1}
    row = light_world.row(job, captures[2].pk)
    assert (row.error_code, row.finished_at is not None) == ("no_url", True)
    assert "upload it again" in row.error_text


def test_a_crash_between_chunks_resumes_without_doubles(world: World, settings: Settings) -> None:
    settings.COLLECT_CHUNK = 3
    job = world.job(8, shuffle=True)
    transitions.submit(job.pk)
    for point, rows_then in (("collect.after_chunk", 3), ("collect.before_commit", 3)):
        killed_at(point, lambda: dispatch_job(job.pk))
        assert JobTask.objects.filter(job=job).count() == rows_then
        dispatch_job(job.pk)
        assert JobTask.objects.filter(job=job).count() == rows_then, "the dead driver's claim still holds"
        lose_claims()
    dispatch_job(job.pk)
    assert len(set(in_order(job))) == len(in_order(job)) == 8
    assert len(set(JobTask.objects.filter(job=job).values_list("position", flat=True))) == 8


def test_an_error_in_a_chunk_leaves_nothing_of_it(light_world: World) -> None:
    job = light_world.job(3)
    claim = claimed(job)
    with arm("collect.before_commit"), pytest.raises(FailpointRaised):
        collect_chunk(claim)
    assert in_order(job) == []
    assert not collect_chunk(claim)
    assert len(in_order(job)) == 3


@pytest.mark.parametrize(
    "change",
    ["driver = 'another'", "run = run + 1", "status = 'REVOKED'", "collected_at = now()"],
)
def test_who_lost_the_claim_collects_nothing(light_world: World, change: str) -> None:
    job = light_world.job(3)
    claim = claimed(job)
    execute(f"UPDATE jobs_job SET {change} WHERE id = %s", [job.pk])
    assert not collect_chunk(claim)
    assert in_order(job) == []


def sources(world: World) -> dict[str, dict[str, Any]]:
    """Every way to name captures, each also tempted with captures of another project."""
    foreign = World(world.background).captures(2)
    mine = world.captures(3)
    foreign[0].deployment = world.deployment
    foreign[0].save()
    full = SourceImageCollection.objects.create(project=world.project, name="Full", method="full")
    full.images.set([*foreign, mine[0]])
    manual = world.capture_set([mine[0], mine[2], *foreign])
    none = {"source_image_collection": None}
    return {
        "full": {"source_image_collection": full, "expected": mine},
        "manual": {"source_image_collection": manual, "expected": [mine[0], mine[2]]},
        "single": none | {"source_image_single": mine[1], "expected": [mine[1]]},
        "deployment": none | {"deployment": world.deployment, "expected": mine},
    }


@pytest.mark.parametrize("kind", ["full", "manual", "single", "deployment"])
def test_a_job_takes_the_captures_it_names_and_none_of_another_project(light_world: World, kind: str) -> None:
    fields = sources(light_world)[kind]
    expected = fields.pop("expected")
    assert collected(light_world.job(**fields)) == [capture.pk for capture in expected]


def test_a_single_capture_that_moved_to_another_project_is_not_taken(light_world: World) -> None:
    capture = light_world.captures(1)[0]
    job = light_world.job(source_image_collection=None, source_image_single=capture)
    capture.project = World(light_world.background).project
    capture.save()
    assert collected(job) == []


def test_the_number_of_queries_does_not_grow_with_the_captures(light_world: World) -> None:
    counts = []
    for images in (2, 300):
        job = light_world.job(images)
        claim = claimed(job)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            collect_chunk(claim)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10


@pytest.mark.parametrize(("images", "chunk", "analysed"), [(4, 100, False), (5, 100, True), (5, 3, True)])
def test_the_ledger_is_analysed_after_many_rows_and_not_for_large_ids(
    light_world: World,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    images: int,
    chunk: int,
    analysed: bool,
) -> None:
    monkeypatch.setattr(collect, "ANALYZE_FROM", 5)
    settings.COLLECT_CHUNK = chunk
    rows("SELECT setval('main_sourceimage_id_seq', 5000000 + nextval('main_sourceimage_id_seq'))")
    job = light_world.job(images)
    with CaptureQueriesContext(connection) as queries:
        collected(job)
    assert any("ANALYZE" in query["sql"] for query in queries) is analysed


def test_a_job_over_nothing_succeeds(light_world: World) -> None:
    job = light_world.job(0)
    transitions.submit(job.pk)
    light_world.dispatch(job)
    assert (job.status, light_world.figures(job)["total_images"]) == ("SUCCESS", 0)
    assert light_world.standing(job) is None


def test_a_job_whose_captures_are_no_longer_named_fails_with_a_reason(light_world: World) -> None:
    job = light_world.job(2)
    transitions.submit(job.pk)
    SourceImageCollection.objects.all().delete()
    light_world.dispatch(job)
    assert job.status == "FAILURE"
    assert JobLog.objects.filter(job=job, level="ERROR", message__contains="names no captures").exists()


def test_a_job_without_captures_fails_though_its_driver_died_on_finding_that(world: World) -> None:
    job = world.job(2)
    transitions.submit(job.pk)
    SourceImageCollection.objects.all().delete()
    killed_at("dispatch.collected_nothing", partial(dispatch_job, job.pk))
    lose_claims()
    refresh_job(job.pk)
    check_dispatch()
    world.background.run()
    job.refresh_from_db()
    assert job.status == "FAILURE"


def test_a_job_that_lost_its_capture_set_half_way_goes_on_with_what_it_has(
    light_world: World, settings: Settings
) -> None:
    settings.COLLECT_CHUNK = 3
    job = light_world.job(5)
    assert collect_chunk(claimed(job))
    SourceImageCollection.objects.all().delete()
    lose_claims()
    light_world.dispatch(job)
    assert job.status == "STARTED"
    light_world.work_off(job)
    light_world.assert_ended_exactly(job, 3)


def test_a_job_waits_for_its_delay(light_world: World) -> None:
    job = light_world.job(2, delay=3_600)
    transitions.submit(job.pk)
    dispatch_job(job.pk)
    job.refresh_from_db()
    assert (job.status, in_order(job)) == ("PENDING", [])
    execute("UPDATE jobs_job SET scheduled_at = scheduled_at - interval '1 hour' WHERE id = %s", [job.pk])
    light_world.dispatch(job)
    assert job.status == "STARTED"
