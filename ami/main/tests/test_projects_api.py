"""Projects and their members."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from ami.main.models import Project, ProjectMembership
from ami.main.models.project import permissions_by_project, permissions_in
from ami.main.projects import create_project
from ami.main.tests.factories import add_member, make_capture, make_deployment, make_project
from ami.main.tests.people import People
from ami.users.roles import ROLES, Role
from ami.users.tests.factories import make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
PROJECTS = "/api/v2/projects/"
EVERYBODY = ["anonymous", "outsider", "member", "data_manager", "manager", "superuser"]
ITEM = [
    "id",
    "name",
    "description",
    "details",
    "deployments_count",
    "created_at",
    "updated_at",
    "image",
    "draft",
    "user_permissions",
]


def page(project: Project) -> str:
    return f"{PROJECTS}{project.pk}/"


def test_a_list_item_has_the_shape_of_the_contract(people: People) -> None:
    make_deployment(people.project)
    make_deployment(people.project)
    answer = people.client("manager").get(PROJECTS).json()
    assert list(answer) == ["count", "next", "previous", "results", "user_permissions"]
    item = next(item for item in answer["results"] if item["id"] == people.project.pk)
    assert list(item) == ITEM
    assert item["deployments_count"] == 2
    assert item["details"] == f"http://testserver{page(people.project)}"
    assert item["created_at"].endswith("Z")


def test_the_own_page_adds_what_the_contract_has(people: People) -> None:
    deployment = make_deployment(people.project, latitude=1.5)
    shown = people.client("member").get(page(people.project)).json()
    assert list(shown) == [
        *ITEM[:-1],
        "deployments",
        "summary_data",
        "owner",
        "feature_flags",
        "settings",
        "is_member",
        "user_permissions",
    ]
    assert shown["deployments"][0]["id"] == deployment.pk
    assert list(shown["deployments"][0]) == [
        "id", "name", "image", "details", "latitude", "longitude", "events_count",
    ]  # fmt: skip
    assert shown["feature_flags"] == {
        "tags": False,
        "reprocess_existing_detections": False,
        "default_filters": False,
        "reprocess_all_images": False,
        "async_pipeline_workers": True,
    }
    assert list(shown["settings"]) == [
        "default_processing_pipeline",
        "session_time_gap_seconds",
        "default_filters_score_threshold",
        "default_filters_include_taxa",
        "default_filters_exclude_taxa",
    ]
    assert shown["is_member"] is True


def test_a_project_page_has_forty_items(people: People) -> None:
    Project.objects.bulk_create(Project(name=f"P{number}") for number in range(45))
    answer = people.client("anonymous").get(PROJECTS).json()
    assert len(answer["results"]) == 40
    assert len(people.client("anonymous").get("/api/v2/deployments/").json()["results"]) == 0


@pytest.mark.parametrize(
    ("who", "sees"),
    [("anonymous", 1), ("outsider", 1), ("member", 2), ("manager", 2), ("superuser", 2)],
)
def test_drafts_are_for_their_members(people: People, who: str, sees: int) -> None:
    assert people.client(who).get(PROJECTS).json()["count"] == sees
    assert people.client(who).get(page(people.draft)).status_code == (200 if sees == 2 else 404)


def test_inactive_projects_are_nowhere(people: People) -> None:
    Project.objects.update(active=False)
    assert people.client("superuser").get(PROJECTS).json()["count"] == 0
    assert people.client("superuser").get(page(people.project)).status_code == 404


@pytest.mark.parametrize(
    ("who", "update", "delete", "verbs"),
    [
        ("anonymous", 401, 401, []),
        ("outsider", 403, 403, []),
        ("member", 403, 403, []),
        ("data_manager", 403, 403, []),
        ("manager", 200, 204, ["update", "delete"]),
        ("superuser", 200, 204, ["update", "delete"]),
    ],
)
def test_managers_change_projects(
    people: People, who: str, update: int, delete: int, verbs: list[str]
) -> None:
    client = people.client(who)
    assert client.get(page(people.project)).json()["user_permissions"] == verbs
    assert client.patch(page(people.project), {"description": "x"}).status_code == update
    assert client.delete(page(people.project)).status_code == delete


def test_an_owner_is_a_manager_without_a_membership(people: People) -> None:
    project = make_project(owner=people.user("outsider"))
    assert people.client("outsider").patch(page(project), {"name": "Mine"}).status_code == 200


@pytest.mark.parametrize(("who", "status"), [("anonymous", 401), ("outsider", 201), ("superuser", 201)])
def test_whoever_is_logged_in_makes_projects_and_manages_them(people: People, who: str, status: int) -> None:
    response = people.client(who).post(PROJECTS, {"name": "New", "feature_flags": {"tags": True}})
    assert response.status_code == status
    if status == 201:
        project = Project.objects.get(pk=response.json()["id"])
        assert project.owner == people.user(who)
        assert response.json()["feature_flags"]["tags"] is True
        assert response.json()["user_permissions"] == ["update", "delete"]
        assert response.json()["deployments_count"] == len(response.json()["deployments"]) == 1


def test_a_new_project_has_what_every_project_needs() -> None:
    owner = make_user()
    project = create_project(name="Night moths", owner=owner)
    deployment = project.deployments.get()
    assert deployment.device is not None
    assert deployment.research_site is not None
    assert deployment.device.project == deployment.research_site.project == project
    capture_set = project.capture_sets.get()
    assert (capture_set.name, capture_set.method) == ("All Images", "full")
    assert project.memberships.get().role == Role.PROJECT_MANAGER


def test_flags_that_a_write_does_not_name_keep_their_value(people: People) -> None:
    client = people.client("manager")
    client.patch(page(people.project), {"feature_flags": {"tags": True}})
    flags = client.patch(page(people.project), {"feature_flags": {"async_pipeline_workers": False}}).json()
    assert flags["feature_flags"]["tags"] is True
    assert flags["feature_flags"]["async_pipeline_workers"] is False


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"feature_flags": {"nonsense": True}},
        {"feature_flags": {"tags": "yes"}},
        {"feature_flags": [1]},
        {"settings": {"session_time_gap_seconds": -1}},
        {"settings": {"default_filters_score_threshold": 2}},
        {"settings": {"default_processing_pipeline_id": 999}},
    ],
)
def test_nonsense_is_refused_field_by_field(people: People, body: dict[str, object]) -> None:
    response = people.client("manager").patch(page(people.project), body)
    assert response.status_code == 400
    assert list(response.json()) == list(body)


def test_ones_own_projects_can_be_listed_and_nobody_elses(people: People) -> None:
    make_project(name="Strange")
    client, member = people.client("member"), people.user("member")
    assert client.get(f"{PROJECTS}?user_id={member.pk}").json()["count"] == 2
    other = client.get(f"{PROJECTS}?user_id={people.user('manager').pk}")
    assert other.status_code == 403
    assert other.json() == {"detail": "You can only view your projects"}
    assert client.get(f"{PROJECTS}?user_id=me").status_code == 400


def test_projects_can_be_ordered_by_their_last_capture(people: People) -> None:
    late, early, empty = (make_project(name=name) for name in "abc")
    for project in (early, late):
        make_capture(make_deployment(project))
    names = [
        item["id"]
        for item in people.client("anonymous")
        .get(f"{PROJECTS}?ordering=-last_capture_timestamp")
        .json()["results"]
    ]
    assert names[:2] == [late.pk, early.pk]
    assert empty.pk in names[2:]
    assert people.client("anonymous").get(f"{PROJECTS}?ordering=-last_job_updated_at").status_code == 200


def test_a_list_costs_the_same_however_long_it_is(
    people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    member = people.user("member")
    for _ in range(15):
        project = make_project(owner=member)
        make_deployment(project)
        add_member(project, people.user("outsider"), Role.RESEARCHER)
    client = people.client("member")
    client.get(PROJECTS)
    with django_assert_max_num_queries(3):  # count, page, the caller's roles
        assert len(client.get(PROJECTS).json()["results"]) == 17


def test_roles_by_project_agree_with_the_roles_in_each_project(people: People) -> None:
    for number, role in enumerate(Role):
        user = make_user()
        project = make_project(owner=user if number % 2 else None)
        add_member(project, user, role)
        add_member(people.project, user, Role.WORKER)
        assert permissions_by_project(user) == {
            project.pk: permissions_in(user, project),
            people.project.pk: permissions_in(user, people.project),
        }


# Members


def members(project: Project) -> str:
    return f"{page(project)}members/"


@pytest.mark.parametrize(
    ("who", "see", "change"),
    [
        ("anonymous", 401, 401),
        ("outsider", 403, 403),
        ("member", 200, 403),
        ("data_manager", 200, 403),
        ("manager", 200, 201),
        ("superuser", 200, 201),
    ],
)
def test_members_see_each_other_and_managers_change_them(
    people: People, who: str, see: int, change: int
) -> None:
    client, new = people.client(who), make_user("new@example.org")
    assert client.get(members(people.project)).status_code == see
    body = {"email": "New@example.org", "role_id": "Researcher"}
    assert client.post(members(people.project), body).status_code == change
    assert ProjectMembership.objects.filter(user=new).exists() == (change == 201)


def test_a_membership_shows_person_and_role_and_can_be_changed_and_ended(people: People) -> None:
    make_user("new@example.org", name="New")
    client = people.client("manager")
    made = client.post(members(people.project), {"email": "new@example.org", "role_id": "Researcher"}).json()
    assert list(made) == ["id", "user", "role", "created_at", "updated_at", "user_permissions"]
    assert made["user"]["email"] == "new@example.org"
    assert made["role"] == {
        "id": "Researcher",
        "name": "Researcher",
        "description": ROLES["Researcher"].description,
    }
    one = f"{members(people.project)}{made['id']}/"
    assert client.patch(one, {"role_id": "Identifier"}).json()["role"]["id"] == "Identifier"
    assert people.client("member").patch(one, {"role_id": "ProjectManager"}).status_code == 403
    assert people.client("member").delete(one).status_code == 403
    assert client.delete(one).status_code == 204


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role_id": "Researcher"}, "email"),
        ({"email": "nobody@example.org", "role_id": "Researcher"}, "email"),
        ({"email": "taken@example.org", "role_id": "King"}, "role_id"),
        ({"email": "taken@example.org", "role_id": "BasicMember"}, "role_id"),
        ({"email": "taken@example.org"}, "role_id"),
    ],
)
def test_a_membership_that_makes_no_sense_is_refused(
    people: People, body: dict[str, str], field: str
) -> None:
    add_member(people.project, make_user("taken@example.org"))
    response = people.client("manager").post(members(people.project), body)
    assert response.status_code == 400
    assert list(response.json()) == [field]


def test_members_of_another_project_cannot_be_reached(people: People) -> None:
    other = make_project(owner=people.user("outsider"))
    membership = ProjectMembership.objects.filter(project=people.project).first()
    assert membership is not None
    assert people.client("outsider").delete(f"{members(other)}{membership.pk}/").status_code == 404
    assert people.client("manager").get(f"{PROJECTS}999999/members/").status_code == 404
    assert people.client("outsider").get(members(people.draft)).status_code == 404


@pytest.mark.parametrize("who", EVERYBODY)
def test_what_a_list_offers_is_what_a_role_allows(people: People, who: str) -> None:
    offers = people.client(who).get(f"/api/v2/deployments/?project_id={people.project.pk}").json()
    assert offers["user_permissions"] == (["create"] if who in ("manager", "superuser") else [])
    everywhere = people.client(who).get("/api/v2/deployments/").json()
    assert everywhere["user_permissions"] == (["create"] if who == "superuser" else [])
