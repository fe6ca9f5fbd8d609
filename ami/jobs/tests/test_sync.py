"""Jobs that look for new captures: from a real S3 server and from folders, resumed, repeated, refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ami.base.errors import InvalidInput
from ami.base.tests.servers import Service, http_service
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.models import Job
from ami.jobs.tests.faults import carried_on, killed_at
from ami.jobs.tests.world import World
from ami.jobs.types import sync
from ami.main.models import Deployment, Event, SourceImage, StorageSource
from ami.main.storage import buckets, captures, folders
from ami.main.storage.secrets import seal
from ami.main.tests.factories import image_bytes
from ami.main.tests.s3 import S3Server
from ami.main.tests.s3 import s3 as s3

pytestmark = pytest.mark.integration

NIGHT = [f"night/2026060122{minute:02}00.jpg" for minute in range(10)]


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    """The server may call this machine."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def photos(tmp_path: Path, settings: Settings) -> Path:
    """A folder that may be read."""
    settings.STORAGE_FOLDERS = [str(tmp_path)]
    return tmp_path


def connected(world: World, source: StorageSource, **fields: Any) -> Deployment:
    """The world's station, delivering to a data source."""
    station = world.deployment
    for name, value in {"data_source": source, **fields}.items():
        setattr(station, name, value)
    station.save()
    return station


def folder_source(world: World, folder: Path, **fields: Any) -> StorageSource:
    """A data source that is a folder."""
    return StorageSource.objects.create(
        project=world.project, name="Disk", kind="folder", folder=str(folder), **fields
    )


def submitted(world: World) -> Job:
    """A job that looks for new captures of the world's station, on its way."""
    job = create_job(
        name="Sync", project=world.project, deployment=world.deployment, job_type_key="data_storage_sync"
    )
    run_job(job)
    return job


def synced(world: World) -> Any:
    """A job that ran to its end."""
    job = carried_on(submitted(world))
    assert job.status == "SUCCESS", said(job)
    return job


def said(job: Job) -> list[str]:
    """The job's log."""
    return [line.message for line in job.log_entries.order_by("pk")]


def paths(world: World) -> list[str]:
    """The captures of the station."""
    captures = SourceImage.objects.filter(deployment=world.deployment)
    return sorted(captures.values_list("path", flat=True))


def test_a_bucket_becomes_captures_with_their_times_and_sessions(light_world: World, s3: S3Server) -> None:
    world = light_world
    later = ["night/20260603010000.jpg", "night/20260603010000-2.JPEG"]
    bucket = s3.bucket(
        *NIGHT, *later, "night/readme.txt", "night/", "other/20260601220000.jpg", "night/x.png"
    )
    source = s3.source(world.project, bucket, prefix="night")
    station = connected(world, source, time_zone="America/Panama")
    with s3.strict():
        job = synced(world)
    assert paths(world) == sorted([*NIGHT, *later, "night/x.png"])
    assert world.figures(job) == {
        "total_files": 13,
        "failed": 0,
        "captures_grouped": 12,
        "events_created": 2,
        "events_touched": 2,
        "empty_events_deleted": 0,
        "duplicate_timestamps": 1,
        "ungrouped_captures": 1,
        "captures_missing_timestamp": 1,
    }
    assert job.result == {"files": 13, "new": 13, "skipped": 2, "failed": 0}
    assert [(stage.status, stage.progress) for stage in job.stages.all()] == [("SUCCESS", 1.0)] * 2
    first = SourceImage.objects.get(path=NIGHT[0])
    assert first.timestamp == datetime(2026, 6, 2, 3, tzinfo=UTC), "ten in the evening in Panama"
    assert (first.size, first.data_source_id, first.public_base_url) == (4, source.pk, "")
    assert first.event == Event.objects.earliest("start")
    station.refresh_from_db()
    assert (station.data_source_total_files, station.data_source_total_size) == (13, 52)
    assert station.data_source_last_checked is not None


def test_a_repetition_finds_only_what_is_new(light_world: World, s3: S3Server) -> None:
    bucket = s3.bucket(*NIGHT[:6])
    connected(light_world, s3.source(light_world.project, bucket))
    assert synced(light_world).result["new"] == 6
    s3.put(bucket, *NIGHT[6:])
    job = synced(light_world)
    assert (job.result["new"], job.result["files"]) == (4, 10)
    assert paths(light_world) == NIGHT
    retry_job(job)
    assert carried_on(job).result == {"files": 10, "new": 0, "skipped": 0, "failed": 0}
    assert Event.objects.count() == 1


def test_many_objects_come_over_several_pages(
    light_world: World, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "PAGE", 100)
    keys = [f"{number // 60:02}/202606{1 + number // 1440:02}{number // 60 % 24:02}{number % 60:02}00.jpg"
            for number in range(250)]  # fmt: skip
    connected(light_world, s3.source(light_world.project, s3.bucket(*keys)))
    job = synced(light_world)
    assert job.result["new"] == 250
    assert SourceImage.objects.filter(deployment=light_world.deployment).count() == 250
    assert Event.objects.filter(deployment=light_world.deployment).count() == 1


@pytest.mark.parametrize(("point", "first"), [("work.before_commit", 0), ("work.after_commit", 3)])
def test_a_slice_that_dies_goes_on_and_stores_nothing_twice(
    world: World, s3: S3Server, monkeypatch: pytest.MonkeyPatch, point: str, first: int
) -> None:
    monkeypatch.setattr(buckets, "PAGE", 3)
    connected(world, s3.source(world.project, s3.bucket(*NIGHT)))
    job = submitted(world)
    killed_at(point, lambda: dispatch_job(job.pk))
    assert len(paths(world)) == first
    job = carried_on(job)
    assert (job.status, paths(world)) == ("SUCCESS", NIGHT)
    assert (job.result["files"], job.result["new"]) == (10, 10)
    figures = world.figures(job)
    assert (figures["total_files"], figures["events_created"], figures["captures_grouped"]) == (10, 1, 10)


def test_it_goes_on_where_it_was_and_lists_nothing_twice(
    world: World, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NIGHT:
        (photos / Path(name).name).write_bytes(b"jpeg")
    connected(world, folder_source(world, photos))
    monkeypatch.setattr(folders, "PAGE", 4)
    seen: list[str] = []
    judge = captures.judge_page

    def note(*arguments: Any) -> Any:
        seen.extend(found.path for found in arguments[2].found)
        return judge(*arguments)

    job = submitted(world)
    killed_at("work.after_commit", lambda: dispatch_job(job.pk))
    monkeypatch.setattr(sync, "judge_page", note)
    assert carried_on(job).status == "SUCCESS"
    assert seen == [Path(name).name for name in NIGHT[4:]]


def test_a_station_that_moved_to_another_place_is_listed_from_the_start(
    world: World, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "PAGE", 1)
    for place in ("a", "b"):
        (photos / place).mkdir()
        for minute in (0, 1):
            (photos / place / f"2026060122000{minute}.jpg").write_bytes(b"jpeg")
    source = folder_source(world, photos)
    connected(world, source, data_source_subdir="b")
    job = submitted(world)
    killed_at("work.after_commit", lambda: dispatch_job(job.pk))
    connected(world, source, data_source_subdir="a")
    assert carried_on(job).result["files"] == 2
    assert paths(world) == ["a/20260601220000.jpg", "a/20260601220001.jpg", "b/20260601220000.jpg"]


@pytest.mark.parametrize("wrong", ["access_key", "secret_key", "bucket"])
def test_wrong_keys_and_missing_buckets_fail_the_job_with_a_sentence(
    light_world: World, s3: S3Server, wrong: str
) -> None:
    bucket = s3.bucket(*NIGHT)
    value = {"bucket": "no-such-traps"}.get(wrong) or seal("AKIAWRONG")
    source = s3.source(light_world.project, bucket)
    StorageSource.objects.filter(pk=source.pk).update(**{wrong: value})
    connected(light_world, source)
    with s3.strict():
        job = carried_on(submitted(light_world))
    host = s3.url.removeprefix("http://")
    sentence = (
        f"There is no bucket 'no-such-traps' at {host}."
        if wrong == "bucket"
        else f"{host} does not accept the keys for the bucket '{bucket}'."
    )
    assert job.status == "FAILURE"
    assert sentence in said(job)
    assert [stage.status for stage in job.stages.all()] == ["FAILURE", "FAILURE"]
    assert s3.secret_key not in str(said(job))
    assert paths(light_world) == []


@pytest.fixture
def service() -> Any:
    """A server that answers what it is told to."""
    with http_service() as service:
        yield service


def test_a_server_that_is_away_is_asked_again(light_world: World, service: Service) -> None:
    source = StorageSource.objects.create(
        project=light_world.project, name="Away", bucket="traps", endpoint_url=service.url
    )
    connected(light_world, source)
    page = "/traps?encoding-type=url&list-type=2&max-keys=1000&prefix="
    service.replies[page] = (503, {}, b"")
    job = carried_on(submitted(light_world))
    assert job.status == "STARTED"
    assert any("Tried again in" in line and "status 503" in line for line in said(job))
    found = b"<Contents><Key>20260601220000.jpg</Key><Size>9</Size></Contents>"
    service.replies[page] = (200, {}, b"<ListBucketResult>%s</ListBucketResult>" % found)
    assert carried_on(job).status == "SUCCESS"
    assert paths(light_world) == ["20260601220000.jpg"]


def test_an_address_inside_our_network_is_not_called(
    light_world: World, service: Service, settings: Settings
) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = []
    source = StorageSource.objects.create(
        project=light_world.project, name="Inside", bucket="traps", endpoint_url=service.url
    )
    connected(light_world, source)
    assert carried_on(submitted(light_world)).status == "FAILURE"
    assert service.asked == []


def test_files_of_a_folder_are_dated_by_name_and_else_by_their_exif(light_world: World, photos: Path) -> None:
    taken = "2026:06:01 23:00:00"
    files: dict[str, bytes] = {
        "20260601220000.jpg": b"not looked at: its name says when",
        "moth.jpg": image_bytes(taken=taken),
        "sub/moth.png": image_bytes(fmt="PNG"),
        "broken.jpg": b"no image",
        "cut.jpg": image_bytes()[:40],
        "empty.jpg": b"",
        "notes.txt": b"no image either",
    }
    for name, data in files.items():
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(data)
    (photos / "link.jpg").symlink_to("/etc/passwd")
    connected(light_world, folder_source(light_world, photos), time_zone="America/Panama")
    job = synced(light_world)
    assert paths(light_world) == ["20260601220000.jpg", "moth.jpg", "sub/moth.png"]
    moth = SourceImage.objects.get(path="moth.jpg")
    assert moth.timestamp == datetime(2026, 6, 2, 4, tzinfo=UTC)
    assert (moth.width, moth.height) == (64, 48)
    assert SourceImage.objects.get(path="sub/moth.png").timestamp is None
    assert job.result == {"files": 6, "new": 3, "skipped": 1, "failed": 3}
    assert world_figures(light_world, job) == (6, 3)
    reasons = [line for line in said(job) if line.startswith(("broken", "cut", "empty"))]
    assert [line.split(":")[0] for line in reasons] == ["broken.jpg", "cut.jpg", "empty.jpg"]
    assert "empty.jpg: The file is empty." in reasons


def world_figures(world: World, job: Job) -> tuple[Any, Any]:
    """The figures of the listing."""
    figures = world.figures(job)
    return figures["total_files"], figures["failed"]


def test_the_log_names_a_hundred_files_that_failed_and_counts_all(light_world: World, photos: Path) -> None:
    for number in range(130):
        (photos / f"{number:03}.jpg").touch()
    connected(light_world, folder_source(light_world, photos))
    job = synced(light_world)
    assert world_figures(light_world, job) == (130, 130)
    assert sum("The file is empty." in line for line in said(job)) == sync.NAMED_FAILURES


def test_a_pattern_chooses_among_the_files(light_world: World, photos: Path) -> None:
    for name in ("a-1.jpg", "a-2.jpg", "b-1.jpg"):
        (photos / name).write_bytes(image_bytes())
    connected(light_world, folder_source(light_world, photos), data_source_regex=r"^a-\d\.jpg$")
    assert synced(light_world).result["files"] == 2
    assert paths(light_world) == ["a-1.jpg", "a-2.jpg"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world, photos, settings: setattr(settings, "STORAGE_FOLDERS", []),
        lambda world, photos, settings: (photos / "stations").rmdir(),
        lambda world, photos, settings: connected(world, world.deployment.data_source, data_source_regex="("),
    ],
)
def test_what_cannot_be_read_fails_the_job(
    light_world: World, photos: Path, settings: Settings, spoil: Callable[..., Any]
) -> None:
    (photos / "stations").mkdir()
    connected(light_world, folder_source(light_world, photos / "stations"))
    job = submitted(light_world)
    (photos / "stations" / "x.jpg").touch()
    (photos / "stations" / "x.jpg").unlink()
    spoil(light_world, photos, settings)
    if light_world.deployment.data_source_regex:
        (photos / "stations" / "x.jpg").write_bytes(image_bytes())
    assert carried_on(job).status == "FAILURE"
    assert any("folder" in line or "regular expression" in line for line in said(job))


def test_a_station_without_a_data_source_has_nothing_to_look_for(light_world: World) -> None:
    with pytest.raises(InvalidInput, match="must have a data source"):
        submitted(light_world)
