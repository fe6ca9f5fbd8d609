"""Export jobs: what is in the file, crashes, cancel and delete."""

from __future__ import annotations

import csv
import json
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.base.errors import InvalidInput
from ami.base.failpoints import arm
from ami.jobs.exports import rows as reading
from ami.jobs.exports import storage
from ami.jobs.exports.create import create_export, delete_export
from ami.jobs.exports.parts import alone_in
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.delete import delete_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import DataExport, Job
from ami.jobs.tests.exporting import Findings
from ami.jobs.tests.faults import killed_at, lose_claims, meanwhile
from ami.jobs.tests.world import World
from ami.main.models import Project
from ami.main.tests.factories import make_capture_set, make_project

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    """A media storage of this test's own."""
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two captures a step."""
    monkeypatch.setattr(reading, "CAPTURES_AT_ONCE", 2)


def new_export(world: World, export_format: str = "jsonl", **filters: Any) -> DataExport:
    """An export whose job is on its way."""
    return create_export(
        project=world.project, export_format=export_format, filters=filters, user=None, base_url="https://ami"
    )


def finished(export: DataExport) -> DataExport:
    """Carried to its end."""
    lose_claims()
    dispatch_job(export.job.pk)
    export = DataExport.objects.get(pk=export.pk)
    assert export.job.status == "SUCCESS", export.job.diagnostics
    return export


def lines_of(export: DataExport) -> list[dict[str, Any]]:
    """What a JSON Lines export says."""
    text = storage.finished_file(export).read_text()
    return [json.loads(line) for line in text.splitlines()]


def left_behind(media: Path) -> list[str]:
    """Every file in the storage."""
    return sorted(str(path.relative_to(media)) for path in media.rglob("*") if path.is_file())


def test_every_name_every_nameless_box_and_every_blank_capture_is_a_row(light_world: World) -> None:
    found = Findings(light_world)
    named, nameless, blank, _unseen = light_world.captures(4)
    found.box(named, names=["moth", "beetle"])
    found.box(named, names=["moth"])
    found.box(nameless)
    found.nothing(blank)
    export = finished(new_export(light_world))
    lines = lines_of(export)
    assert [(line["capture_id"], line["found"], line["label"]) for line in lines] == [
        (named.pk, True, "moth"),
        (named.pk, True, "beetle"),
        (named.pk, True, "moth"),
        (nameless.pk, True, None),
        (blank.pk, False, None),
    ]
    assert (export.rows_written, export.size) == (5, storage.finished_file(export).stat().st_size)
    stages = {stage.key: stage for stage in export.job.stages.all()}
    figures = {figure["key"]: figure["value"] for stage in stages.values() for figure in stage.params}
    assert figures == {
        "captures": 4,
        "rows": 5,
        "left_out": 0,
        "file_url": f"https://ami/api/v2/exports/{export.pk}/download/",
    }
    assert {stage.progress for stage in stages.values()} == {1.0}


def test_a_row_says_everything_about_where_it_comes_from(light_world: World) -> None:
    station = light_world.deployment
    station.latitude, station.longitude, station.time_zone = 9.15, -79.85, "America/Panama"
    station.save()
    capture = light_world.captures(1, width=4096, height=2160)[0]
    job = light_world.job(source_image_collection=light_world.capture_set([capture]))
    box = Findings(light_world).box(capture, names=["moth"], job_id=job.pk)
    (line,) = lines_of(finished(new_export(light_world)))
    name = box.classifications.get()
    expected = {
        "capture_id": capture.pk,
        "capture_path": capture.path,
        "capture_url": f"https://images.example/{capture.path}",
        "captured_at": "2024-05-31T19:00:00-05:00",
        "capture_width": 4096,
        "capture_height": 2160,
        "station_id": station.pk,
        "station": "Station",
        "site": None,
        "latitude": 9.15,
        "longitude": -79.85,
        "found": True,
        "detection_id": box.pk,
        "box_x1": box.x1,
        "box_y1": box.y1,
        "box_x2": box.x2,
        "box_y2": box.y2,
        "detection_algorithm": "detector",
        "detection_algorithm_version": 1,
        "detected_at": "2024-06-02T01:02:03+00:00",
        "job_id": job.pk,
        "pipeline": light_world.pipeline.slug,
        "classification_id": name.pk,
        "label": "moth",
        "taxon_rank": "ORDER",
        "gbif_key": None,
        "score": 0.75,
        "terminal": True,
        "classification_algorithm": "classifier",
        "classification_algorithm_version": 1,
        "classified_at": "2024-06-02T01:02:03+00:00",
    }
    assert line == expected
    assert list(line) == list(expected), "in this order"


def test_the_csv_is_for_people_and_their_spreadsheets(light_world: World) -> None:
    station = light_world.deployment
    station.name, station.longitude = '=HYPERLINK("evil")', -79.5
    station.save()
    found = Findings(light_world)
    for label in ("+1", "-2", "@SUM(A1)", "Piñas, Höhe"):
        found.box(light_world.captures(1)[0], names=[label])
    data = storage.finished_file(finished(new_export(light_world, "csv"))).read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    table = list(csv.DictReader(StringIO(data.decode("utf-8-sig"), newline="")))
    assert {row["station"] for row in table} == {'\'=HYPERLINK("evil")'}
    assert [row["label"] for row in table] == ["'+1", "'-2", "'@SUM(A1)", "Piñas, Höhe"]
    assert {row["longitude"] for row in table} == {"-79.5"}, "a number, and no formula"
    assert {row["terminal"] for row in table} == {"true"}


def test_an_empty_export_is_a_header(light_world: World) -> None:
    export = finished(new_export(light_world, "csv"))
    assert storage.finished_file(export).read_text("utf-8-sig").startswith("capture_id,")
    assert export.rows_written == 0


def test_a_set_holds_its_captures_and_a_full_set_those_of_the_project(light_world: World) -> None:
    found = Findings(light_world)
    captures = light_world.captures(3)
    for capture in captures:
        found.nothing(capture)
    chosen = light_world.capture_set(captures[1:])
    everything = make_capture_set(light_world.project, method="full")

    def exported(**filters: Any) -> list[int]:
        return [line["capture_id"] for line in lines_of(finished(new_export(light_world, **filters)))]

    assert exported(collection_id=chosen.pk) == [capture.pk for capture in captures[1:]]
    assert exported(collection_id=everything.pk) == exported() == [capture.pk for capture in captures]


def test_a_job_is_its_captures_and_what_its_algorithms_found_on_them(light_world: World) -> None:
    found = Findings(light_world)
    job = light_world.started_job(images=2)
    light_world.work_off(job)
    mine = light_world.images(job)
    other = found.another_algorithm()
    found.box(light_world.project.captures.get(pk=mine[0]), detector=other, names=["beetle"])
    found.nothing(light_world.captures(1)[0])
    lines = lines_of(finished(new_export(light_world, job_id=job.pk)))
    assert Counter(line["capture_id"] for line in lines) == dict.fromkeys(mine, 2)
    assert {line["detection_algorithm"] for line in lines} == {"detector"}
    everything = lines_of(finished(new_export(light_world)))
    assert len(everything) == len(lines) + 2


def test_a_marker_counts_only_while_its_algorithm_found_nothing(light_world: World) -> None:
    found = Findings(light_world)
    capture = light_world.captures(1)[0]
    found.nothing(capture)
    found.box(capture)
    found.nothing(capture, detector=found.another_algorithm())
    lines = lines_of(finished(new_export(light_world)))
    assert [(line["detection_algorithm"], line["found"]) for line in lines] == [
        ("detector", True),
        ("another", False),
    ]


@pytest.mark.usefixtures("small_steps")
def test_captures_that_come_while_it_runs_are_not_in_it(light_world: World) -> None:
    found = Findings(light_world)
    for capture in light_world.captures(4):
        found.box(capture, names=["moth"])

    def one_more() -> None:
        found.box(light_world.captures(1)[0], names=["beetle"])

    export = new_export(light_world)
    with meanwhile("export.before_commit", one_more):
        lines = lines_of(finished(export))
    assert len(lines) == 4


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("export_format", ["jsonl", "camtrap_dp"])
@pytest.mark.parametrize(
    "point",
    ["work.before_commit", "work.after_commit", "export.before_commit", "export.before_move", "export.moved"],
)
def test_a_slice_that_dies_anywhere_doubles_and_loses_nothing(
    world: World, point: str, export_format: str, media: Path
) -> None:
    found = Findings(world)
    world.deployment.latitude = world.deployment.longitude = 1
    world.deployment.save()
    for capture in world.captures(5):
        found.box(capture, names=["moth", "beetle"])
    undisturbed = storage.finished_file(finished(new_export(world, export_format)))
    export = new_export(world, export_format)
    for _ in range(3):
        killed_at(point, lambda: dispatch_job(export.job.pk))
        lose_claims()
    export = finished(export)
    assert found.same_content(storage.finished_file(export), undisturbed)
    assert export.rows_written == 10
    assert not list((media / "exports" / "unfinished").iterdir())


@pytest.mark.usefixtures("small_steps")
def test_a_file_that_is_gone_fails_the_job_and_says_why_and_a_retry_begins_anew(
    world: World, media: Path
) -> None:
    found = Findings(world)
    for capture in world.captures(4):
        found.nothing(capture)
    export = new_export(world)

    def lose_it() -> None:
        storage.remove_unfinished(export.pk)

    with meanwhile("work.after_commit", lose_it):
        dispatch_job(export.job.pk)
    job = Job.objects.get(data_export=export)
    assert job.status == "FAILURE"
    assert "is gone; run the job again" in job.diagnostics[0]
    assert left_behind(media) == []
    retry_job(job)
    assert len(lines_of(finished(export))) == 4


def test_a_retry_replaces_the_file(light_world: World, media: Path) -> None:
    Findings(light_world).nothing(light_world.captures(1)[0])
    first = finished(new_export(light_world))
    assert left_behind(media) == [first.file]
    retry_job(first.job)
    second = finished(first)
    assert second.file != first.file
    assert left_behind(media) == [second.file]


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("point", ["work.after_commit", "export.before_commit", "export.before_move"])
def test_a_cancelled_export_leaves_nothing_behind(world: World, media: Path, point: str) -> None:
    for capture in world.captures(4):
        Findings(world).nothing(capture)
    export = new_export(world)
    with meanwhile(point, lambda: cancel_job(export.job.pk)):
        dispatch_job(export.job.pk)
    export.refresh_from_db()
    assert (Job.objects.get(data_export=export).status, export.file) == ("REVOKED", "")
    assert left_behind(media) == []


@pytest.mark.usefixtures("small_steps")
def test_an_export_that_is_cancelled_before_its_next_step_is_not_said_to_have_failed(world: World) -> None:
    for capture in world.captures(4):
        Findings(world).nothing(capture)
    export = new_export(world)
    with meanwhile("work.after_commit", lambda: cancel_job(export.job.pk)):
        dispatch_job(export.job.pk)
    job = Job.objects.get(data_export=export)
    assert (job.status, job.diagnostics) == ("REVOKED", [])


@pytest.mark.usefixtures("small_steps")
def test_cancelling_between_two_slices_leaves_nothing_behind(world: World, media: Path) -> None:
    for capture in world.captures(4):
        Findings(world).nothing(capture)
    export = new_export(world)
    killed_at("export.before_commit", lambda: dispatch_job(export.job.pk))
    assert left_behind(media)
    cancel_job(export.job.pk)
    assert left_behind(media) == []


@pytest.mark.parametrize("how", ["export", "job", "project", "queryset"])
def test_what_is_deleted_takes_its_file_along(world: World, media: Path, how: str) -> None:
    Findings(world).nothing(world.captures(1)[0])
    export = finished(new_export(world))
    assert left_behind(media) == [export.file]
    if how == "export":
        delete_export(export)
    elif how == "job":
        delete_job(export.job)
    elif how == "project":
        Project.objects.get(pk=world.project.pk).delete()
    else:
        DataExport.objects.filter(pk=export.pk).delete()
    assert left_behind(media) == []
    assert not DataExport.objects.filter(pk=export.pk).exists()
    assert not Job.objects.filter(job_type_key="data_export", project_id=world.project.pk).exists()


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"job_id": 10**6}, "has no job 1000000"),
        ({"collection_id": 10**6}, "has no capture set 1000000"),
        ({"collection_id": 1, "job_id": 1}, "not both"),
        ({"job": 1}, "no filter 'job'"),
        ({"job_id": "1"}, "is the number of"),
        ({"job_id": True}, "is the number of"),
        ([], "is an object"),
    ],
)
def test_filters_that_name_nothing_are_refused(light_world: World, filters: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        create_export(
            project=light_world.project, export_format="csv", filters=filters, user=None, base_url=""
        )
    assert not Job.objects.filter(job_type_key="data_export").exists()


def test_sets_and_jobs_of_other_projects_do_not_exist(light_world: World) -> None:
    elsewhere = make_project()
    capture_set, job = make_capture_set(elsewhere), light_world.job()
    Job.objects.filter(pk=job.pk).update(project=elsewhere)
    strangers: list[dict[str, Any]] = [{"collection_id": capture_set.pk}, {"job_id": job.pk}]
    for filters in strangers:
        with pytest.raises(InvalidInput, match="The project has no"):
            new_export(light_world, **filters)


def test_a_set_that_is_deleted_on_the_way_fails_the_job(world: World, media: Path) -> None:
    capture_set = world.capture_set(world.captures(1))
    export = new_export(world, collection_id=capture_set.pk)
    key = capture_set.pk
    capture_set.delete()
    dispatch_job(export.job.pk)
    job = Job.objects.get(data_export=export)
    assert (job.status, job.diagnostics) == ("FAILURE", [f"The project has no capture set {key}."])
    assert left_behind(media) == []


def test_who_still_writes_is_waited_for(light_world: World) -> None:
    export = new_export(light_world)
    with alone_in(storage.unfinished_folder(export.pk, 1)):
        dispatch_job(export.job.pk)
    job = Job.objects.get(data_export=export)
    assert job.status == "STARTED"
    assert finished(export).file


@pytest.mark.usefixtures("small_steps")
def test_a_step_that_raises_is_repeated(light_world: World) -> None:
    for capture in light_world.captures(4):
        Findings(light_world).nothing(capture)
    export = new_export(light_world)
    with arm("export.before_commit"):
        dispatch_job(export.job.pk)
    assert len(lines_of(finished(export))) == 4
