"""A trial runs a job to its end, shows how it goes, and is content with exact numbers only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ami.base.database import execute
from ami.jobs.models import InboxEntry, Job
from ami.jobs.progress import Counts
from ami.jobs.tests.faults import alone
from ami.jobs.tests.world import World
from ami.jobs.trials import run, verdict
from ami.jobs.trials.run import watch
from ami.jobs.trials.screen import Lines, Look, showing
from ami.main.models import SourceImageCollection
from ami.ml.models import Pipeline
from ami.taskqueue import TaskQueueManager

pytestmark = pytest.mark.integration

Answer = Callable[[World, Job], None]


def work(world: World, job: Job) -> None:
    """Answer everything with a success."""
    world.post(job, [world.success(task) for task in world.reserve(job, 2)])


def fail(world: World, job: Job) -> None:
    """Answer everything with an error that is not tried again."""
    world.post(job, [world.error(task, retryable=False) for task in world.reserve(job)])


@contextmanager
def platform_at_work(world: World, answer: Answer = work) -> Iterator[None]:
    """Celery and a worker, in a thread, until the block is over."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(0.01):
            world.background.run()
            for job in Job.objects.filter(status="STARTED"):
                answer(world, job)

    thread = threading.Thread(target=lambda: alone(live))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def trial(world: World, collection: object, *more: str, mode: str = "async_api", **changed: object) -> str:
    """What the command prints; fails as the command does."""
    printed = StringIO()
    given = {"project": world.project.pk, "pipeline": world.pipeline.slug} | changed
    call_command(
        "test_ml_job_e2e",
        *(f"--{name}={value}" for name, value in given.items()),
        f"--collection={collection}",
        f"--dispatch-mode={mode}",
        *more,
        stdout=printed,
    )
    return printed.getvalue()


def refusal(world: World, collection: object, **options: object) -> str:
    """The sentence with which bad input is refused."""
    with pytest.raises(CommandError) as error:
        trial(world, collection, **options)  # type: ignore[arg-type]
    assert error.value.returncode == 2
    assert not Job.objects.exists()
    return str(error.value)


def test_a_job_that_succeeds_is_shown_and_found_exact(world: World) -> None:
    capture_set = world.capture_set(world.captures(5))
    with platform_at_work(world):
        printed = trial(world, capture_set.pk)
    job = Job.objects.get()
    world.jobs.append(job)
    assert f"Job {job.pk}: {world.pipeline.slug} over 5 captures of 'Set'" in printed
    assert " s  PENDING, 0 of 0 processed" in printed or " s  STARTED, " in printed
    assert f"Job {job.pk} ended as SUCCESS after " in printed
    assert ": 5 of 5 images processed, 0 failed, 0 cancelled, 10 detections, 10 classifications." in printed
    assert printed.endswith("ledger, progress, inbox, queue and pending sets agree.\n")
    world.assert_ended_exactly(job, 5)


def test_a_job_that_fails_is_told_with_its_reasons(world: World) -> None:
    capture_set = world.capture_set(world.captures(3))
    printed = StringIO()
    with platform_at_work(world, fail), pytest.raises(CommandError, match="did not succeed") as error:
        call_command(
            "test_ml_job_e2e",
            f"--project={world.project.pk}",
            f"--pipeline={world.pipeline.slug}",
            f"--collection={capture_set.name}",
            "--dispatch-mode=async_api",
            stdout=printed,
        )
    assert error.value.returncode == 1
    assert "ended as FAILURE after" in printed.getvalue()
    assert "  3 images failed: boom (worker_error); images " in printed.getvalue()
    assert "Not exact" not in printed.getvalue()


def test_numbers_that_are_not_exact_are_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SETTLING_SECONDS", 0.0)
    job = world.started_job(3)
    world.work_off(job)
    assert verdict.problems(job, 3) == []
    assert verdict.problems(job, 4) == ["The ledger has 3 images; the capture set had 4."]
    execute("UPDATE jobs_jobtask SET detections = 7 WHERE image_id = %s", [world.first_image(job)])
    found = " ".join(verdict.problems(job, 3))
    assert "I3 does not hold: 1 processed images have fewer detections than were counted." in found
    assert "I4 does not hold: the stage results shows" in found
    InboxEntry.objects.create(job=job, body=b"")
    TaskQueueManager().create(job.pk, 9)
    execute("UPDATE jobs_jobtask SET status = 0 WHERE image_id = %s", [world.images(job)[1]])
    execute("UPDATE jobs_jobtask SET status = 4 WHERE image_id = %s", [world.images(job)[2]])
    found = " ".join(verdict.problems(job, 3))
    for sentence in (
        "1 images have no outcome.",
        "1 images are cancelled, and the job is not.",
        "1 rows of accepted results are left in the inbox.",
        "I9 does not hold: its stream is still there.",
    ):
        assert sentence in found
    ending = watch(job, 3, lambda look: None)
    assert ending.problems


def test_a_trial_that_takes_too_long_says_what_the_job_waits_for(world: World) -> None:
    capture_set = world.capture_set(world.captures(1))
    with pytest.raises(CommandError, match=r"is PENDING after 0\.01 s\. The job goes on; to end it") as error:
        trial(world, capture_set.pk, "--timeout=0.01")
    assert error.value.returncode == 1
    world.jobs.append(Job.objects.get())


def test_ctrl_c_leaves_the_job_running(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(look: Look) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Lines, "__call__", lambda self, look: interrupt(look))
    capture_set = world.capture_set(world.captures(1))
    with pytest.raises(CommandError) as error:
        trial(world, capture_set.pk)
    job = Job.objects.get()
    world.jobs.append(job)
    assert error.value.returncode == 130
    assert f"cancel it in the admin or with POST /api/v2/jobs/{job.pk}/cancel/" in str(error.value)
    assert job.status == "PENDING"


def test_bad_input_is_refused_with_a_sentence(world: World) -> None:
    full = world.capture_set(world.captures(1))
    empty = SourceImageCollection.objects.create(project=world.project, name="Empty", method="manual")
    project = world.project.pk
    assert refusal(world, full.pk, project=999_999) == "There is no project 999999."
    sets = f"there are: {full.pk} 'Set', {empty.pk} 'Empty'."
    assert refusal(world, "Nights") == f"The project {project} has no capture set 'Nights'; {sets}"
    assert refusal(world, "Empty") == f"The capture set {empty.pk} has no captures."
    known = f"there are: {world.pipeline.slug}."
    assert refusal(world, full.pk, pipeline="nope") == f"There is no pipeline 'nope'; {known}"
    other = Pipeline.objects.create(name="Other", slug="other")
    not_enabled = f"The pipeline {other.pk} is not enabled in the project {project}."
    assert refusal(world, full.pk, pipeline="other") == not_enabled
    twin = SourceImageCollection.objects.create(project=world.project, name="Set", method="manual")
    several = f"Several capture sets are called 'Set'; give the id of one: {full.pk}, {twin.pk}."
    assert refusal(world, "Set") == several


def test_a_mode_that_runs_no_pipeline_is_refused(world: World) -> None:
    capture_set = world.capture_set(world.captures(1))
    sentence = "This installation cannot run jobs of the mode internal; it runs sync_api, async_api."
    assert refusal(world, capture_set.pk, mode="internal") == sentence


def test_a_mode_that_the_project_does_not_use_is_refused(world: World) -> None:
    world.project.flags = {"async_pipeline_workers": False}
    world.project.save()
    capture_set = world.capture_set(world.captures(1))
    sentence = f"Jobs of the project {world.project.pk} are sync_api, not async_api"
    assert refusal(world, capture_set.pk).startswith(sentence)


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "inf", "nan"])
def test_a_timeout_is_a_positive_number(world: World, seconds: str) -> None:
    with pytest.raises(CommandError, match="is no positive number of seconds"):
        trial(world, 1, f"--timeout={seconds}")


def test_without_a_terminal_there_is_a_line_every_two_seconds() -> None:
    now = 5.0
    out = StringIO()
    show = Lines(out, lambda: now)
    for second in range(4):
        now = 5.0 + second
        show(Look("STARTED", Counts(total=4, pending=4 - second, processed=second), float(second)))
    assert out.getvalue().splitlines() == [
        "   0.0 s  STARTED, 0 of 4 processed, 0 failed, 0 being saved, 4 pending",
        "   2.0 s  STARTED, 2 of 4 processed, 0 failed, 0 being saved, 2 pending",
    ]


def test_at_a_terminal_a_bar_moves() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with showing(out) as show:
        show(Look("PENDING", Counts(), 0.0))
        show(Look("STARTED", Counts(total=4, pending=1, processed=3), 1.0))
    assert "75%" in out.getvalue()
    assert "STARTED, 3 of 4 processed" in " ".join(out.getvalue().split())
