"""Exports over HTTP: who may, what they look like, and the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.models import DataExport, Job
from ami.jobs.tests.api.lab import JOBS, Lab, at
from ami.jobs.tests.exporting import Findings

pytestmark = pytest.mark.integration

EXPORTS = "/api/v2/exports/"


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    """A media storage of this test's own."""
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def ask(lab: Lab, who: str = "manager", **fields: Any) -> Any:
    """POST a new export."""
    return lab.post(EXPORTS, {"project": lab.world.project.pk, "format": "csv"} | fields, who)


def made(lab: Lab, who: str = "manager", **fields: Any) -> dict[str, Any]:
    """An export whose file is there, as somebody sees it."""
    answer = ask(lab, **fields)
    assert answer.status_code == 201, answer.json()
    dispatch_job(answer.json()["job"]["id"])
    found: dict[str, Any] = lab.get(f"{EXPORTS}{answer.json()['id']}/", who).json()
    return found


def body_of(answer: Any) -> bytes:
    """The file."""
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def test_an_export_is_asked_for_watched_and_downloaded(lab: Lab) -> None:
    Findings(lab.world).box(lab.world.captures(1)[0], names=["moth"])
    capture_set = lab.world.capture_set(list(lab.world.project.captures.all()))
    answer = ask(lab, filters={"collection_id": capture_set.pk})
    assert answer.status_code == 201
    new = answer.json()
    assert new["file_url"] is None
    assert (new["job"]["status"], new["job"]["progress"]) == ("PENDING", 0)
    assert new["filters"] == {"collection_id": capture_set.pk}
    assert new["user"] == lab.user("manager").pk
    dispatch_job(new["job"]["id"])
    export = lab.get(f"{EXPORTS}{new['id']}/", "manager").json()
    assert (export["job"]["status"], export["rows_written"]) == ("SUCCESS", 1)
    download = lab.get(export["file_url"], "anonymous")
    assert download.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f"export-{export['id']}.csv" in download.headers["Content-Disposition"]
    data = body_of(download)
    assert len(data) == export["size"] == int(download.headers["Content-Length"])
    assert data.count(b"\r\n") == 2


def test_its_job_shows_it_as_the_contract_has_it(lab: Lab) -> None:
    export = made(lab)
    shown = lab.get(f"{JOBS}{export['job']['id']}/", "member").json()
    assert list(shown["data_export"]) == ["id", "user", "project", "format", "filters", "file_url"]
    assert shown["data_export"]["file_url"].startswith(f"http://testserver{EXPORTS}{export['id']}/download/?")
    assert shown["job_type"]["key"] == "data_export"
    assert [stage["key"] for stage in shown["progress"]["stages"]] == ["data_export", "uploading_snapshot"]
    (figure,) = shown["progress"]["stages"][1]["params"]
    assert figure["key"] == "file_url"
    assert figure["value"] == f"http://testserver{EXPORTS}{export['id']}/download/"
    hidden = lab.get(f"{JOBS}{export['job']['id']}/", "outsider").json()
    assert hidden["data_export"]["file_url"] is None


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("anonymous", 401),
        ("outsider", 403),
        ("member", 403),
        ("researcher", 201),
        ("identifier", 403),
        ("data_manager", 403),
        ("manager", 201),
        ("worker", 403),
        ("superuser", 201),
    ],
)
def test_researchers_and_managers_export(lab: Lab, who: str, status: int) -> None:
    answer = ask(lab, who)
    assert answer.status_code == status
    assert DataExport.objects.exists() == (status == 201) == Job.objects.exists()


@pytest.mark.parametrize(
    ("who", "reads", "deletes"),
    [
        ("anonymous", 404, 404),
        ("outsider", 404, 404),
        ("member", 200, 403),
        ("researcher", 200, 204),
        ("data_manager", 200, 403),
        ("superuser", 200, 204),
    ],
)
def test_people_with_a_role_read_and_who_exports_deletes(
    lab: Lab, who: str, reads: int, deletes: int
) -> None:
    export = made(lab)
    address = f"{EXPORTS}{export['id']}/"
    download = lab.get(f"{address}download/", who)
    assert (lab.get(address, who).status_code, download.status_code) == (reads, reads)
    if reads == 200:
        body_of(download)
    assert len(lab.get(EXPORTS, who).json()["results"]) == (reads == 200)
    assert lab.client(who).delete(address).status_code == deletes
    assert Job.objects.filter(pk=export["job"]["id"]).exists() == (deletes != 204)


def test_a_machine_sees_no_exports(lab: Lab) -> None:
    export = made(lab)
    machine = lab.machine()
    assert machine.get(EXPORTS).json()["results"] == []
    assert machine.get(f"{EXPORTS}{export['id']}/download/").status_code == 404
    assert machine.get(f"{JOBS}{export['job']['id']}/").json()["data_export"]["file_url"] is None


@pytest.mark.parametrize(
    ("fields", "key", "words"),
    [
        ({"format": "xls"}, "format", "not a valid choice"),
        ({"format": None}, "format", "may not be null"),
        ({"project": 10**6}, "project", "does not exist"),
        ({"filters": {"job": 1}}, "filters", "no filter 'job'"),
        ({"filters": {"job_id": 10**6}}, "filters", "has no job"),
        ({"filters": {"job_id": "x"}}, "filters", "is the number of"),
        ({"filters": {"collection_id": 1, "job_id": 2}}, "filters", "not both"),
        ({"filters": "all"}, "filters", "is an object"),
        ({"filters": None}, "filters", "may not be null"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    lab: Lab, fields: dict[str, Any], key: str, words: str
) -> None:
    answer = ask(lab, **fields)
    assert answer.status_code == 400
    assert words in str(answer.json()[key])
    assert not Job.objects.exists()


def test_a_link_is_good_for_its_export_and_for_a_while(lab: Lab, settings: Settings) -> None:
    one, other = made(lab), made(lab)
    stranger = APIClient()
    assert body_of(stranger.get(one["file_url"]))
    moved = one["file_url"].replace(f"/{one['id']}/", f"/{other['id']}/")
    assert stranger.get(moved).status_code == 403
    assert stranger.get(one["file_url"].replace("signature=", "signature=x")).status_code == 403
    settings.MEDIA_LINK_SECONDS = -1
    old = lab.get(f"{EXPORTS}{one['id']}/", "manager").json()["file_url"]
    assert "has expired" in stranger.get(old).json()["detail"]
    lab.client("manager").delete(f"{EXPORTS}{one['id']}/")
    assert stranger.get(one["file_url"]).status_code == 404


def test_there_is_no_file_before_the_job_is_done(lab: Lab) -> None:
    export = ask(lab).json()
    answer = lab.get(f"{EXPORTS}{export['id']}/download/", "manager")
    assert (answer.status_code, answer.json()["code"]) == (404, "file_gone")


def test_no_address_of_the_media_storage_leads_to_the_file(lab: Lab) -> None:
    export = DataExport.objects.get(pk=made(lab)["id"])
    assert lab.get(f"/media/{export.file}", "superuser").status_code == 404


def test_whatever_a_client_would_like_it_gets_the_file(lab: Lab) -> None:
    export = made(lab)
    answer = lab.client("manager").get(f"{EXPORTS}{export['id']}/download/", HTTP_ACCEPT="text/csv")
    assert body_of(answer)


def test_a_job_of_the_type_without_an_export_is_refused(lab: Lab) -> None:
    body = {"name": "x", "delay": 0, "project_id": lab.world.project.pk, "job_type_key": "data_export"}
    job = Job.objects.get(pk=lab.post(JOBS, body, "manager").json()["id"])
    answer = lab.post(at(job, "run"), who="manager")
    assert (answer.status_code, "create exports at" in answer.json()["detail"]) == (400, True)


def test_a_list_costs_the_same_for_one_export_and_for_ten(lab: Lab) -> None:
    def statements(address: str) -> int:
        lab.get(address, "member")  # a token is believed for some seconds, without a look
        with CaptureQueriesContext(connection) as captured:
            assert lab.get(address, "member").status_code == 200
        return len(captured)

    made(lab)
    few = statements(EXPORTS), statements(JOBS)
    for _ in range(9):
        made(lab)
    assert (statements(EXPORTS), statements(JOBS)) == few
    assert max(few) <= 7
