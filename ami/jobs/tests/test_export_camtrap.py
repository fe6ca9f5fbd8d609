"""Camtrap DP exports, judged by the published table schemas and by what is in the database."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import frictionless
import jsonschema
import pytest
from pytest_django.fixtures import Settings

from ami.jobs.exports import camtrap_columns, camtrap_dp, storage
from ami.jobs.exports import rows as reading
from ami.jobs.exports.create import create_export
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.models import DataExport, Job
from ami.jobs.tests.exporting import Findings
from ami.jobs.tests.world import World
from ami.main.models import Deployment, Site, Taxon
from ami.main.tests.factories import make_deployment
from ami.ml.models import Classification, Detection
from ami.users.tests.factories import make_user

pytestmark = pytest.mark.integration

SCHEMAS = Path(next(iter(camtrap_dp.__path__)))
TABLES = ("deployments", "media", "observations")


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    """A media storage of this test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"


def schema_of(table: str) -> dict[str, Any]:
    """What the standard demands of a table."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{table}-table-schema.json").read_text())
    return found


class Package:
    """A finished package, unpacked."""

    def __init__(self, export: DataExport, folder: Path) -> None:
        """`folder`: where to unpack it."""
        with zipfile.ZipFile(storage.finished_file(export)) as file:
            assert file.testzip() is None
            file.extractall(folder)
        self.folder = folder
        self.about: dict[str, Any] = json.loads((folder / "datapackage.json").read_text())

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a table."""
        with (self.folder / f"{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def problems(self) -> list[str]:
        """By table schemas, keys and relations; raises for what the profile of the metadata forbids."""
        profile = json.loads((SCHEMAS / "camtrap-dp-profile.json").read_text())
        checker = jsonschema.Draft7Validator.FORMAT_CHECKER
        jsonschema.validate(self.about, profile, jsonschema.Draft7Validator, format_checker=checker)
        resources = [
            {**resource, "schema": schema_of(resource["name"])} for resource in self.about["resources"]
        ]
        described = {"name": self.about["name"], "resources": resources}
        package = frictionless.Package.from_descriptor(described, basepath=str(self.folder))
        return [error[0] for error in package.validate().flatten(["type"])]


def exported(world: World, folder: Path, **filters: Any) -> Package:
    """An export, carried to its end, unpacked and valid."""
    export = create_export(
        project=world.project,
        export_format="camtrap_dp",
        filters=filters,
        user=make_user(name="Ada"),
        base_url="https://ami.example.org",
    )
    dispatch_job(export.job.pk)
    export = DataExport.objects.get(pk=export.pk)
    job = Job.objects.get(data_export=export)
    assert job.status == "SUCCESS", job.diagnostics
    package = Package(export, folder)
    assert package.problems() == []
    assert len(package.table("observations")) == export.rows_written
    return package


@pytest.fixture
def station(light_world: World) -> Deployment:
    """The world's station, at a place and in a zone."""
    station = light_world.deployment
    station.latitude, station.longitude, station.time_zone = 9.15, -79.85, "America/Panama"
    station.research_site = Site.objects.create(project=light_world.project, name="Barro | Colorado")
    station.save()
    return station


@pytest.mark.parametrize(
    ("table", "old", "new", "problem"),
    [
        ("media", "image/jpeg", "text/plain", "constraint-error"),
        ("observations", ",blank,", ",nothing,", "constraint-error"),
        ("observations", "-05:00", "", "type-error"),
        ("deployments", "9.15", "99", "constraint-error"),
        ("deployments", "{station},", "7{station},", "foreign-key"),
    ],
)
def test_a_package_that_is_wrong_would_be_noticed(
    light_world: World, station: Deployment, tmp_path: Path, table: str, old: str, new: str, problem: str
) -> None:
    Findings(light_world).nothing(light_world.captures(1)[0])
    package = exported(light_world, tmp_path / "package")
    file = package.folder / f"{table}.csv"
    text = file.read_text()
    changed = text.replace(old.format(station=station.pk), new.format(station=station.pk))
    assert changed != text
    file.write_text(changed)
    assert problem in package.problems()


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_are_those_of_the_standard(table: str) -> None:
    names = [field["name"] for field in schema_of(table)["fields"]]
    assert tuple(names) == getattr(camtrap_columns, table.upper())


def test_a_package_says_what_is_in_the_database(
    light_world: World, station: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CAPTURES_AT_ONCE", 3)
    found = Findings(light_world)
    other = make_deployment(light_world.project, latitude=-10, longitude=20)
    captures = light_world.captures(5, width=4000, height=3000)
    captures += light_world.captures(4, deployment=other)
    for number, capture in enumerate(captures):
        if number % 3 == 0:
            found.nothing(capture)
        for box in range(number % 3):
            found.box(capture, names=["moth", "beetle"][: box + 1])
    found.box(captures[0], detector=found.another_algorithm())
    package = exported(light_world, tmp_path / "package")
    observations = package.table("observations")
    kinds = Counter(row["observationType"] for row in observations)
    mine = Detection.objects.filter(source_image__project=light_world.project)
    assert kinds["animal"] == Classification.objects.filter(detection__in=mine).count()
    assert kinds["unclassified"] == 1
    assert kinds["blank"] == mine.filter(x1=None).count()
    assert {row["mediaID"] for row in package.table("media")} == {str(capture.pk) for capture in captures}
    assert {row["deploymentID"] for row in package.table("deployments")} == {str(station.pk), str(other.pk)}


def test_an_observation_says_where_it_comes_from(
    light_world: World, station: Deployment, tmp_path: Path
) -> None:
    capture = light_world.captures(1, width=1000, height=500)[0]
    job = light_world.job(source_image_collection=light_world.capture_set([capture]))
    Taxon.objects.update_or_create(name="moth", defaults={"rank": "ORDER", "gbif_key": 797})
    box = Findings(light_world).box(
        capture, names=["moth"], job_id=job.pk, x1=-20.0, x2=250.0, y1=100.0, y2=600.0
    )
    package = exported(light_world, tmp_path / "package")
    (row,) = package.table("observations")
    assert {key: value for key, value in row.items() if value} == {
        "observationID": f"c{box.classifications.get().pk}",
        "deploymentID": str(station.pk),
        "mediaID": str(capture.pk),
        "eventStart": "2024-05-31T19:00:00-05:00",
        "eventEnd": "2024-05-31T19:00:00-05:00",
        "observationLevel": "media",
        "observationType": "animal",
        "scientificName": "moth",
        "count": "1",
        "bboxX": "0.0",
        "bboxY": "0.2",
        "bboxWidth": "0.25",
        "bboxHeight": "0.8",
        "classificationMethod": "machine",
        "classifiedBy": "classifier v1",
        "classificationTimestamp": "2024-06-02T01:02:03Z",
        "classificationProbability": "0.75",
        "observationTags": f"detection:{box.pk} | detector:detector v1 | taxonRank:ORDER | terminal:true | "
        f"pipeline:{light_world.pipeline.slug} | job:{job.pk}",
    }
    (taxon,) = package.about["taxonomic"]
    assert taxon == {
        "scientificName": "moth",
        "taxonID": "https://www.gbif.org/species/797",
        "taxonRank": "order",
    }
    assert package.about["contributors"] == [{"title": "Ada", "role": "contributor"}]
    assert package.about["temporal"] == {"start": "2024-05-31", "end": "2024-05-31"}
    (place,) = package.table("deployments")
    assert (place["deploymentGroups"], place["locationName"]) == ("site:Barro / Colorado", "Station")


def test_a_deployment_is_as_long_as_its_captures(
    light_world: World, station: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CAPTURES_AT_ONCE", 1)
    for day in (12, 3, 25):
        light_world.captures(1, timestamp=datetime(2024, 7, day, 3, 4, 5, 678, tzinfo=UTC))
    (row,) = exported(light_world, tmp_path / "package").table("deployments")
    assert (row["deploymentStart"], row["deploymentEnd"]) == (
        "2024-07-02T22:04:05-05:00",
        "2024-07-24T22:04:05-05:00",
    )


def test_a_box_that_has_no_share_of_its_capture_is_told_in_pixels(
    light_world: World, station: Deployment, tmp_path: Path
) -> None:
    unknown, small = light_world.captures(1)[0], light_world.captures(1, width=100, height=100)[0]
    for capture in (unknown, small):
        Findings(light_world).box(capture, x1=200.0, x2=300.0, y1=5.0, y2=9.0)
    rows = exported(light_world, tmp_path / "package").table("observations")
    assert {row["bboxWidth"] for row in rows} == {""}
    assert all("boxInPixels:200,5,300,9" in row["observationTags"] for row in rows)


@pytest.mark.parametrize(
    ("fields", "path", "public"),
    [
        ({"path": "a b/ü.jpg"}, "https://images.example/a%20b/%C3%BC.jpg", "true"),
        ({"path": "a.png", "public_base_url": ""}, "https://ami.example.org/api/v2/captures/{key}/", "false"),
        ({"path": "../a.jpg"}, "https://ami.example.org/api/v2/captures/{key}/", "false"),
        (
            {"path": "a.jpg", "public_base_url": "no address"},
            "https://ami.example.org/api/v2/captures/{key}/",
            "false",
        ),
    ],
)
def test_every_file_has_an_address_that_the_standard_takes(
    light_world: World, station: Deployment, tmp_path: Path, fields: dict[str, str], path: str, public: str
) -> None:
    capture = light_world.captures(1)[0]
    type(capture).objects.filter(pk=capture.pk).update(**fields)
    (row,) = exported(light_world, tmp_path / "package").table("media")
    assert row["filePath"] == path.format(key=capture.pk)
    assert row["filePublic"] == public


def test_what_the_standard_cannot_express_is_left_out_and_counted(
    light_world: World, station: Deployment, tmp_path: Path
) -> None:
    found = Findings(light_world)
    nowhere = make_deployment(light_world.project)
    left_out = [
        *light_world.captures(2, deployment=None),
        *light_world.captures(1, deployment=nowhere),
        *light_world.captures(1, timestamp=None),
    ]
    kept = light_world.captures(1)[0]
    for capture in [*left_out, kept]:
        found.box(capture, names=["moth"])
    package = exported(light_world, tmp_path / "package")
    assert [row["mediaID"] for row in package.table("media")] == [str(kept.pk)]
    said = (
        "4 of 5 captures are left out, because Camtrap DP cannot express them: 1 are of stations without "
        "coordinates, 2 have no station, 1 have no time."
    )
    assert said in package.about["description"]
    job = Job.objects.get(job_type_key="data_export", project=light_world.project)
    assert any("2 have no station" in line.message for line in job.log_entries.all())
    figures = {param["key"]: param["value"] for stage in job.stages.all() for param in stage.params}
    assert figures["left_out"] == 4


@pytest.mark.parametrize("captures", [0, 2])
def test_a_package_of_nothing_fails_and_says_what_to_do(light_world: World, captures: int) -> None:
    light_world.captures(captures)
    export = create_export(
        project=light_world.project, export_format="camtrap_dp", filters={}, user=None, base_url=""
    )
    dispatch_job(export.job.pk)
    job = Job.objects.get(data_export=export)
    assert job.status == "FAILURE"
    assert ("complete the stations" if captures else "no captures") in job.diagnostics[0]


def test_the_tables_are_read_by_the_library_like_any_csv(
    light_world: World, station: Deployment, tmp_path: Path
) -> None:
    Findings(light_world).box(light_world.captures(1)[0], names=['Say "ah", he said\n'])
    package = exported(light_world, tmp_path / "package")
    text = (package.folder / "observations.csv").read_text()
    assert next(csv.DictReader(io.StringIO(text)))["scientificName"] == 'Say "ah", he said\n'
