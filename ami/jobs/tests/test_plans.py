"""The plans of the statements on the hot path, in a ledger of 100,000 rows: none may read it as a whole.

Each statement is explained as it is really sent, after the ANALYZE with which collecting ends: with figures
that are older than a large job, Postgres may take it for a small one and read all of it for every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from ami.base.database import execute, rows
from ami.jobs import ledger, transitions
from ami.jobs.ledger import Failure
from ami.jobs.lifecycle import collect, publish
from ami.jobs.models import DeadLetter, Job
from ami.jobs.states import ErrorCode, JobState, TaskState
from ami.jobs.tests.ledger_rows import locked_task, write_rows
from ami.jobs.tests.world import World
from ami.main.models import Project, SourceImage, SourceImageCollection

pytestmark = pytest.mark.integration

ROWS = 100_000
BATCH = list(range(40_001, 40_051))
"""The images of one reserve or post; also their place in the ledger."""


@contextmanager
def explained() -> Iterator[list[str]]:
    """The plans of all statements on the ledger that the block sends."""
    plans: list[str] = []

    def explain(send: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if "jobs_jobtask" in sql:
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"EXPLAIN {sql}", params)
                plans.append("\n".join(line for (line,) in cursor.cursor.fetchall()))
        return send(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans


@pytest.fixture
def job(light_world: World) -> Job:
    """A running job of 100,000 pending rows, beside a small one."""
    made = light_world.job(0)
    write_rows(light_world.job(0).pk, 500, first_image=ROWS)
    write_rows(made.pk, ROWS)
    execute("UPDATE jobs_job SET status = 'STARTED', collected_at = now(), published_to = %s", [ROWS // 2])
    return made


def batch_ids(job: Job) -> list[int]:
    """The row ids of the batch."""
    found = rows(
        "SELECT id FROM jobs_jobtask WHERE job_id = %s AND image_id = ANY(%s) ORDER BY id", [job.pk, BATCH]
    )
    return [row[0] for row in found]


def run_batch_statements(job: Job) -> None:
    """Everything that reserve, receive, save and the lease calls send for one batch."""
    ids = batch_ids(job)
    failure = Failure(locked_task(id=ids[0], job_id=job.pk, attempt=1), ErrorCode.WORKER_ERROR, "boom")
    ledger.lock(job.pk, BATCH)
    ledger.lock_many([(job.pk, image) for image in BATCH])
    ledger.lease(ids, worker="w", seconds=1)
    ledger.extend(ids, seconds=1)
    ledger.release(ids)
    ledger.give_back([(task, 1.0) for task in ids])
    ledger.accept(ids, [1] * len(ids), worker="w", ms=[None] * len(ids))
    ledger.mark_processed(ids, [0] * len(ids), [0] * len(ids))
    ledger.fail([failure])
    ledger.fail_deleted_captures(BATCH[:3], "gone")


def test_a_batch_reads_its_own_rows_only(job: Job) -> None:
    execute("ANALYZE jobs_jobtask")
    with explained() as plans:
        run_batch_statements(job)
    assert len(plans) >= 11
    for plan in plans:
        assert "Seq Scan on jobs_jobtask" not in plan, plan
        assert "task_publish_order" not in plan, f"reads a whole job:\n{plan}"


CAPTURES = 10_000
CHUNK = 200


def write_captures(world: World) -> int:
    """Captures of the world and of another project by turns; the former in a set, whose id is returned."""
    elsewhere = Project.objects.create(name="Elsewhere")
    SourceImage.objects.create(project=elsewhere, path="1.jpg")
    own = world.captures(1)[0]
    execute(
        """INSERT INTO main_sourceimage (project_id, deployment_id, path, public_base_url, checksum,
            test_image, created_at, updated_at)
        SELECT project_id, deployment_id, 'night/' || n, '', '', false, now(), now()
        FROM generate_series(2, %s) AS n, main_sourceimage ORDER BY n, project_id""",
        [CAPTURES],
    )
    capture_set = world.capture_set([])
    execute(
        """INSERT INTO main_sourceimagecollection_images (sourceimagecollection_id, sourceimage_id)
        SELECT %s, id FROM main_sourceimage WHERE project_id = %s""",
        [capture_set.pk, own.project_id],
    )
    return int(capture_set.pk)


def most_rows_read(node: dict[str, Any]) -> int:
    """Of all steps of a plan that was run: the most rows that one of them read."""
    own = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    most: int = max(own * node["Actual Loops"], *map(most_rows_read, node.get("Plans", [])), 0)
    return most


@pytest.mark.parametrize("source", ["set", "project", "deployment"])
@pytest.mark.parametrize("analysed", [True, False])
def test_collecting_reads_each_capture_once(
    light_world: World, settings: Settings, source: str, analysed: bool
) -> None:
    settings.COLLECT_CHUNK = CHUNK
    capture_set = write_captures(light_world)
    if analysed:
        execute("ANALYZE main_sourceimage, main_sourceimagecollection_images")
    job = light_world.job(0)
    job.collect_cursor = rows("SELECT max(id) - %s FROM main_sourceimage", [CAPTURES])[0][0]
    if source == "set":
        job.source_image_collection_id = capture_set
    elif source == "deployment":
        job.source_image_collection, job.deployment = None, light_world.deployment
    else:
        job.source_image_collection = SourceImageCollection.objects.create(
            project=light_world.project, name="All", method="full"
        )
    read = []

    def explain(send: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if "INSERT INTO jobs_jobtask" in sql:
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
                read.append(most_rows_read(cursor.cursor.fetchone()[0][0]["Plan"]))
        return send(sql, params, many, context)

    with connection.execute_wrapper(explain):
        seen, last_id, _ = collect._insert(job, 1)
    assert seen == CHUNK
    assert last_id in (job.collect_cursor + 2 * CHUNK - 1, job.collect_cursor + 2 * CHUNK)
    assert len(read) == 1
    assert read[0] <= 3 * CHUNK, "some of another project may lie between them"


def test_publishing_reads_the_next_rows_in_order_and_no_others(job: Job) -> None:
    execute("ANALYZE jobs_jobtask")
    with explained() as plans:
        found = publish._next_rows(job.pk, ROWS // 2, 5_000)
        assert publish.unpublished_rows(job.pk)
        execute("UPDATE jobs_job SET published_to = %s", [ROWS])
        assert not publish.unpublished_rows(job.pk)
    assert [row[0] for row in found[:2]] == [ROWS // 2 + 1, ROWS // 2 + 2]
    assert len(plans) == 3
    for plan in plans:
        assert "Index Scan using task_publish_order" in plan, plan
        assert "Sort" not in plan, plan


def test_the_index_of_open_images_is_read_in_blocks_along_an_index(job: Job) -> None:
    execute("ANALYZE jobs_jobtask")
    with explained() as plans:
        assert sum(1 for _ in publish._image_ids(job.pk, [TaskState.PENDING])) == ROWS
    assert len(plans) == 6
    assert "Index Scan using task_once_per_job" in plans[0], plans[0]


def test_dead_letters_are_found_along_their_own_indexes(job: Job) -> None:
    execute(
        """UPDATE jobs_jobtask SET status = 3, error_code = 'save_error',
        finished_at = now() + make_interval(secs => id) WHERE image_id %% 50 = 0"""
    )
    execute("ANALYZE jobs_jobtask")
    small = Job.objects.exclude(pk=job.pk).get()
    letters = DeadLetter.objects.order_by("-failed_at", "-pk")
    with explained() as plans:
        assert len(letters[:100]) == 100
        assert len(letters.filter(job=small)[:100]) == letters.filter(job=small).count() == 10
        assert len(letters.filter(image_id=BATCH[-1])) == 1
        assert ledger.reopen(job.pk, 2, [TaskState.FAILED], BATCH) == 1
    for name, plan in zip(("newest", "of_job", "of_job", "of_image"), plans[:4], strict=True):
        assert f"task_failed_{name}" in plan, plan
    assert "task_once_per_job" in plans[4], plans[4]
    for plan in plans:
        assert "Seq Scan on jobs_jobtask" not in plan, plan


def test_ending_a_small_job_does_not_read_the_rows_of_a_large_one(job: Job) -> None:
    small = Job.objects.exclude(pk=job.pk).get()
    execute("UPDATE jobs_jobtask SET status = 2 WHERE job_id = %s", [small.pk])
    execute("ANALYZE jobs_jobtask")
    with explained() as plans:
        assert transitions.finish(small.pk, 1, JobState.SUCCESS)
    assert len(plans) == 1
    assert "Seq Scan on jobs_jobtask" not in plans[0], plans[0]


def counters() -> tuple[int, int]:
    """Rows of the ledger that this session updated, and those of them that touched no index (HOT)."""
    found = rows(
        """SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid)
        FROM pg_class WHERE relname = 'jobs_jobtask'"""
    )
    return found[0][0], found[0][1]


def updated(statement: Callable[[], object]) -> tuple[int, int]:
    """What a statement of its own transaction adds to the counters."""
    with transaction.atomic():
        before = counters()
        statement()
        after = counters()
    return after[0] - before[0], after[1] - before[1]


def test_no_step_in_the_life_of_a_row_touches_an_index(world: World) -> None:
    job = world.job(0)
    write_rows(job.pk, 1_000)
    found = [row[0] for row in rows("SELECT id FROM jobs_jobtask WHERE job_id = %s ORDER BY id", [job.pk])]
    steps: list[Callable[[list[int]], object]] = [
        lambda ids: ledger.lease(ids, worker="w", seconds=1),
        lambda ids: ledger.extend(ids, seconds=1),
        lambda ids: ledger.release(ids),
        lambda ids: ledger.give_back([(task, 1.0) for task in ids]),
        lambda ids: ledger.accept(ids, [1] * len(ids), worker="w", ms=[None] * len(ids)),
        lambda ids: ledger.mark_processed(ids, [0] * len(ids), [0] * len(ids)),
    ]
    for number, step in enumerate(steps):  # each on fresh pages, where nearly every new version finds room
        changed, in_place = updated(partial(step, found[150 * number :][:50]))
        assert changed == 50
        assert in_place > 40
