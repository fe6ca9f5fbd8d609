"""Calls that start jobs on stations and capture sets: who may make them, and what they answer."""

from __future__ import annotations

from typing import Any

import pytest

from ami.jobs.models import Job
from ami.jobs.tests.api.lab import EVERYBODY, JOBS, Lab
from ami.main.models import Deployment, SourceImageCollection, StorageSource
from ami.main.tests.factories import make_deployment

pytestmark = pytest.mark.integration

STATIONS = "/api/v2/deployments/"
MAY_SYNC = {"data_manager", "manager", "superuser"}
MAY_REGROUP = {"manager", "superuser"}


@pytest.fixture
def source(lab: Lab) -> StorageSource:
    """A data source of the lab's project; the lab's station delivers to it."""
    made = StorageSource.objects.create(project=lab.world.project, name="Bucket", bucket="traps")
    Deployment.objects.filter(pk=lab.world.deployment.pk).update(data_source=made)
    return made


def status_of(who: str, allowed: set[str], good: int = 200) -> int:
    """What somebody gets."""
    return good if who in allowed else 401 if who == "anonymous" else 403


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("who", EVERYBODY)
def test_who_may_look_for_captures_group_them_and_fill_sets(lab: Lab, who: str) -> None:
    station = f"{STATIONS}{lab.world.deployment.pk}/"
    capture_set = SourceImageCollection.objects.create(project=lab.world.project, name="S", method="random")
    calls = {
        f"{station}sync/": status_of(who, MAY_SYNC),
        f"{STATIONS}sync-all/?project_id={lab.world.project.pk}": status_of(who, MAY_SYNC),
        f"{station}regroup-sessions/": status_of(who, MAY_REGROUP, 202),
        f"/api/v2/captures/collections/{capture_set.pk}/populate/": status_of(who, MAY_SYNC),
    }
    for path, expected in calls.items():
        answer = lab.post(path, who=who)
        assert (path, answer.status_code) == (path, expected)


@pytest.mark.usefixtures("source")
def test_looking_for_captures_starts_one_job_and_no_second(lab: Lab) -> None:
    station = lab.world.deployment
    answer = lab.post(f"{STATIONS}{station.pk}/sync/", who="manager")
    job = Job.objects.get()
    assert answer.json() == {"job_id": job.pk, "project_id": station.project_id}
    assert (job.job_type_key, job.status, job.deployment_id) == ("data_storage_sync", "PENDING", station.pk)
    assert job.created_by == lab.user("manager")
    assert lab.post(f"{STATIONS}{station.pk}/sync/").json()["job_id"] == job.pk
    shown = lab.get(f"{JOBS}{job.pk}/").json()
    assert shown["job_type"] == {"name": "Data storage sync", "key": "data_storage_sync"}
    assert [
        (stage["key"], [param["key"] for param in stage["params"]]) for stage in shown["progress"]["stages"]
    ] == [
        ("data_storage_sync", ["total_files", "failed"]),
        (
            "regroup_sessions",
            [
                "captures_grouped",
                "events_created",
                "events_touched",
                "empty_events_deleted",
                "duplicate_timestamps",
                "ungrouped_captures",
                "captures_missing_timestamp",
            ],
        ),
    ]
    assert shown["dispatch_mode"] == "internal"


def test_a_station_without_a_data_source_is_refused_in_the_words_of_the_contract(lab: Lab) -> None:
    answer = lab.post(f"{STATIONS}{lab.world.deployment.pk}/sync/")
    assert answer.status_code == 400
    assert answer.json() == ["Deployment must have a data source to sync captures from"]
    assert not Job.objects.exists()


def test_all_stations_with_a_data_source_are_looked_through(lab: Lab, source: StorageSource) -> None:
    project = lab.world.project
    second = make_deployment(project, data_source=source)
    make_deployment(project)
    answer: Any = lab.post(f"{STATIONS}sync-all/?project_id={project.pk}", who="data_manager").json()
    jobs = list(Job.objects.order_by("pk"))
    assert answer == {"job_ids": [job.pk for job in jobs], "queued": 2, "project_id": project.pk}
    assert [job.deployment_id for job in jobs] == [lab.world.deployment.pk, second.pk]
    assert lab.post(f"{STATIONS}sync-all/").json() == {"project_id": ["This field is required."]}
    assert lab.post(f"{STATIONS}sync-all/?project_id=999999").status_code == 404


def test_grouping_answers_with_its_job(lab: Lab) -> None:
    station = lab.world.deployment
    answer = lab.post(f"{STATIONS}{station.pk}/regroup-sessions/", who="manager")
    job = Job.objects.get()
    assert answer.json() == {"job_id": job.pk, "deployment_id": station.pk, "project_id": station.project_id}
    assert (job.job_type_key, job.status) == ("regroup_events", "PENDING")


def test_filling_a_set_answers_with_its_job(lab: Lab) -> None:
    project = lab.world.project
    lab.world.captures(3)
    body = {"name": "S", "project": project.pk, "method": "random", "kwargs": {"size": 2}}
    made = lab.client("data_manager").post("/api/v2/captures/collections/", body, format="json").json()
    answer = lab.post(f"/api/v2/captures/collections/{made['id']}/populate/", who="data_manager").json()
    job = Job.objects.get()
    assert answer == {"job_id": job.pk, "project_id": project.pk}
    lab.world.dispatch(job)
    shown = lab.get(f"/api/v2/captures/collections/{made['id']}/").json()
    assert shown["source_images_count"] == 2
    assert shown["jobs"][0]["status"] == "SUCCESS"
