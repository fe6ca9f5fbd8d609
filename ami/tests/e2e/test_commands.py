"""Commands of operators, run against a running platform as an operator runs them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import psutil

from ami.demo.programs import ROOT
from ami.tests.e2e.platform import PATIENCE_SECONDS, Platform
from ami.tests.e2e.project import Project
from ami.worker.pipelines.light_trap_contours import LightTrapContours
from ami.worker.sheets import make_sheet

IMAGES = 8
SHEET = (480, 360)


def manage(platform: Platform, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the settings of the platform; whatever its exit code is."""
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=ROOT,
        env=platform.environment | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def killed(lines: Sequence[str]) -> list[int]:
    """The processes that the command says it killed."""
    return [int(line.split()[1]) for line in lines if line.startswith("Killed ")]


def test_a_killed_child_of_celery_is_replaced_and_the_job_ends_exactly(
    platform: Platform, project: Project
) -> None:
    project.upload_blank(IMAGES)
    job_id = project.start_job()
    project.post(job_id, project.hold(job_id, 4))
    celery = psutil.Process(platform.programs.pid("celery"))
    before = {child.pid for child in celery.children()}
    assert len(before) == 3, "two children of the pool, and the clock"
    done = manage(platform, "chaos_monkey", "kill-worker", CHAOS_ENABLED="true")
    assert done.returncode == 0, done.stderr
    (victim,) = killed(done.stdout.splitlines())
    assert victim in before
    assert "Celery replaces a child at once" in done.stdout

    def replaced() -> bool:
        now = {child.pid for child in celery.children()}
        return victim not in now and len(now) == len(before)

    platform.wait_until(replaced, "Celery has as many children as before")
    project.assert_exact(project.work_off(job_id), IMAGES)


def test_the_chaos_monkey_is_off_unless_it_is_allowed(platform: Platform) -> None:
    done = manage(platform, "chaos_monkey", "kill_worker", "--all")
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: The chaos monkey is switched off here")
    assert killed(done.stdout.splitlines()) == []


def test_a_trial_runs_a_job_with_a_real_worker_and_finds_it_exact(platform: Platform) -> None:
    pipeline = LightTrapContours()
    project = Project.create(platform, pipeline)
    for seed in range(3):
        project.upload(make_sheet(seed, size=SHEET, insects=4)[0], f"sheet-{seed}.jpg")
    trial = (
        *("test_ml_job_e2e", "--project", project.id, "--collection", project.capture_set_id),
        *("--pipeline", pipeline.slug, "--timeout", PATIENCE_SECONDS, "--dispatch-mode"),
    )
    refused = manage(platform, *trial, "internal")
    assert refused.returncode == 2, refused.stderr
    assert "cannot run jobs of the mode internal; it runs sync_api, async_api." in refused.stderr
    with platform.workers("worker", batch_size=2):
        done = manage(platform, *trial, "async_api")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": 3 of 3 images processed, 0 failed, 0 cancelled, " in done.stdout
    assert "The numbers are exact" in done.stdout


def test_a_trace_tells_of_a_job_under_way(platform: Platform, project: Project) -> None:
    project.upload_blank(3)
    job_id = project.start_job()
    (task,) = project.hold(job_id, 1)
    done = manage(platform, "trace_job", job_id, "--image", task["image_id"])
    assert done.returncode == 0, done.stderr
    assert f"Image {task['image_id']}: Leased by Worker" in done.stdout
    assert "attempt 1 of 3. If no answer comes by then, the next pull redelivers it" in done.stdout
    assert "NATS          stream with 3 messages" in done.stdout
    project.post(job_id, [task])
    project.assert_exact(project.work_off(job_id), 3)
