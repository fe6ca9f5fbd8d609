"""The invariant checker: it is content with a sound system, and finds each way of being unsound."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ami.base.database import execute
from ami.jobs import transitions
from ami.jobs.invariants import Watch, check, leftovers
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job
from ami.jobs.tests.world import World

pytestmark = pytest.mark.integration


def busy_job(world: World) -> Job:
    """A job of six: two processed, one failed, one accepted, one leased, one waiting."""
    job = world.started_job(6)
    tasks = world.reserve(job, 5)
    world.post(job, [world.success(task) for task in tasks[:2]])
    world.post(job, [world.error(tasks[2], retryable=False)])
    world.background.run()
    world.post(job, [world.success(tasks[3])])
    assert world.tally(job) == {"processed": 2, "failed": 1, "received": 1, "pending": 2}
    return job


def test_a_sound_system_breaks_nothing(light_world: World) -> None:
    watch = Watch()
    job = busy_job(light_world)
    for step in (light_world.background.run, lambda: cancel_job(job.pk), lambda: retry_job(job)):
        assert (check([job.pk]), watch.look()) == ([], [])
        step()
        light_world.background.run()
    light_world.work_off(job)
    assert (check(at_rest=True), watch.look(), light_world.leftovers()) == ([], [], [])


def test_a_job_that_nobody_has_run_yet_shows_nothing_and_that_is_right(light_world: World) -> None:
    light_world.job()
    assert check(at_rest=True) == []


TASK = "UPDATE jobs_jobtask SET {} WHERE job_id = %s AND status = {}"


@pytest.mark.parametrize(
    ("invariant", "statement"),
    [
        ("I1", TASK.format("status = 9", 0)),
        ("I1", TASK.format("run = 2", 0)),
        ("I2", "UPDATE jobs_job SET status = 'REVOKED' WHERE id = %s"),
        ("I2", "UPDATE jobs_job SET status = 'SUCCESS' WHERE id = %s"),
        ("I2", "DELETE FROM jobs_inboxentry WHERE job_id = %s"),
        ("I2", "UPDATE jobs_inboxentry SET applied_at = clock_timestamp() WHERE job_id = %s"),
        ("I2", TASK.format("error_code = ''", 3)),
        ("I2", TASK.format("error_text = ''", 3)),
        ("I2", TASK.format("worker = ''", 3)),
        ("I2", "DELETE FROM jobs_attempt WHERE job_id = %s"),
        (
            "I3",
            """DELETE FROM ml_classification WHERE detection_id IN
            (SELECT id FROM ml_detection WHERE job_id = %s);
            DELETE FROM ml_detection""",
        ),
        ("I6", TASK.format("leased_until = clock_timestamp()", 2)),
        ("I6", TASK.format("attempt = 0, released = 0", 2)),
        ("I6", TASK.format("worker = ''", 1)),
        ("I6", TASK.format("leased_until = clock_timestamp() + interval '1 day'", 0)),
        ("I6", TASK.format("attempt = 99", 0)),
        ("I6", TASK.format("released = attempt + 1", 0)),
    ],
)
def test_what_is_unsound_is_found(light_world: World, invariant: str, statement: str) -> None:
    job = busy_job(light_world)
    execute(statement, [job.pk])
    assert invariant in {violation.invariant for violation in check([job.pk])}
    assert check([job.pk + 1]) == []


@pytest.mark.parametrize(
    "statement",
    [
        TASK.format("detections = detections - 1", 2),
        TASK.format("status = 3, error_code = 'x', error_text = 'x'", 2),
        """UPDATE jobs_jobstage SET params = '[]' WHERE job_id = %s AND key = 'process'""",
        "DELETE FROM jobs_jobstage WHERE job_id = %s AND key = 'results'",
    ],
)
def test_figures_that_differ_from_the_ledger_are_found_where_nothing_moves_any_more(
    light_world: World, statement: str
) -> None:
    job = light_world.started_job(2)
    light_world.work_off(job)
    assert check([job.pk]) == []
    execute(statement, [job.pk])
    assert "I4" in {violation.invariant for violation in check([job.pk])}


def test_figures_of_a_running_job_may_lag_behind_unless_all_is_at_rest(light_world: World) -> None:
    job = busy_job(light_world)
    execute("UPDATE jobs_jobstage SET params = '[]' WHERE job_id = %s", [job.pk])
    assert check([job.pk]) == []
    assert {violation.invariant for violation in check([job.pk], at_rest=True)} == {"I4"}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM jobs_jobtask WHERE job_id = %s AND status = 0", "the ledger shrank from 6 to 4 rows"),
        (TASK.format("status = 1", 2), "processed images fell from 2 to 0"),
        (TASK.format("status = 0", 3), "images with an outcome fell from 3 to 2"),
        ("UPDATE jobs_job SET run = 0 WHERE id = %s", "the run fell from 1 to 0"),
        ("UPDATE jobs_jobstage SET progress = 0 WHERE job_id = %s", "the progress that is shown fell"),
    ],
)
def test_what_goes_backwards_is_found(light_world: World, statement: str, words: str) -> None:
    job = busy_job(light_world)
    watch = Watch([job.pk])
    assert watch.look() == []
    execute(statement, [job.pk])
    assert any(words in violation.text for violation in watch.look())
    assert watch.look() == [], "it is told once"


def test_an_ended_job_that_goes_on_is_found(light_world: World) -> None:
    job = light_world.started_job(1)
    cancel_job(job.pk)
    watch = Watch([job.pk])
    watch.look()
    execute("UPDATE jobs_job SET status = 'STARTED' WHERE id = %s", [job.pk])
    assert [violation.invariant for violation in watch.look()] == ["I5"]


def test_what_an_ended_job_left_behind_is_found_after_a_while(light_world: World) -> None:
    job = light_world.started_job(1)
    assert light_world.leftovers() == []
    transitions.cancel(job.pk)
    assert {str(violation) for violation in light_world.leftovers()} == {
        f"I9 job {job.pk}: its stream is still there",
        f"I9 job {job.pk}: its pending sets are still there",
    }
    assert job.pk not in {violation.job_id for violation in leftovers(older_than=60)}


def test_the_command_says_all_is_well_or_what_is_not(light_world: World) -> None:
    job = busy_job(light_world)
    out = StringIO()
    call_command("check_invariants", "--job", str(job.pk), stdout=out)
    assert out.getvalue() == "All invariants hold.\n"
    execute(TASK.format("error_text = ''", 3), [job.pk])
    with pytest.raises(CommandError, match="1 violations"):
        call_command("check_invariants", "--job", str(job.pk), stdout=out)
    assert f"I2 job {job.pk}: 1 failed images do not say why" in out.getvalue()
    with pytest.raises(CommandError, match="There is no job"):
        call_command("check_invariants", "--job", "999999")
