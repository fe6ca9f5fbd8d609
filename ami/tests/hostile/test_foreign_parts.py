"""Own objects made of, or moved to, what belongs to another project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ami.main.tests.factories import image_bytes
from ami.tests.hostile.cases import Call, Case, assert_refused, each, untouched
from ami.tests.hostile.estate import API, Estate

pytestmark = [pytest.mark.hostile, pytest.mark.integration]

STRANGER = (400, "This does not belong to the project.")
UNMOVED = (400, "cannot change")
UNKNOWN = (400, "object does not exist")
Make = Callable[[Estate], Call]


def job(field: str, kind: str) -> Make:
    """A job in the own project, with a part of the owner's."""
    return lambda estate: estate.call("POST", "jobs/", job_of(estate) | {field: estate.ids[kind]})


def job_of(estate: Estate) -> dict[str, Any]:
    """A good job of the intruder."""
    named = {"project_id": estate.home.pk, "pipeline_id": estate.pipeline.pk}
    return {"name": "Mine", "delay": 0, "source_image_collection_id": estate.capture_set.pk, **named}


def change(path: str, own: str, kind: str) -> Make:
    """An object of the intruder (an attribute of the estate), with a part of the owner's."""

    def make(estate: Estate) -> Call:
        names = {
            "project": ("project", "project_id"),
            "sourceimagecollection": ("source_image_collection_id",),
        }
        body = dict.fromkeys(names[kind], estate.ids[kind])
        return estate.call("PATCH", f"{path}/{getattr(estate, own).pk}/", body)

    return make


def deployment(estate: Estate) -> Call:
    """A station of the intruder at the owner's site."""
    body = {"name": "Mine", "project_id": estate.home.pk, "research_site_id": estate.ids["site"]}
    return estate.call("POST", "deployments/", body)


def capture(estate: Estate) -> Call:
    """A capture of the intruder at the owner's station."""
    body = {"project": estate.home.pk, "path": "x.jpg", "public_base_url": "https://images.example.org"}
    return estate.call("POST", "captures/", body | {"deployment_id": estate.ids["deployment"]})


def chosen(estate: Estate) -> Call:
    """A set of the intruder that names a capture of the owner's."""
    kwargs = {"image_ids": [estate.capture.pk, estate.ids["capture"]]}
    body = {"name": "Mine", "project": estate.home.pk, "method": "manual", "kwargs": kwargs}
    return estate.call("POST", "captures/collections/", body)


def added(estate: Estate) -> Call:
    """A capture of the owner's, put into a set of the intruder."""
    path = f"captures/collections/{estate.capture_set.pk}/add/"
    return estate.call("POST", path, {"source_image": estate.ids["capture"]})


def minted(estate: Estate) -> Call:
    """A key of the intruder's service that is to be good in the owner's project."""
    body = {"projects": [estate.home.pk, estate.ids["project"]]}
    return estate.call("POST", f"ml/processing_services/{estate.service.pk}/keys/", body)


def export(name: str, kind: str) -> Make:
    """An export in the own project of what is the owner's."""

    def make(estate: Estate) -> Call:
        body = {"project": estate.home.pk, "format": "csv", "filters": {name: estate.ids[kind]}}
        return estate.call("POST", "exports/", body)

    return make


def exported_project(estate: Estate) -> Call:
    """An export of the owner's project."""
    return estate.call("POST", "exports/", {"project": estate.ids["project"], "format": "csv"})


def default_pipeline(estate: Estate) -> Call:
    """The owner's pipeline as the default one of the intruder's project."""
    return estate.call(
        "PATCH", "projects/{home}/", {"settings": {"default_processing_pipeline_id": estate.ids["pipeline"]}}
    )


@each(
    Case("job on a capture set", job("source_image_collection_id", "sourceimagecollection"), *STRANGER),
    Case("job on a single capture", job("source_image_single_id", "capture"), *STRANGER),
    Case("job with a pipeline", job("pipeline_id", "pipeline"), 400, "not enabled in this project"),
    Case("own job on a capture set", change("jobs", "job", "sourceimagecollection"), *STRANGER),
    Case("station at a site", deployment, *STRANGER),
    Case("own station moved", change("deployments", "deployment", "project"), *UNMOVED),
    Case("own set moved", change("captures/collections", "capture_set", "project"), *UNMOVED),
    Case("capture at a station", capture, *STRANGER),
    Case("set of captures", chosen, 400, "The project has no capture"),
    Case("capture into an own set", added, 404, "Not found."),
    Case("key for the project", minted, 403, "You do not manage one of these projects"),
    Case("default pipeline", default_pipeline, 400, "The project has no such pipeline."),
    Case("export of a set", export("collection_id", "sourceimagecollection"), 400, "has no capture set"),
    Case("export of a job", export("job_id", "job"), 400, "has no job"),
    Case("export of the project", exported_project, 403, "permission"),
)
def test_parts_of_another_project_are_refused(estate: Estate, case: Case) -> None:
    assert_refused(estate, case)


@each(
    Case("job on a capture set", job("source_image_collection_id", "sourceimagecollection"), *UNKNOWN),
    Case("job with a pipeline", job("pipeline_id", "pipeline"), *UNKNOWN),
    Case("station at a site", deployment, *UNKNOWN),
    Case("key for the project", minted, *UNKNOWN),
    Case("export of the project", exported_project, *UNKNOWN),
    Case("export of a job", export("job_id", "job"), 400, "has no job"),
)
def test_parts_of_a_hidden_project_are_told_from_nothing(hidden_estate: Estate, case: Case) -> None:
    assert_refused(hidden_estate, case)


def test_nobody_uploads_to_the_station_of_another_project(estate: Estate) -> None:
    image = SimpleUploadedFile("moth.jpg", image_bytes(), "image/jpeg")
    form = {"image": image, "deployment": estate.ids["deployment"]}
    with untouched(estate):
        answer: Any = estate.intruder.post(f"{API}captures/upload/?process_now=0", form, format="multipart")
    assert (answer.status_code, "permission" in answer.json()["detail"]) == (403, True)
