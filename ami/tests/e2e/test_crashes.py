"""Processes that are killed in the middle of a job; the job ends with exact numbers nevertheless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ami.tests.e2e.conftest import running_platform
from ami.tests.e2e.database import Database
from ami.tests.e2e.made_up import TwoBoxes
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
def crashing_platform(
    template_database: Database, tmp_path_factory: pytest.TempPathFactory, failpoints: Path
) -> Iterator[Platform]:
    """A platform in which the process that first comes to one of the points kills itself there."""
    with running_platform(
        template_database,
        tmp_path_factory.mktemp("crashing"),
        AMI_FAILPOINTS=",".join(f"{point}=crash*1" for point in IN_CELERY + IN_WEB),
        AMI_FAILPOINT_DIR=str(failpoints),
        NATS_TASK_TTR="2",
    ) as platform:
        yield platform


def test_job_ends_exact_although_its_processes_are_killed_at_every_step(
    crashing_platform: Platform, failpoints: Path
) -> None:
    project = Project.create(crashing_platform, TwoBoxes())
    project.upload_blank(IMAGES)
    job = project.work_off(project.start_job())
    project.assert_exact(job, IMAGES)
    points = {f"{point}.0.hit" for point in IN_CELERY + IN_WEB}
    crashing_platform.wait_until(
        lambda: {file.name for file in failpoints.iterdir()} == points, "every point has been reached"
    )
