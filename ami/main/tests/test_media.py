"""Addresses of captures, and the files behind them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import RequestFactory
from django.urls import reverse
from pytest_django.fixtures import Settings

from ami.main.media import base_url_of, capture_url
from ami.main.models import SourceImage
from ami.main.tests.factories import image_bytes, make_capture, make_deployment, make_project
from ami.main.tests.fetching import fetch
from ami.main.tests.people import People

BASE = "https://ami.example.org"


@pytest.mark.parametrize(
    ("path", "folder", "url"),
    [
        ("a.jpg", "https://images.example.org", "https://images.example.org/a.jpg"),
        ("/b/a.jpg", "https://images.example.org/x/", "https://images.example.org/x/b/a.jpg"),
        ("a b#1.jpg", "http://h/x", "http://h/x/a%20b%231.jpg"),
        ("a.jpg", "/only/a/path", None),
        ("a.jpg", "nonsense", None),
        ("", "https://images.example.org", None),
        ("", "", None),
    ],
)
def test_a_capture_elsewhere_has_the_address_of_its_server(path: str, folder: str, url: str | None) -> None:
    assert capture_url(path, folder, 7, BASE) == url


def test_a_capture_of_ours_has_an_absolute_signed_link() -> None:
    url = capture_url("captures/1/2/a.jpg", "", 7, BASE)
    assert url is not None
    assert url.startswith(f"{BASE}{reverse('api:capture-file', args=[7])}?expires=")
    assert "captures/1/2" not in url


def test_the_host_is_the_configured_one_else_that_of_the_request(settings: Settings) -> None:
    request = RequestFactory().get("/", headers={"host": "here.example.org"})
    assert base_url_of(request) == "http://here.example.org"
    settings.EXTERNAL_BASE_URL = "https://ami.example.org/"
    assert base_url_of(request) == BASE


@pytest.fixture
def capture(db: None, media: Path) -> SourceImage:
    """A capture in our storage, with its file."""
    folder = media / "captures"
    folder.mkdir()
    (folder / "moth.jpg").write_bytes(image_bytes())
    return make_capture(make_deployment(make_project()), path="captures/moth.jpg", public_base_url="")


def link_of(capture: SourceImage) -> str:
    """The link without scheme and host."""
    return str(capture_url(capture.path, "", capture.pk, "")).removeprefix("http://testserver")


@pytest.mark.integration
def test_the_link_gives_the_image_to_whoever_holds_it(capture: SourceImage) -> None:
    answer = fetch(link_of(capture))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"].startswith("private")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.body == image_bytes()


@pytest.mark.integration
def test_the_link_ends_after_its_time(capture: SourceImage, settings: Settings) -> None:
    settings.MEDIA_LINK_SECONDS = 60
    start = datetime(2026, 6, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False):
        link = link_of(capture)
        assert fetch(link).status == 200
    with time_machine.travel(start + timedelta(seconds=61), tick=False):
        answer = fetch(link)
    assert answer.status == 403
    assert "expired" in answer.json["detail"]


@pytest.mark.integration
def test_a_forged_link_is_refused(capture: SourceImage, settings: Settings) -> None:
    other = make_capture(make_deployment(make_project()), path="captures/moth.jpg", public_base_url="")
    link = link_of(capture)
    expires = int(parse_qs(urlsplit(link).query)["expires"][0])
    forged = [
        link.replace(f"/{capture.pk}/", f"/{other.pk}/"),
        link.replace(str(expires), str(expires + 1)),
        link.replace(str(expires), "soon"),
        link[:-3],
        link.split("&")[0],
        link.split("?")[0],
        f"{link}\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ]
    for attempt in forged:
        answer = fetch(attempt)
        assert answer.status == 403, attempt
        assert answer.json["code"] == "bad_link"
    settings.SECRET_KEY = "another key of the same length......"
    assert fetch(link).status == 403


@pytest.mark.integration
def test_a_file_that_is_gone_is_a_404(capture: SourceImage, media: Path) -> None:
    (media / "captures/moth.jpg").unlink()
    assert fetch(link_of(capture)).status == 404
    link = link_of(capture)
    capture.delete()
    assert fetch(link).status == 404


@pytest.mark.integration
def test_no_path_leads_out_of_the_storage(capture: SourceImage, media: Path) -> None:
    secret = media.parent / "secret.jpg"
    secret.write_bytes(b"secret")
    (media / "escape.jpg").symlink_to(secret)
    (media / "folder").symlink_to(media.parent)
    (media / "loop.jpg").symlink_to(media / "loop.jpg")
    for path in (
        "../secret.jpg",
        str(secret),
        "escape.jpg",
        "folder/secret.jpg",
        "loop.jpg",
        "captures",
        ".",
    ):
        SourceImage.objects.filter(pk=capture.pk).update(path=path)
        assert fetch(link_of(capture)).status == 404, path


@pytest.mark.integration
def test_only_reading_is_possible(capture: SourceImage) -> None:
    assert fetch(link_of(capture), "post").status == 405
    assert fetch(link_of(capture), "head").status == 200


@pytest.mark.integration
def test_what_no_image_is_called_is_not_served_as_one(capture: SourceImage, media: Path) -> None:
    (media / "page.html").write_text("<script>")
    SourceImage.objects.filter(pk=capture.pk).update(path="page.html")
    assert fetch(link_of(capture)).headers["Content-Type"] == "application/octet-stream"


@pytest.mark.integration
def test_pictures_of_projects_are_public_and_captures_are_not(capture: SourceImage, media: Path) -> None:
    (media / "projects").mkdir()
    (media / "projects/logo.png").write_bytes(image_bytes(fmt="PNG"))
    assert fetch("/media/projects/logo.png").headers["Content-Type"] == "image/png"
    for path in (
        "captures/moth.jpg",
        "projects/../captures/moth.jpg",
        "projects/none.png",
        "projects%2F..%2Fcaptures/moth.jpg",
    ):
        assert fetch(f"/media/{path}").status == 404, path


@pytest.mark.integration
def test_the_api_shows_the_signed_link(capture: SourceImage, people: People) -> None:
    shown = people.client("anonymous").get(f"/api/v2/captures/{capture.pk}/").json()
    assert fetch(shown["url"]).status == 200
