"""An image that may kill its workers is handed out alone before it is given up."""

from __future__ import annotations

import pytest

from ami.base.database import execute
from ami.jobs.health.lost_images import check_lost_images
from ami.jobs.ledger import LockedTask
from ami.jobs.lifecycle import last_chance
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.models import Job, JobTask
from ami.jobs.states import TaskState
from ami.jobs.tests.faults import flush_redis
from ami.jobs.tests.ledger_rows import locked_task
from ami.jobs.tests.world import ALICE, BOB, World
from ami.taskqueue.tests.waiting import wait_for

pytestmark = pytest.mark.integration

IMAGES = 6
SILENT = {"leased": True, "attempt": 2}


def suspect(**fields: object) -> LockedTask:
    """An image of which two attempts ended in silence."""
    return locked_task(**(SILENT | fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (SILENT, True),
        ({**SILENT, "attempt": 1}, False),
        ({**SILENT, "attempt": 3}, False),
        ({**SILENT, "attempt": 4, "released": 2}, True),
        ({**SILENT, "leased": False}, False),
        ({**SILENT, "lease_left": 1.0}, False),
    ],
    ids=["silent", "not yet", "used up", "with releases", "an error was told", "still leased"],
)
def test_the_last_attempt_after_silence_is_the_last_chance(fields: dict[str, object], expected: bool) -> None:
    assert last_chance.is_last_chance(locked_task(**fields), max_attempts=3) is expected


def test_one_suspect_goes_alone_to_who_has_nothing_in_hand() -> None:
    suspects, others = [suspect(id=1), suspect(id=2)], [locked_task(id=3), locked_task(id=4)]
    assert last_chance.pick(suspects, others, in_hand=0) == {1}
    assert last_chance.pick(suspects, others, in_hand=1) == {3, 4}
    assert last_chance.pick([], others, in_hand=0) == {3, 4}


def test_a_suspect_that_nobody_took_for_a_lease_goes_to_anybody_alone() -> None:
    waiting = suspect(id=2, lease_over=1e6)
    assert last_chance.pick([suspect(id=1), waiting], [locked_task(id=3)], in_hand=5) == {2}


def die(world: World, job: Job, tasks: list[ReservedTask]) -> None:
    """Whoever has these is gone, and nothing is known of what they held."""
    world.expire(job, tasks)
    flush_redis()


def reserve(world: World, job: Job, worker: Worker) -> list[ReservedTask]:
    """What the worker gets, waiting for a moment: what was held back comes again."""
    return wait_for(lambda: world.reserve(job, IMAGES, worker))


def test_a_poison_image_takes_none_of_its_neighbours_along(light_world: World) -> None:
    job = light_world.started_job(IMAGES)
    poison = JobTask.objects.filter(job=job).order_by("position")[2].image_id
    done: set[int] = set()
    flush_redis()
    for _ in range(30):
        tasks = reserve(light_world, job, ALICE)
        if poison in {task.image_id for task in tasks}:
            die(light_world, job, tasks)
        else:
            light_world.post(job, [light_world.success(task) for task in tasks], ALICE)
            done |= {task.image_id for task in tasks}
        check_lost_images()
        if not JobTask.objects.filter(job=job, status=TaskState.PENDING).exists():
            break
    (failed,) = JobTask.objects.filter(job=job, status=TaskState.FAILED)
    assert (failed.image_id, failed.error_code, failed.attempt) == (poison, "delivery_exhausted", 3)
    assert len(done) == IMAGES - 1


def test_who_has_something_in_hand_gets_no_suspect_and_others_go_back_at_once(light_world: World) -> None:
    job = light_world.started_job(IMAGES)
    silent = JobTask.objects.filter(job=job).order_by("position")[:2]
    execute(
        """UPDATE jobs_jobtask SET attempt = 2, leased_until = clock_timestamp() - interval '1 ms'
        WHERE id = ANY(%s)""",
        [[task.pk for task in silent]],
    )
    suspects = {task.image_id for task in silent}
    flush_redis()
    (first,) = reserve(light_world, job, ALICE)
    assert first.image_id in suspects
    (second,) = reserve(light_world, job, BOB)
    assert {first.image_id, second.image_id} == suspects
    rest = light_world.reserve(job, IMAGES, ALICE)
    assert len(rest) == IMAGES - 2, "what went back when the suspect went alone"
