"""Extend and release act on the lease in force, and on nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.base.database import rows
from ami.embedded.nats import Nats
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.lease_calls import LeaseAnswer, extend, release
from ami.jobs.models import Attempt, Job, JobTask
from ami.jobs.states import TaskState
from ami.jobs.tests.world import ALICE, BOB, World, delivery_of, lease_of
from ami.taskqueue import Action, InProgress, Nak

pytestmark = pytest.mark.integration


def states(answers: list[LeaseAnswer]) -> list[str]:
    """What became of each lease."""
    return [str(answer.state) for answer in answers]


def seconds_left(job: Job) -> float:
    """Of the job's only lease."""
    found = rows("SELECT EXTRACT(EPOCH FROM leased_until - clock_timestamp())::float8 FROM jobs_jobtask")
    return float(found[0][0])


def test_an_extended_lease_lasts_another_full_time(
    light_world: World, told: list[Action], settings: Settings
) -> None:
    job = light_world.started_job(1)
    task = light_world.reserve(job)[0]
    settings.NATS_TASK_TTR = 30
    assert states(extend([lease_of(task)], ALICE)) == ["held"]
    assert 29 < seconds_left(job) <= 30
    assert told == [InProgress(delivery_of(task))]
    assert JobTask.objects.get().attempt == 1


def test_a_lease_that_ran_out_can_be_extended_while_nobody_else_has_the_image(light_world: World) -> None:
    job = light_world.started_job(1)
    lease = lease_of(light_world.reserve(job)[0])
    light_world.let_leases_run_out(job)
    assert states(extend([lease], ALICE)) == ["held"]
    assert seconds_left(job) > 1


def test_a_released_image_is_free_at_once_and_the_attempt_does_not_count(
    light_world: World, told: list[Action]
) -> None:
    job = light_world.started_job(1)
    for number in range(1, 5):
        task = light_world.obtain(job, 1)[0]
        assert task.attempt == number
        told.clear()
        assert states(release([lease_of(task)], ALICE)) == ["released"]
        assert told == [Nak(delivery_of(task), 0)]
        row = JobTask.objects.get()
        assert (row.status, row.attempt, row.released, row.leased_until) == (0, number, number, None)
    assert not Attempt.objects.exists(), "nothing went wrong"
    assert light_world.obtain(job, 1, BOB)


def test_a_second_release_changes_nothing(light_world: World, told: list[Action]) -> None:
    job = light_world.started_job(1)
    lease = lease_of(light_world.reserve(job)[0])
    release([lease, lease], ALICE)
    before = light_world.ledger_bytes(job)
    told.clear()
    assert states(release([lease], ALICE)) == states(extend([lease], ALICE)) == ["lost"]
    assert (light_world.ledger_bytes(job), told) == (before, [])


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"attempt": 2}, "lost"),
        ({"run": 2}, "lost"),
        ({"status": TaskState.RECEIVED}, "lost"),
        ({"status": TaskState.PROCESSED}, "lost"),
        ({"status": TaskState.FAILED}, "lost"),
        ({"leased_until": None}, "lost"),
        ({"status": TaskState.CANCELLED}, "cancelled"),
    ],
)
def test_a_lease_that_is_not_in_force_moves_nothing(
    light_world: World, told: list[Action], changes: dict[str, Any], state: str
) -> None:
    job = light_world.started_job(1)
    lease = lease_of(light_world.reserve(job)[0])
    JobTask.objects.update(**changes)
    before = light_world.ledger_bytes(job)
    assert states(extend([lease], ALICE)) == states(release([lease], ALICE)) == [state]
    assert (light_world.ledger_bytes(job), told) == (before, [])


def test_workers_hear_that_the_job_was_cancelled_or_deleted(light_world: World) -> None:
    jobs = [light_world.started_job(1) for _ in range(3)]
    leases = [lease_of(light_world.reserve(job)[0]) for job in jobs]
    cancel_job(jobs[0].pk)
    jobs[1].delete()
    assert [answer.cancelled for answer in extend(leases, ALICE)] == [True, True, False]
    assert states(extend(leases, ALICE)) == ["cancelled", "cancelled", "held"]


def test_answers_come_in_the_order_of_the_leases(light_world: World) -> None:
    job = light_world.started_job(3)
    leases = [lease_of(task) for task in light_world.reserve(job)]
    release([leases[1]], ALICE)
    answers = extend([leases[2], leases[1], leases[0]], ALICE)
    assert [answer.lease for answer in answers] == [leases[2], leases[1], leases[0]]
    assert states(answers) == ["held", "lost", "held"]


def test_leases_are_extended_and_released_without_a_queue(light_world: World, lonely_nats: Nats) -> None:
    job = light_world.started_job(2)
    held, given_back = (lease_of(task) for task in light_world.reserve(job))
    lonely_nats.kill()
    assert states(extend([held], ALICE)) == ["held"]
    assert states(release([given_back], ALICE)) == ["released"]
    assert light_world.row(job, given_back.image_id).released == 1
