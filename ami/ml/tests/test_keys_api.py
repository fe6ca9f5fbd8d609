"""Keys over the API: made, seen, rotated and revoked by managers of the projects in which they are good."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from ami.main.models import Project
from ami.main.tests.factories import add_member, make_project
from ami.main.tests.people import People, make_people
from ami.ml import keys
from ami.ml.models import Pipeline, ProcessingService, WorkerKey
from ami.users.roles import Role

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def people() -> People:
    """A project with its people."""
    keys.forget_all()
    return make_people()


@pytest.fixture
def service(people: People) -> ProcessingService:
    """A pull service of the project."""
    made = ProcessingService.objects.create(name="Lab GPUs")
    made.projects.add(people.project)
    return made


def at(service: ProcessingService, key: int | None = None, action: str = "") -> str:
    """The address of a service's keys, of one, or of something that is done to it."""
    address = f"/api/v2/ml/processing_services/{service.pk}/keys/"
    return address + (f"{key}/" if key else "") + (f"{action}/" if action else "")


def post(people: People, who: str, address: str, body: Any = None) -> Any:
    """POST as somebody."""
    return people.client(who).post(address, body or {})


def test_a_manager_makes_a_key_and_sees_it_once(people: People, service: ProcessingService) -> None:
    answer = post(people, "manager", at(service), {"name": "rack 1"})
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()
    secret = made.pop("secret")
    assert made["projects"] == [people.project.pk]
    assert (made["pipelines"], made["name"], secret.startswith(f"amiw_{made['prefix']}_")) == (
        None,
        "rack 1",
        True,
    )
    listed = people.client("manager").get(at(service)).json()
    assert listed["results"] == [made]
    assert secret not in str(listed)
    assert WorkerKey.objects.get().created_by == people.user("manager")


@pytest.mark.parametrize(
    ("who", "status"),
    [("anonymous", 401), ("outsider", 403), ("member", 403), ("data_manager", 403), ("superuser", 201)],
)
def test_only_managers_make_keys(people: People, service: ProcessingService, who: str, status: int) -> None:
    assert post(people, who, at(service)).status_code == status
    listed = people.client(who).get(at(service))
    assert listed.status_code == (200 if status == 201 else status)


def test_a_machine_neither_makes_keys_nor_sees_any(people: People, service: ProcessingService) -> None:
    client = APIClient()
    client.credentials(
        HTTP_AUTHORIZATION=f"Token {keys.mint(service=service, projects=[people.project]).secret}"
    )
    assert client.post(at(service)).status_code == 403
    assert client.get(at(service)).status_code == 403
    assert client.post(at(service, WorkerKey.objects.get().pk, "rotate")).status_code == 403


def test_a_key_is_never_good_where_its_maker_is_no_manager(
    people: People, service: ProcessingService
) -> None:
    theirs = make_project()
    service.projects.add(theirs)
    made = post(people, "manager", at(service)).json()
    assert made["projects"] == [people.project.pk]
    refused = post(people, "manager", at(service), {"projects": [people.project.pk, theirs.pk]})
    assert refused.status_code == 403
    assert "manage" in refused.json()["detail"]


def test_a_key_can_be_narrowed_to_projects_and_pipelines(people: People, service: ProcessingService) -> None:
    other = make_project()
    add_member(other, people.user("manager"), Role.PROJECT_MANAGER)
    service.projects.add(other)
    Pipeline.objects.create(name="Moths", slug="moths")
    body = {"projects": [other.pk], "pipelines": ["moths"], "expires_at": "2099-01-01T00:00:00Z"}
    made = post(people, "manager", at(service), body).json()
    assert (made["projects"], made["pipelines"], made["expires_at"]) == (
        [other.pk],
        ["moths"],
        "2099-01-01T00:00:00.000000Z",
    )


@pytest.mark.parametrize(
    "body",
    [
        {"projects": []},
        {"projects": [987654]},
        {"projects": "all"},
        {"pipelines": ["unknown"]},
        {"expires_at": "yesterday"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x" * 300},
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    people: People, service: ProcessingService, body: dict[str, Any]
) -> None:
    answer = post(people, "manager", at(service), body)
    assert answer.status_code == 400
    assert answer.json()
    assert not WorkerKey.objects.exists()


def test_rotating_gives_a_new_key_and_revoking_ends_one(people: People, service: ProcessingService) -> None:
    first = post(people, "manager", at(service)).json()
    rotated = post(people, "manager", at(service, first["id"], "rotate"), {"overlap_seconds": 60})
    assert rotated.status_code == 201
    assert rotated.json()["rotated_from"] == first["id"]
    assert rotated.json()["secret"] != first["secret"]
    for _ in range(2):
        revoked = post(people, "manager", at(service, first["id"], "revoke"))
        assert revoked.status_code == 200
        assert revoked.json()["revoked_at"]
    assert keys.recognise(first["secret"]) is None
    assert keys.recognise(rotated.json()["secret"]) is not None
    again = post(people, "manager", at(service, first["id"], "rotate"))
    assert (again.status_code, "new one" in again.json()["detail"]) == (400, True)


def test_a_key_that_is_also_good_elsewhere_is_not_one_managers_to_change(
    people: People, service: ProcessingService
) -> None:
    theirs = make_project(draft=True)
    service.projects.add(theirs)
    made = keys.mint(service=service, projects=[people.project, theirs]).key
    shown = people.client("manager").get(at(service, made.pk)).json()
    assert shown["projects"] == [people.project.pk], "of another project not even the number is shown"
    for action in ("rotate", "revoke"):
        assert post(people, "manager", at(service, made.pk, action)).status_code == 403
        assert post(people, "superuser", at(service, made.pk, action)).status_code in (200, 201)


def test_keys_of_what_one_cannot_see_do_not_exist(people: People) -> None:
    hidden = ProcessingService.objects.create(name="Hidden")
    hidden.projects.add(Project.objects.create(name="Secret", draft=True))
    key = keys.mint(service=hidden, projects=hidden.projects.all()).key
    for address in (at(hidden), at(hidden, key.pk)):
        assert people.client("manager").get(address).status_code == 404
    for address in (at(hidden), at(hidden, key.pk, "revoke"), at(hidden, 999_999, "rotate")):
        assert post(people, "manager", address).status_code == 404
    assert people.client("manager").get("/api/v2/ml/processing_services/nonsense/keys/").status_code == 404
