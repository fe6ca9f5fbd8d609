"""`manage.py requeue_dead_letters`: what it chooses, does, prints, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ami.base.database import execute
from ami.jobs.models import DeadLetter, Job, JobLog
from ami.jobs.tests.test_requeue import ended_job
from ami.jobs.tests.world import World
from ami.main.tests.factories import make_project

pytestmark = pytest.mark.integration


def run(*arguments: object) -> list[list[str]]:
    """Run the command; the cells of the table, or the sentence, that it prints."""
    out = StringIO()
    call_command("requeue_dead_letters", *map(str, arguments), stdout=out)
    return [line.split(maxsplit=3) for line in out.getvalue().splitlines()]


def failed_jobs() -> dict[int, int]:
    """How many dead letters are left, by job."""
    found: dict[int, int] = {}
    for job_id in DeadLetter.objects.values_list("job_id", flat=True):
        found[job_id] = found.get(job_id, 0) + 1
    return found


def test_a_job_is_requeued_whole(light_world: World) -> None:
    job, _ = ended_job(light_world)
    other, _ = ended_job(light_world)
    assert run("--job", job.pk) == [["job", "requeued", "left"], [str(job.pk), "3", "0"], ["all", "3", "0"]]
    assert failed_jobs() == {other.pk: 3}
    log = JobLog.objects.filter(job=job).values_list("message", flat=True)
    assert "Job started again by manage.py requeue_dead_letters (run 2) for 3 images." in log
    light_world.dispatch(job)
    light_world.work_off(job)
    light_world.assert_ended_exactly(job, 4)


def test_images_of_a_job_are_requeued_alone(light_world: World) -> None:
    job, images = ended_job(light_world)
    assert run("--job", job.pk, "--image", images[0], images[1])[1] == [str(job.pk), "2", "0"]
    assert failed_jobs() == {job.pk: 1}


def test_a_project_is_requeued_without_its_neighbours(light_world: World) -> None:
    ended_job(light_world)
    other, _ = ended_job(light_world)
    Job.objects.filter(pk=other.pk).update(project=make_project())
    assert run("--project", light_world.project.pk)[-1] == ["all", "3", "0"]
    assert failed_jobs() == {other.pk: 3}


def test_codes_and_times_narrow(light_world: World) -> None:
    job, images = ended_job(light_world)
    other, _ = ended_job(light_world)
    execute("UPDATE jobs_jobtask SET error_code = 'save_error' WHERE image_id = %s", [images[0]])
    execute(
        "UPDATE jobs_jobtask SET finished_at = finished_at - interval '3 days' WHERE job_id = %s", [other.pk]
    )
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert run("--code", "rejected_result") == [["There", "are", "no", "such dead letters."]]
    assert run("--code", "save_error")[1] == [str(job.pk), "1", "0"]
    assert failed_jobs() == {job.pk: 2, other.pk: 3}
    Job.objects.update(status="FAILURE")
    assert run("--since", yesterday.isoformat(), "--code", "worker_error")[1:-1] == [[str(job.pk), "2", "0"]]
    for text in ("2001-01-01", "2001-01-01T00:00", "2001-01-01T00:00+05:30", "2001-01-01T00:00:00Z"):
        assert run("--since", text, "--dry-run")[1:-1] == [[str(other.pk), "3", "0"]], text


def test_a_dry_run_says_the_same_and_changes_nothing(light_world: World) -> None:
    good, _ = ended_job(light_world)
    running, _ = ended_job(light_world)
    lost, _ = ended_job(light_world)
    Job.objects.filter(pk=running.pk).update(status="STARTED")
    Job.objects.filter(pk=lost.pk).update(pipeline=None)
    before = light_world.ledger_bytes(good)
    wanted = ["--project", light_world.project.pk]
    foreseen = run(*wanted, "--dry-run")
    assert foreseen[0] == ["job", "would", "requeue", "left"]
    assert foreseen[1] == [str(good.pk), "3", "0"]
    assert "has not ended" in foreseen[2][3]
    assert "has no pipeline" in foreseen[3][3]
    assert (light_world.ledger_bytes(good), len(failed_jobs())) == (before, 3)
    out = StringIO()
    with pytest.raises(CommandError, match=r"^6 images left as they are\.$"):
        call_command("requeue_dead_letters", *map(str, wanted), stdout=out)
    assert [line.split(maxsplit=3) for line in out.getvalue().splitlines()][1:] == foreseen[1:]
    assert failed_jobs() == {running.pk: 3, lost.pk: 3}


def test_images_that_did_not_fail_are_named(light_world: World) -> None:
    job, images = ended_job(light_world)
    with pytest.raises(CommandError, match=r"image 1000000, 1000001\."):
        run("--job", job.pk, "--image", images[0], 1_000_000, 1_000_001)
    assert failed_jobs() == {job.pk: 2}


def test_a_second_run_finds_nothing(light_world: World) -> None:
    job, _ = ended_job(light_world)
    run("--job", job.pk)
    assert run("--job", job.pk) == [["There", "are", "no", "such dead letters."]]
    job.refresh_from_db()
    assert job.run == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say which dead letters"),
        (["--dry-run"], "Say which dead letters"),
        (["--image", "1"], "Say which dead letters"),
        (["--project", "1", "--image", "1"], "--image needs --job"),
        (["--job", "moth"], "--job wants a number, not 'moth'"),
        (["--job", "99999999"], "There is no job 99999999."),
        (["--project", "99999999"], "There is no project 99999999."),
        (["--code", "bad_luck"], "There is no error code 'bad_luck'; there are worker_error, "),
        (["--since", "yesterday"], "--since wants an ISO time"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(db: None, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    assert sentence in str(raised.value)
    assert raised.value.returncode == 1
