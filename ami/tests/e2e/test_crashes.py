"""Processes that are killed in the middle of a job; the job ends with exact numbers nevertheless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ami.tests.e2e.platform import Platform
from ami.tests.e2e.project import Project

IN_CELERY = (
    "collect.after_chunk",
    "publish.after_epoch",
    "save.before_commit",
    "save.after_commit",
    "advance.after_pending",
    "acknowledge.before",
    "finish.before_update",
    "finish.before_cleanup",
)
IN_WEB = ("reserve.after_commit", "receive.after_commit")
IMAGES = 12


@pytest.fixture(scope="module")
def failpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every crash leaves a file."""
    return tmp_path_factory.mktemp("failpoints")


@pytest.fixture(scope="module")
def platform(start_platform: Callable[..., Platform], failpoints: Path) -> Platform:
    """A platform in which the process that first comes to one of the points kills itself there."""
    return start_platform(
        AMI_FAILPOINTS=",".join(f"{point}=crash*1" for point in IN_CELERY + IN_WEB),
        AMI_FAILPOINT_DIR=str(failpoints),
        NATS_TASK_TTR="2",
    )


def test_job_ends_exact_although_its_processes_are_killed_at_every_step(
    platform: Platform, project: Project, failpoints: Path
) -> None:
    project.upload_blank(IMAGES)
    job = project.work_off(project.start_job())
    project.assert_exact(job, IMAGES)
    assert {file.name for file in failpoints.iterdir()} == {f"{point}.0.hit" for point in IN_CELERY + IN_WEB}
