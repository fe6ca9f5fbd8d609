"""What operators and workers live through on an ordinary day."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ami.tests.e2e.platform import Platform
from ami.tests.e2e.project import CANCELLED, FAILED, PROCESSED, Project
from ami.worker.pipelines.light_trap_contours import LightTrapContours
from ami.worker.sheets import make_sheet

SHEET = (480, 360)
INSECTS = 6


@pytest.fixture
def sheets(platform: Platform) -> Project:
    """A project whose captures show drawn insects, with the pipeline that finds them."""
    project = Project.create(platform, LightTrapContours())
    for seed in range(6):
        project.upload(make_sheet(seed, size=SHEET, insects=INSECTS)[0], f"sheet-{seed}.jpg")
    return project


def test_worker_finds_the_insects_of_every_capture(platform: Platform, sheets: Project) -> None:
    with platform.workers("worker", batch_size=2):
        job = platform.wait_for_end(sheets.start_job())
    assert job.status == "SUCCESS"
    assert [job.figure("process", "processed"), job.figure("process", "failed")] == [6, 0]
    found = job.figure("results", "detections")
    assert 0.6 * 6 * INSECTS <= found <= 1.4 * 6 * INSECTS
    assert found == sum(row["detections"] for row in platform.ledger(job.id))
    captures = platform.ask("GET", f"/captures/?project_id={sheets.id}&with_detections=true")["results"]
    assert sum(len(capture["detections"]) for capture in captures) == found


def test_unreadable_image_fails_with_its_reason_and_the_rest_succeeds(
    platform: Platform, sheets: Project
) -> None:
    (path,) = platform.database.rows(
        "SELECT path FROM main_sourceimage WHERE project_id = %s ORDER BY id LIMIT 1", sheets.id
    )[0]
    Path(platform.folder, "media", path).write_bytes(b"this was a photograph once")
    with platform.workers("worker", batch_size=3):
        job = platform.wait_for_end(sheets.start_job())
    assert job.status == "SUCCESS"
    ledger = platform.ledger(job.id)
    assert Counter(row["status"] for row in ledger) == {PROCESSED: 5, FAILED: 1}
    (failure,) = [row for row in ledger if row["status"] == FAILED]
    assert failure["error_code"] == "unreadable_image"
    assert "not an image" in failure["error_text"]
    assert failure["attempt"] == 1


def test_two_workers_share_a_job_without_overlap(platform: Platform, sheets: Project) -> None:
    with platform.workers("left", "right", batch_size=1):
        job = platform.wait_for_end(sheets.start_job())
    assert job.status == "SUCCESS"
    ledger = platform.ledger(job.id)
    assert {(row["status"], row["attempt"]) for row in ledger} == {(PROCESSED, 1)}
    assert {row["worker"].partition(" / ")[0] for row in ledger} == {"left", "right"}


def test_result_of_a_cancelled_job_is_answered_cancelled(platform: Platform, project: Project) -> None:
    project.upload_blank(3)
    job_id = project.start_job()
    tasks = project.hold(job_id, 2)
    assert platform.ask("POST", f"/jobs/{job_id}/cancel/")["status"] == "REVOKED"
    assert project.post(job_id, tasks) == ["cancelled", "cancelled"]
    assert project.reserve(job_id, 2) == []
    assert platform.admin.job(job_id).status == "REVOKED"
    assert {row["status"] for row in platform.ledger(job_id)} == {CANCELLED}
