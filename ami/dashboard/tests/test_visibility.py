"""Who sees which pages: public projects are for everybody, drafts for those who belong to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.reading import read
from ami.main.models import Project
from ami.main.tests.factories import image_bytes, make_capture, make_capture_set, make_deployment
from ami.main.tests.people import People

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def addresses(project: Project, media: Path) -> list[str]:
    """Every page that there is about a project."""
    station = make_deployment(project)
    (media / "moth.jpg").write_bytes(image_bytes())
    capture = make_capture(station, path="moth.jpg", public_base_url="")
    capture_set = make_capture_set(project, capture)
    return [
        f"/projects/{project.pk}/",
        f"/stations/{station.pk}/",
        f"/sets/{capture_set.pk}/",
        f"/captures/{capture.pk}/",
        f"/captures/{capture.pk}/thumbnail/320/",
    ]


@pytest.mark.parametrize("who", ["anonymous", "outsider", "member", "manager", "superuser"])
def test_a_public_project_is_there_for_everybody(who: str, people: People, visit: Visit, media: Path) -> None:
    for address in addresses(people.project, media):
        assert visit(who).get(address).status_code == 200, address


@pytest.mark.parametrize(("who", "status"), [("anonymous", 404), ("outsider", 404), ("member", 200)])
def test_a_draft_does_not_exist_for_those_who_do_not_belong_to_it(
    who: str, status: int, people: People, visit: Visit, media: Path
) -> None:
    for address in addresses(people.draft, media):
        assert visit(who).get(address).status_code == status, address
    listed = read(visit(who), "/projects/").links("/projects/")
    assert (f"/projects/{people.draft.pk}/" in listed) == (status == 200)


def test_an_inactive_project_is_hidden_from_everybody(people: People, visit: Visit, media: Path) -> None:
    Project.objects.filter(pk=people.project.pk).update(active=False)
    for address in addresses(people.project, media):
        assert visit("manager").get(address).status_code == 404, address


def test_hidden_and_missing_look_the_same(people: People, visit: Visit) -> None:
    hidden = read(visit("outsider"), f"/projects/{people.draft.pk}/")
    missing = read(visit("outsider"), "/projects/999999999/")
    assert (hidden.status, missing.status) == (404, 404)
    assert hidden.text == missing.text
    assert "log in" in read(visit("anonymous"), "/projects/999999999/").text


def test_an_id_larger_than_any_is_a_404(visit: Visit) -> None:
    for kind in ("projects", "sets", "stations", "captures"):
        assert visit("anonymous").get(f"/{kind}/{10**30}/").status_code == 404


def test_a_set_of_a_hidden_project_in_the_address_tells_nothing(people: People, visit: Visit) -> None:
    capture = make_capture(make_deployment(people.project))
    hidden = make_capture_set(people.draft, name="Secret night")
    page = read(visit("anonymous"), f"/captures/{capture.pk}/?set={hidden.pk}")
    assert page.status == 200
    assert "Secret night" not in page.html


def test_pages_can_only_be_read(people: People, visit: Visit, media: Path) -> None:
    for address in ["/projects/", *addresses(people.project, media)]:
        assert visit("manager").post(address).status_code == 405, address


def test_pages_run_no_script_and_no_style_of_their_own(people: People, visit: Visit, media: Path) -> None:
    for address in ["/projects/", "/login/", *addresses(people.project, media)[:-1]]:
        page = read(visit("member"), address)
        policy = page.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        for seen in page.elements:
            assert not [name for name in seen.attributes if name.startswith("on") or name == "style"]
            assert seen.tag != "style"
            assert seen.tag != "script" or (seen.attributes["src"].startswith("/static/") and not seen.text)


def test_names_are_text_and_never_markup(people: People, visit: Visit, media: Path) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    Project.objects.filter(pk=people.project.pk).update(name=nasty, description=nasty)
    station = make_deployment(people.project, name=nasty)
    capture = make_capture(station, path=nasty)
    chosen = make_capture_set(people.project, capture, name=nasty)
    for address in (
        "/projects/",
        f"/projects/{people.project.pk}/",
        f"/sets/{chosen.pk}/?taxon={nasty}",
        f"/captures/{capture.pk}/?set={chosen.pk}",
    ):
        page = read(visit("anonymous"), address)
        assert nasty not in page.html, address
        assert nasty in page.text, address


def test_the_home_page_leads_to_the_projects(visit: Visit) -> None:
    answer = visit("anonymous").get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/projects/")
