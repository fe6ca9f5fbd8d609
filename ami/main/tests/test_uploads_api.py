"""Upload of single images."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django.fixtures import Settings

from ami.main.models import SourceImage, SourceImageUpload
from ami.main.tests.factories import image_bytes, make_deployment, make_project
from ami.main.tests.fetching import fetch
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("media")]
UPLOAD = "/api/v2/captures/upload/"


def upload(
    people: People, who: str = "manager", data: bytes | None = None, name: str = "moth.jpg", **fields: Any
) -> Any:
    """Post one image as a form."""
    deployment = (
        fields.pop("deployment", None) or make_deployment(people.project, time_zone="America/Panama").pk
    )
    image = SimpleUploadedFile(name, image_bytes() if data is None else data, "image/jpeg")
    query = fields.pop("query", f"?project_id={people.project.pk}&process_now=false")
    client = people.client(who)
    form = {"image": image, "deployment": deployment, **fields}
    return client.post(f"{UPLOAD}{query}", form, format="multipart")


def test_an_upload_becomes_a_capture_with_the_shape_of_the_contract(people: People) -> None:
    response = upload(people, data=image_bytes(taken="2022:09:16 22:19:59"))
    assert response.status_code == 201, response.json()
    made = response.json()
    assert list(made) == [
        "id", "details", "image", "deployment", "source_image", "user", "created_at", "user_permissions",
    ]  # fmt: skip
    assert made["user"] == people.user("manager").pk
    assert list(made["source_image"])[:7] == [
        "id", "details", "url", "width", "height", "timestamp", "event_id",
    ]  # fmt: skip
    capture = SourceImage.objects.get(pk=made["source_image"]["id"])
    assert capture.timestamp == datetime(2022, 9, 17, 3, 19, 59, tzinfo=UTC)
    assert (capture.width, capture.height, capture.test_image) == (64, 48, True)
    assert len(capture.checksum) == 64
    assert fetch(made["image"]).status == 200
    assert fetch(made["source_image"]["url"]).status == 200


def test_the_time_is_in_the_file_name_or_it_is_now(people: People) -> None:
    before = datetime.now(UTC)
    upload(people, name="20220916221959.jpg")
    upload(people, name="moth.jpg", data=image_bytes(color=2))
    named, unnamed = SourceImage.objects.order_by("pk")
    assert named.timestamp == datetime(2022, 9, 17, 3, 19, 59, tzinfo=UTC)
    assert unnamed.timestamp is not None
    assert before <= unnamed.timestamp <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("anonymous", 401),
        ("outsider", 403),
        ("member", 403),
        ("data_manager", 403),
        ("manager", 201),
        ("superuser", 201),
    ],
)
def test_managers_upload(people: People, who: str, status: int) -> None:
    assert upload(people, who).status_code == status
    assert SourceImage.objects.count() == (1 if status == 201 else 0)


@pytest.mark.parametrize("data", [b"", b"no image", image_bytes((640, 480))[:900]])
def test_what_is_no_image_is_refused_and_leaves_nothing(people: People, data: bytes, media: Path) -> None:
    response = upload(people, data=data)
    assert response.status_code == 400
    assert list(response.json()) == ["image"]
    assert not SourceImageUpload.objects.exists()
    assert [path for path in media.rglob("*") if path.is_file()] == []


def test_whether_to_process_must_be_said(people: People) -> None:
    assert upload(people, query="").json() == {"process_now": ["This field is required."]}


def test_a_file_above_the_limit_is_refused(people: People, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert upload(people).status_code == 413


@pytest.mark.parametrize(
    "name", ["../../evil.jpg", "/etc/evil.jpg", "a\\b.jpg", "moth.jpg" + "x" * 300, ".jpg"]
)
def test_a_wild_file_name_stays_in_the_storage(people: People, name: str, media: Path) -> None:
    response = upload(people, name=name)
    assert response.status_code in (201, 400)
    files = [path for path in media.parent.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(media / "uploads") for path in files)


def test_people_see_their_own_uploads_only(people: People) -> None:
    made = upload(people).json()
    assert people.client("manager").get(UPLOAD).json()["count"] == 1
    assert people.client("superuser").get(UPLOAD).json()["count"] == 0
    assert people.client("anonymous").get(UPLOAD).json()["count"] == 0
    one = f"{UPLOAD}{made['id']}/"
    assert people.client("superuser").get(one).status_code == 404
    assert people.client("manager").delete(one).status_code == 204


def test_nobody_uploads_to_a_hidden_station(people: People) -> None:
    hidden = make_deployment(make_project(draft=True))
    response = upload(people, deployment=hidden.pk)
    assert response.status_code == 400
    assert list(response.json()) == ["deployment"]


@pytest.mark.parametrize("where", ["query", "body", "body against the query"])
def test_an_upload_goes_to_a_station_of_the_project_that_the_request_names(
    people: People, where: str, media: Path
) -> None:
    right, wrong = people.project.pk, people.draft.pk
    query = {"query": f"project_id={wrong}&", "body against the query": f"project_id={right}&"}.get(where, "")
    form: dict[str, Any] = {} if where == "query" else {"project_id": wrong}
    response = upload(people, query=f"?{query}process_now=false", **form)
    assert response.status_code == 400
    assert response.json() == {"deployment": ["This does not belong to the project."]}
    assert [path for path in media.rglob("*") if path.is_file()] == []
    assert upload(people, query="?process_now=false", project_id=right).status_code == 201
