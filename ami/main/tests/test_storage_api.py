"""Data sources over the API: who may make them, what they may name, and that keys never come out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from ami.main.models import StorageSource
from ami.main.storage.secrets import unseal
from ami.main.tests.factories import make_capture, make_deployment
from ami.main.tests.people import People
from ami.main.tests.s3 import S3Server
from ami.main.tests.s3 import s3 as s3

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

STORAGE = "/api/v2/storage/"
ACCESS, SECRET = "AKIAVERYSECRET", "+wJalr/XUtnFEMI "
ITEM = [
    "id",
    "details",
    "name",
    "bucket",
    "prefix",
    "endpoint_url",
    "public_base_url",
    "project",
    "deployments_count",
    "total_files_indexed",
    "total_size_indexed",
    "total_size_indexed_display",
    "total_captures_indexed",
    "last_checked",
    "created_at",
    "updated_at",
    "user_permissions",
    "kind",
    "region",
    "folder",
    "has_keys",
]


def body(people: People, **fields: Any) -> dict[str, Any]:
    """A bucket with keys."""
    return {
        "name": "Bucket",
        "project": people.project.pk,
        "bucket": "traps",
        "endpoint_url": "https://s3.example.org",
        "access_key": ACCESS,
        "secret_key": SECRET,
    } | fields


def make(people: People, **fields: Any) -> Any:
    """Made by a manager."""
    return people.client("manager").post(STORAGE, body(people, **fields), format="json")


def address(made: Any, action: str = "") -> str:
    """Its own page, or something that is done to it."""
    return f"{STORAGE}{made.json()['id']}/{action}"


def test_keys_go_in_and_never_come_out(people: People) -> None:
    made = make(people)
    assert made.status_code == 201, made.content
    assert list(made.json()) == ITEM
    assert made.json()["has_keys"] is True
    manager = people.client("manager")
    answers: list[Any] = [
        made,
        manager.get(STORAGE),
        manager.get(address(made)),
        manager.patch(address(made), {"name": "New"}),
        people.client("superuser").get(address(made)),
    ]
    for answer in answers:
        assert answer.status_code in (200, 201)
        assert ACCESS not in answer.content.decode()
        assert SECRET.strip() not in answer.content.decode()
    stored = StorageSource.objects.get()
    assert ACCESS not in stored.access_key
    assert SECRET.strip() not in stored.secret_key
    assert (unseal(stored.access_key), unseal(stored.secret_key)) == (ACCESS, SECRET)


def test_the_admin_takes_keys_and_shows_none(people: People) -> None:
    staff = Client()
    staff.force_login(people.user("superuser"))
    form = {
        "project": people.project.pk,
        "name": "Bucket",
        "kind": "s3",
        "bucket": "traps",
        "new_access_key": ACCESS,
        "new_secret_key": SECRET,
    }
    page = "/admin/main/storagesource/"
    assert staff.post(f"{page}add/", form).status_code == 302
    stored = StorageSource.objects.get()
    assert unseal(stored.access_key) == ACCESS
    form |= {"new_access_key": "", "new_secret_key": "", "name": "Renamed"}
    assert staff.post(f"{page}{stored.pk}/change/", form).status_code == 302
    stored.refresh_from_db()
    assert (stored.name, unseal(stored.access_key)) == ("Renamed", ACCESS)
    for address in (page, f"{page}{stored.pk}/change/"):
        shown = staff.get(address).content.decode()
        assert "Renamed" in shown
        assert not any(word in shown for word in (ACCESS, SECRET.strip(), stored.access_key))
    form["new_access_key"] = "only one"
    assert b"Give both keys, or none." in staff.post(f"{page}{stored.pk}/change/", form).content


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"bucket": ""}, "bucket"),
        ({"bucket": "a/b"}, "bucket"),
        ({"bucket": "../x"}, "bucket"),
        ({"endpoint_url": "http://127.0.0.1:9000"}, "endpoint_url"),
        ({"endpoint_url": "http://169.254.169.254"}, "endpoint_url"),
        ({"endpoint_url": "file:///etc/passwd"}, "endpoint_url"),
        ({"endpoint_url": "https://user:pass@s3.example.org"}, "endpoint_url"),
        ({"endpoint_url": "https://s3.example.org/bucket"}, "endpoint_url"),
        ({"endpoint_url": "https://s3.example.org?x"}, "endpoint_url"),
        ({"region": "eu.evil.org/"}, "region"),
        ({"public_base_url": "ftp"}, "public_base_url"),
        ({"access_key": ""}, "access_key"),
        ({"kind": "tape"}, "kind"),
        ({"kind": "folder", "folder": "/etc"}, "folder"),
        ({"project": 999999}, "project"),
        ({"name": ""}, "name"),
    ],
)
def test_nonsense_is_refused_field_by_field(people: People, fields: dict[str, Any], field: str) -> None:
    answer = make(people, **fields)
    assert (answer.status_code, list(answer.json())) == (400, [field]), answer.content
    assert not StorageSource.objects.exists()


def test_addresses_are_kept_in_the_spelling_that_is_signed(people: People) -> None:
    for given, kept in (
        ("https://S3.Example.org:443/", "https://s3.example.org"),
        ("http://s3.example.org:80", "http://s3.example.org"),
        ("http://s3.example.org:9000/", "http://s3.example.org:9000"),
        ("", ""),
    ):
        assert make(people, endpoint_url=given).json()["endpoint_url"] == kept


def test_keys_are_not_taken_along_to_another_place(people: People) -> None:
    one = address(make(people))
    manager: Any = people.client("manager")
    for change in ({"endpoint_url": "https://elsewhere.example.org"}, {"bucket": "other-traps"}):
        assert list(manager.patch(one, change).json()) == ["access_key"]
        assert manager.patch(one, change | {"access_key": "A", "secret_key": "S"}).status_code == 200
    assert list(manager.patch(one, {"secret_key": "S"}).json()) == ["secret_key"]
    assert manager.patch(one, {"access_key": "", "secret_key": ""}).json()["has_keys"] is False


def test_only_the_staff_chooses_folders_and_only_allowed_ones(
    people: People, tmp_path: Path, settings: Settings
) -> None:
    folder = body(people, kind="folder", folder=str(tmp_path), bucket="", access_key="", secret_key="")
    staff: Any = people.client("superuser")
    assert list(staff.post(STORAGE, folder).json()) == ["folder"]
    settings.STORAGE_FOLDERS = [str(tmp_path)]
    assert list(people.client("manager").post(STORAGE, folder).json()) == ["folder"]
    made = staff.post(STORAGE, folder)
    assert made.status_code == 201, made.content
    manager: Any = people.client("manager")
    assert manager.patch(address(made), {"name": "Disk"}).status_code == 200
    assert manager.patch(address(made), {"prefix": "other"}).status_code == 400
    assert manager.patch(address(made), {"folder": f"{tmp_path}/x"}).status_code == 400
    bucket = make(people)
    assert manager.patch(address(bucket), {"kind": "folder", "folder": str(tmp_path)}).status_code == 400


@pytest.mark.parametrize(
    ("who", "read", "create", "change"),
    [
        ("anonymous", 404, 401, 404),
        ("outsider", 404, 403, 404),
        ("member", 200, 403, 403),
        ("data_manager", 200, 403, 403),
        ("manager", 200, 201, 200),
        ("superuser", 200, 201, 200),
    ],
)
def test_members_see_data_sources_and_managers_change_them(
    people: People, who: str, read: int, create: int, change: int
) -> None:
    made = make(people)
    client: Any = people.client(who)
    assert client.get(address(made)).status_code == read
    assert client.get(STORAGE).json()["count"] == (read == 200)
    assert client.post(STORAGE, body(people)).status_code == create
    expected = 401 if who == "anonymous" else change
    assert client.patch(address(made), {"name": "New"}).status_code in (expected, change)


def test_a_data_source_with_captures_stays_and_goes_with_its_project(people: People) -> None:
    made = make(people)
    source = StorageSource.objects.get()
    station = make_deployment(people.project, data_source=source)
    make_capture(station, data_source=source, public_base_url="")
    manager: Any = people.client("manager")
    assert manager.delete(address(made)).status_code == 409
    shown = manager.get(address(made)).json()
    assert (shown["deployments_count"], shown["total_captures_indexed"]) == (1, 1)
    people.project.delete()
    assert not StorageSource.objects.exists()


def test_a_list_costs_the_same_however_long_it_is(people: People) -> None:
    manager: Any = people.client("manager")
    costs = []
    for _ in range(2):
        source = StorageSource.objects.get(pk=make(people).json()["id"])
        make_deployment(people.project, data_source=source)
        with CaptureQueriesContext(connection) as queries:
            assert manager.get(f"{STORAGE}?project_id={people.project.pk}").status_code == 200
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_a_try_out_lists_a_few_files_or_says_what_is_wrong(
    people: People, s3: S3Server, settings: Settings
) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    bucket = s3.bucket("a/notes.txt", "a/one.jpg", "a/two.jpg", "b/x.txt")
    made = make(
        people, bucket=bucket, endpoint_url=s3.url, access_key=s3.access_key, secret_key=s3.secret_key
    )
    manager: Any = people.client("manager")

    def tried(**asked: Any) -> Any:
        return manager.post(address(made, "test/"), asked, format="json")

    with s3.strict():
        answer = tried(subdir="a", regex_filter="t.o").json()
        for name in ("latency", "total_time"):
            assert 0 <= answer.pop(name) < 30
        assert answer == {
            "connection_successful": True,
            "prefix_exists": True,
            "error_code": None,
            "error_message": None,
            "files_checked": 3,
            "first_file_found": "a/two.jpg",
            "full_uri": f"s3://{bucket}/a",
        }
        nothing = tried(subdir=None, regex_filter=None, extra=1) and tried(subdir="none").json()
        assert (nothing["prefix_exists"], nothing["first_file_found"]) == (False, None)
        assert tried(regex_filter="(").json()["detail"].startswith("This is not a regular expression")
        manager.patch(address(made), {"access_key": "AKIAWRONG", "secret_key": "wrong"})
        refused = tried()
    assert refused.status_code == 400
    assert refused.json()["code"] == "storage_refused"
    settings.OUTGOING_ALLOWED_NETWORKS = []
    assert tried().json()["code"] == "address_refused"


def test_a_pattern_that_would_take_for_ever_is_given_up(people: People) -> None:
    station = make_deployment(people.project)
    manager: Any = people.client("manager")
    one = f"/api/v2/deployments/{station.pk}/"
    assert list(manager.patch(one, {"data_source_regex": "[a"}).json()) == ["data_source_regex"]
    assert manager.patch(one, {"data_source_regex": r"^night/.*\.jpg$"}).status_code == 200


def test_a_station_is_connected_to_a_data_source_of_its_project(people: People) -> None:
    source = StorageSource.objects.get(pk=make(people, prefix="/2026/").json()["id"])
    foreign = StorageSource.objects.create(project=people.draft, name="Foreign", bucket="other")
    station = make_deployment(people.project)
    one = f"/api/v2/deployments/{station.pk}/"
    manager: Any = people.client("manager")
    assert list(manager.patch(one, {"data_source_id": foreign.pk}).json()) == ["data_source_id"]
    manager.patch(one, {"data_source_id": source.pk, "data_source_subdir": "hill"})
    shown = manager.get(one).json()
    assert shown["data_source"]["id"] == source.pk
    assert shown["data_source_uri"] == "s3://traps/2026/hill"
    assert (shown["data_source_subdir"], shown["data_source_connected"]) == ("hill", True)
    hidden = people.client("outsider").get(one).json()
    assert (hidden["data_source"], hidden["data_source_uri"]) == (None, None)
    assert "traps" not in str(hidden)
