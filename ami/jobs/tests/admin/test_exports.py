"""Exports in the admin: the list, the file, the actions on jobs, and deletion."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.models import DataExport, ExportFormat, Job
from ami.jobs.tests.world import World
from ami.users.tests.factories import make_user

pytestmark = pytest.mark.integration

LIST = "admin:jobs_dataexport_changelist"


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    """A media storage of this test's own."""
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def operator(world: World, client: Client) -> Client:
    """A superuser, logged in."""
    client.force_login(make_user(name="Operator", is_superuser=True, is_staff=True))
    return client


def ask(operator: Client, export_format: ExportFormat, *jobs: Job) -> str:
    """Choose the action for jobs; the page that comes back."""
    data = {"action": f"export_jobs_as_{export_format}", "_selected_action": [job.pk for job in jobs]}
    answer = operator.post(reverse("admin:jobs_job_changelist"), data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def finished(world: World, job: Job) -> DataExport:
    """An export of the job, by the admin's action."""
    export = DataExport.objects.get(filters={"job_id": job.pk})
    dispatch_job(export.job.pk)
    export.refresh_from_db()
    assert export.file
    return export


def test_jobs_are_exported_and_their_files_downloaded(operator: Client, world: World) -> None:
    jobs = [world.started_job(images=2) for _ in range(2)]
    world.work_off(jobs[0])
    assert "Exports began: 2" in ask(operator, ExportFormat.CSV, *jobs)
    export = finished(world, jobs[0])
    page = operator.get(reverse(LIST)).content.decode()
    assert f"job {jobs[0].pk}" in page
    address = reverse("api:dataexport-download", args=[export.pk])
    link = page.split(f'href="{address}')[1].split('"')[0].replace("&amp;", "&")
    answer = operator.get(address + link)
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content).count(b",moth,") == 4  # type: ignore[attr-defined]
    assert operator.get(reverse("admin:jobs_dataexport_change", args=[export.pk])).status_code == 200


def test_a_job_that_cannot_be_exported_says_why_and_keeps_no_other(operator: Client, world: World) -> None:
    fine, without_pipeline = world.job(), world.job()
    Job.objects.filter(pk=without_pipeline.pk).update(pipeline=None)
    page = ask(operator, ExportFormat.JSONL, fine, without_pipeline)
    assert "Exports began: 1" in page
    assert "has no pipeline" in page


def test_deleting_exports_deletes_their_jobs_and_files(operator: Client, world: World, media: Path) -> None:
    job = world.started_job(images=1)
    ask(operator, ExportFormat.CSV, job)
    export = finished(world, job)
    data = {"action": "delete_selected", "_selected_action": [export.pk], "post": "yes"}
    operator.post(reverse(LIST), data)
    assert not DataExport.objects.exists()
    assert not Job.objects.filter(job_type_key="data_export").exists()
    assert [path for path in media.rglob("*") if path.is_file()] == []


def test_a_list_costs_the_same_however_many_exports_it_shows(operator: Client, world: World) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            operator.get(reverse(LIST))
        return len(captured)

    job = world.job()
    ask(operator, ExportFormat.CSV, job)
    cost()
    few = cost()
    for _ in range(5):
        ask(operator, ExportFormat.CSV, job)
    assert cost() == few


def test_nobody_adds_an_export_here(operator: Client) -> None:
    assert operator.get("/admin/jobs/dataexport/add/").status_code == 403
