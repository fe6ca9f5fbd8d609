"""Status changes are conditional updates: who comes second does nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.db.models.functions import Now

from ami.base.database import execute
from ami.jobs import transitions
from ami.jobs.models import Job
from ami.jobs.states import CANCELABLE, FINAL, RUNNING, JobState, TaskState
from ami.jobs.tests.faults import together
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration

CHANGES: dict[str, tuple[frozenset[JobState], Callable[[int], bool]]] = {
    "submit": (frozenset({JobState.CREATED}), transitions.submit),
    "start": (frozenset({JobState.PENDING, JobState.RETRY}), lambda job: transitions.start(job, 1)),
    "succeed": (RUNNING, lambda job: transitions.finish(job, 1, JobState.SUCCESS)),
    "fail": (RUNNING, lambda job: transitions.finish(job, 1, JobState.FAILURE)),
    "cancel": (CANCELABLE, transitions.cancel),
    "reopen": (FINAL, lambda job: transitions.reopen(job, 1)),
}


def in_state(job: Job, status: JobState) -> None:
    """Put a job into a state, all captures collected."""
    Job.objects.filter(pk=job.pk).update(status=status, run=1, collected_at=Now())


def with_row(job: Job, status: TaskState) -> None:
    """Give a job one ledger row."""
    execute(
        """INSERT INTO jobs_jobtask (job_id, image_id, position, run, status, attempt, released, reopened,
            worker, error_code, error_text, detections, classifications)
        VALUES (%s, 1, 1, 1, %s, 0, 0, 0, '', '', '', 0, 0)""",
        [job.pk, status],
    )


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_happens_from_its_own_states_and_from_no_other(light_world: World, name: str) -> None:
    sources, change = CHANGES[name]
    job = light_world.job(0)
    happened = set()
    for state in JobState:
        in_state(job, state)
        if change(job.pk):
            happened.add(state)
            assert not change(job.pk), "the second call changes nothing"
        else:
            job.refresh_from_db()
            assert job.status == state
    assert happened == sources


@pytest.mark.parametrize("name", ["start", "succeed", "fail", "reopen"])
def test_a_change_meant_for_another_run_does_nothing(light_world: World, name: str) -> None:
    sources, change = CHANGES[name]
    job = light_world.job(0)
    for state in sources:
        in_state(job, state)
        Job.objects.filter(pk=job.pk).update(run=2)
        assert not change(job.pk)


@pytest.mark.parametrize(("row", "ends"), [(state, state > TaskState.RECEIVED) for state in TaskState])
def test_a_job_ends_only_when_no_row_is_open(light_world: World, row: TaskState, ends: bool) -> None:
    job = light_world.job(0)
    in_state(job, JobState.STARTED)
    with_row(job, row)
    assert transitions.finish(job.pk, 1, JobState.SUCCESS) is ends


def test_a_job_does_not_end_before_its_captures_are_collected(light_world: World) -> None:
    job = light_world.job(0)
    in_state(job, JobState.STARTED)
    Job.objects.filter(pk=job.pk).update(collected_at=None)
    assert not transitions.finish(job.pk, 1, JobState.SUCCESS)


def test_a_retry_starts_a_run_without_times_and_without_driver(light_world: World) -> None:
    job = light_world.job(0)
    in_state(job, JobState.FAILURE)
    Job.objects.filter(pk=job.pk).update(
        driver="old", driver_until=Now(), finished_at=Now(), started_at=Now(), dispatch_seen={"run": 1}
    )
    assert transitions.reopen(job.pk, 1)
    job.refresh_from_db()
    assert (job.run, job.status, job.driver, job.driver_until) == (2, "PENDING", "", None)
    assert (job.started_at, job.finished_at, job.dispatch_seen) == (None, None, None)


@pytest.mark.parametrize("other", ["fail", "cancel"])
def test_of_two_that_end_a_job_at_once_one_wins(world: World, other: str) -> None:
    for _ in range(5):
        job = world.job(0)
        in_state(job, JobState.STARTED)
        results = together(
            partial(transitions.finish, job.pk, 1, JobState.SUCCESS), partial(CHANGES[other][1], job.pk)
        )
        assert sorted(results) == [False, True]
        job.refresh_from_db()
        assert (job.status == JobState.SUCCESS) is results[0]


def test_of_two_retries_at_once_one_raises_the_run(world: World) -> None:
    for _ in range(5):
        job = world.job(0)
        in_state(job, JobState.SUCCESS)
        assert sorted(together(*[partial(transitions.reopen, job.pk, 1)] * 2)) == [False, True]
        job.refresh_from_db()
        assert job.run == 2
