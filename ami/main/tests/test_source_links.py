"""Links to captures that lie in a bucket or in a folder of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from ami.main.addresses import address_of, addresses
from ami.main.models import SourceImage, StorageSource
from ami.main.storage.secrets import seal
from ami.main.tests.factories import make_capture, make_deployment, make_project
from ami.main.tests.fetching import fetch
from ami.main.tests.people import People
from ami.main.tests.s3 import S3Server
from ami.main.tests.s3 import s3 as s3

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def bucket_source(**fields: Any) -> StorageSource:
    """A bucket with keys."""
    defaults = {
        "name": "Bucket",
        "bucket": "traps",
        "endpoint_url": "https://s3.example.org",
        "access_key": seal("AKIA"),
        "secret_key": seal("secret"),
    }
    return StorageSource.objects.create(project=make_project(), **{**defaults, **fields})


def capture_in(source: StorageSource, path: str = "a b/1.jpg", **fields: Any) -> SourceImage:
    """A capture that lies there."""
    station = make_deployment(source.project)
    return make_capture(station, path=path, public_base_url="", data_source=source, **fields)


def link_to(capture: SourceImage) -> str:
    """Both ways give the same."""
    link = address_of(capture, "http://ami.test") or ""
    quick = addresses([capture.pk], "http://ami.test")[capture.pk]
    assert quick.split("?")[0] == link.split("?")[0]
    return quick


def test_a_capture_in_a_bucket_gets_a_link_signed_with_its_keys(s3: S3Server) -> None:
    name = s3.bucket("a b/é+1.jpg", body=b"moth")
    source = s3.source(make_project(), name)
    link = link_to(capture_in(source, "a b/é+1.jpg"))
    assert "X-Amz-Signature=" in link
    assert s3.secret_key not in link
    assert requests.get(link, timeout=10).content == b"moth"


def test_without_an_endpoint_the_bucket_is_one_of_amazon() -> None:
    source = bucket_source(endpoint_url="", region="eu-west-3", access_key="", secret_key="")
    assert link_to(capture_in(source)) == "https://traps.s3.eu-west-3.amazonaws.com/a%20b/1.jpg"
    dotted = bucket_source(endpoint_url="", bucket="my.traps", access_key="", secret_key="")
    assert link_to(capture_in(dotted)) == "https://s3.us-east-1.amazonaws.com/my.traps/a%20b/1.jpg"


def test_a_public_address_comes_before_signed_links_and_that_of_the_capture_before_it() -> None:
    source = bucket_source(public_base_url="https://cdn.example.org/x/")
    capture = capture_in(source)
    assert link_to(capture) == "https://cdn.example.org/x/a%20b/1.jpg"
    capture.public_base_url = "https://own.example.org"
    capture.save()
    assert link_to(capture) == "https://own.example.org/a%20b/1.jpg"


def test_keys_that_cannot_be_opened_give_no_link_and_stop_nobody(settings: Settings) -> None:
    capture = capture_in(bucket_source())
    settings.SECRET_KEY = "another one"
    assert addresses([capture.pk], "") == {capture.pk: ""}


def test_a_file_in_a_folder_is_served_by_a_signed_link_and_no_other(
    tmp_path: Path, settings: Settings, media: Path
) -> None:
    settings.STORAGE_FOLDERS = [str(tmp_path / "disk")]
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/1.jpg").write_bytes(b"moth")
    (media / "1.jpg").write_bytes(b"another")
    source = StorageSource.objects.create(
        project=make_project(), name="Disk", kind="folder", folder=str(tmp_path / "disk")
    )
    link = link_to(capture_in(source, "1.jpg"))
    assert fetch(link).body == b"moth"
    (tmp_path / "secret").write_bytes(b"secret")
    for path in ("../secret", "/etc/passwd", "2.jpg"):
        assert fetch(link_to(capture_in(source, path))).status == 404
    (tmp_path / "disk/3.jpg").symlink_to(tmp_path / "secret")
    assert fetch(link_to(capture_in(source, "3.jpg"))).status == 404
    settings.STORAGE_FOLDERS = []
    assert fetch(link).status == 404, "the folder is not allowed any more"


def test_captures_of_buckets_are_not_looked_for_in_our_storage(media: Path) -> None:
    (media / "1.jpg").write_bytes(b"another")
    folder = StorageSource.objects.create(project=make_project(), name="D", kind="folder", folder="/none")
    capture = capture_in(folder, "1.jpg")
    link = link_to(capture)
    capture.data_source = bucket_source()
    capture.save()
    assert fetch(link).status == 404


def test_links_to_many_captures_cost_one_query(people: People) -> None:
    captures = [capture_in(bucket_source(name=str(number)), f"{number}.jpg") for number in range(5)]
    with CaptureQueriesContext(connection) as queries:
        assert len(set(addresses([capture.pk for capture in captures], "").values())) == 5
    assert len(queries) == 1
    station = make_deployment(people.project)
    costs = []
    people.client("member").get(f"/api/v2/captures/?project_id={people.project.pk}")
    for _ in range(2):
        source = bucket_source()
        make_capture(station, public_base_url="", data_source=source)
        with CaptureQueriesContext(connection) as queries:
            answer = people.client("member").get(f"/api/v2/captures/?project_id={people.project.pk}")
        assert "X-Amz-Signature" in answer.json()["results"][0]["url"]
        costs.append(len(queries))
    assert costs[0] == costs[1]
