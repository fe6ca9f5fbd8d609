"""Rows of the ledger are locked in one order by everybody, and texts are cut to what is kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import transaction

from ami.base.database import execute, rows
from ami.jobs import ledger
from ami.jobs.ledger import Failure
from ami.jobs.models import Attempt, JobTask
from ami.jobs.states import ErrorCode, TaskState
from ami.jobs.tests.faults import alone, somebody_waits_for_a_lock
from ami.jobs.tests.ledger_rows import write_rows
from ami.jobs.tests.world import World
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration

IMAGES = list(range(1, 21))

WAYS: dict[str, Callable[[int], object]] = {
    "lock": lambda job_id: ledger.lock(job_id, IMAGES),
    "lock_many": lambda job_id: ledger.lock_many([(job_id, image) for image in IMAGES]),
    "lock_jobs": lambda job_id: ledger.lock_jobs([job_id]),
    "cancel_pending": ledger.cancel_pending,
    "reopen": lambda job_id: ledger.reopen(job_id, 2, [TaskState.PENDING]),
    "fail_deleted_captures": lambda _: ledger.fail_deleted_captures(IMAGES, "gone"),
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_locked_in_the_order_of_their_ids(world: World, way: str) -> None:
    job = world.job(0)
    execute("UPDATE jobs_job SET status = 'STARTED'")
    write_rows(job.pk, len(IMAGES))
    ids = list(JobTask.objects.order_by("id").values_list("id", flat=True))
    execute("UPDATE jobs_jobtask SET image_id = -image_id")
    for image, row_id in zip(IMAGES, reversed(ids), strict=True):  # another order
        execute("UPDATE jobs_jobtask SET image_id = %s WHERE id = %s", [image, row_id])

    def call() -> None:
        with transaction.atomic():
            for method in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan"):
                execute(f"SET LOCAL {method} = off")
            WAYS[way](job.pk)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            execute("SELECT 1 FROM jobs_jobtask WHERE id = %s FOR NO KEY UPDATE", [ids[10]])
            other = pool.submit(alone, call)
            wait_for(lambda: somebody_waits_for_a_lock() or other.done())
            free = rows(
                "SELECT id FROM jobs_jobtask WHERE id > %s ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
                [ids[10]],
            )
        other.result(20)
    assert [row[0] for row in free] == ids[11:], "who waits for one holds none of those behind it"


def test_texts_are_cut_and_freed_of_control_characters_where_they_are_kept(light_world: World) -> None:
    job = light_world.started_job(2)
    light_world.reserve(job)
    first, second = ledger.lock(job.pk, list(JobTask.objects.values_list("image_id", flat=True))).values()
    text = "\x00\x1b[31m" + "moth " * 1_000
    ledger.fail([Failure(first, ErrorCode.WORKER_ERROR, text)])
    ledger.note_attempts([Failure(second, ErrorCode.WORKER_ERROR, text)])
    kept = [
        JobTask.objects.get(pk=first.id).error_text,
        *Attempt.objects.values_list("error_text", flat=True),
    ]
    assert len(kept) == 3
    for each in kept:
        assert len(each) <= 2_000
        assert each.isprintable()
        assert "moth moth" in each
