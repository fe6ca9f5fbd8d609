"""A researcher's evening: a job has ended, and its results are wanted as files."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest
import requests

from ami.tests.e2e.made_up import BOXES
from ami.tests.e2e.platform import PATIENCE_SECONDS, Platform
from ami.tests.e2e.project import Project

IMAGES = 4


def exported(platform: Platform, project: Project, export_format: str, job_id: int) -> dict[str, Any]:
    """An export of a job, once its own job has ended."""
    body = {"project": project.id, "format": export_format, "filters": {"job_id": job_id}}
    export = platform.ask("POST", "/exports/", body)
    ended = platform.wait_for_end(export["job"]["id"])
    assert ended.status == "SUCCESS"
    found: dict[str, Any] = platform.ask("GET", f"/exports/{export['id']}/")
    return found


def downloaded(export: dict[str, Any]) -> bytes:
    """The file, by its link alone."""
    answer = requests.get(export["file_url"], timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == export["size"]
    return answer.content


@pytest.mark.parametrize("export_format", ["csv", "camtrap_dp"])
def test_the_results_of_a_job_are_downloaded_as_a_file(
    platform: Platform, project: Project, export_format: str
) -> None:
    platform.ask("PATCH", f"/deployments/{project.deployment_id}/", {"latitude": 9.15, "longitude": -79.85})
    project.upload_blank(IMAGES)
    job_id = project.start_job()
    project.assert_exact(project.work_off(job_id), IMAGES)
    export = exported(platform, project, export_format, job_id)
    file = downloaded(export)
    if export_format == "csv":
        text = file.decode("utf-8-sig")
    else:
        with zipfile.ZipFile(io.BytesIO(file)) as package:
            text = package.read("observations.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == export["rows_written"] == IMAGES * BOXES
    with_token = requests.delete(
        f"{platform.url}/api/v2/exports/{export['id']}/",
        headers={"Authorization": f"Token {platform.admin.token}"},
        timeout=PATIENCE_SECONDS,
    )
    assert with_token.status_code == 204
    assert requests.get(export["file_url"], timeout=PATIENCE_SECONDS).status_code == 404
    assert not list((platform.folder / "media" / "exports").rglob("*.*"))
