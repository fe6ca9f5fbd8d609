"""Projects, captures, models and predictions in the admin."""

from __future__ import annotations

import json

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from ami.main.models import Project, SourceImage, SourceImageCollection, SourceImageUpload, Taxon
from ami.main.tests.factories import add_member, make_capture, make_capture_set, make_deployment, make_project
from ami.ml.models import Classification, Detection
from ami.ml.tests.factories import make_algorithm, make_category_map, make_pipeline, make_service
from ami.users.tests.factories import make_user

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
PAGES = [
    "main/project",
    "main/projectmembership",
    "main/device",
    "main/site",
    "main/deployment",
    "main/sourceimage",
    "main/sourceimagecollection",
    "main/sourceimageupload",
    "main/taxon",
    "ml/algorithm",
    "ml/algorithmcategorymap",
    "ml/pipeline",
    "ml/projectpipelineconfig",
    "ml/processingservice",
    "ml/detection",
    "ml/classification",
]


@pytest.fixture
def site_admin() -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def fill(rows: int) -> None:
    """Some of everything."""
    for _ in range(rows):
        project = make_project(owner=make_user())
        add_member(project, make_user())
        deployment = make_deployment(project)
        deployment.device = deployment.project.devices.create(name="D")
        deployment.research_site = deployment.project.sites.create(name="S")
        deployment.save()
        capture = make_capture(deployment)
        make_capture_set(project, capture)
        SourceImageUpload.objects.create(
            deployment=deployment, source_image=capture, user=make_user(), image="a.jpg"
        )
        algorithm = make_algorithm(category_map=make_category_map("a", "b"))
        make_service(project, make_pipeline(project, algorithms=[algorithm]))
        parent = Taxon.objects.create(name=f"Parent {capture.pk}")
        taxon = Taxon.objects.create(name=f"Child {capture.pk}", parent=parent)
        detection = Detection.objects.create(
            source_image=capture, detection_algorithm=algorithm, x1=1, y1=1, x2=2, y2=2
        )
        Classification.objects.create(detection=detection, algorithm=algorithm, taxon=taxon, score=0.5)


def test_every_page_opens_and_costs_the_same_however_long_it_is(
    site_admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    fill(6)
    for page in PAGES:
        with django_assert_max_num_queries(8, info=page):  # session, person, counts, filters, the rows
            response = site_admin.get(f"/admin/{page}/")
        assert response.status_code == 200, page
        assert site_admin.get(f"/admin/{page}/?q=1").status_code == 200, page


def test_every_object_opens(site_admin: Client) -> None:
    fill(1)
    for page in PAGES:
        app, model = page.split("/")
        one = next(
            model_class
            for model_class in admin.site._registry
            if model_class._meta.label_lower == f"{app}.{model}"
        )
        key = one._default_manager.order_by("pk").values_list("pk", flat=True)[0]
        assert site_admin.get(f"/admin/{page}/{key}/change/").status_code == 200, page


def test_a_project_made_in_the_admin_has_what_every_project_needs(site_admin: Client) -> None:
    owner = make_user()
    form = {"name": "New", "owner": owner.pk, "active": "on", "flags": "{}", "session_time_gap_seconds": 7200,
            "score_threshold": 0.5}  # fmt: skip
    response = site_admin.post("/admin/main/project/add/", form)
    assert response.status_code == 302, response.context["errors"]
    project = Project.objects.get(name="New")
    assert project.capture_sets.get().name == "All Images"
    assert project.memberships.get().user == owner


def test_a_set_made_in_the_admin_holds_what_its_parameters_say(site_admin: Client) -> None:
    capture, stranger = (make_capture(make_deployment(make_project())) for _ in range(2))
    page = "/admin/main/sourceimagecollection/add/"

    def form(*ids: int) -> dict[str, object]:
        kwargs = json.dumps({"image_ids": ids})
        return {"project": capture.project_id, "name": "S", "method": "manual", "kwargs": kwargs}

    assert b"The project has no capture" in site_admin.post(page, form(stranger.pk)).content
    assert site_admin.post(page, form(capture.pk)).status_code == 302
    assert SourceImageCollection.objects.get().images.get() == capture


def test_parameters_of_a_set_are_checked(site_admin: Client) -> None:
    form = {"project": make_project().pk, "name": "S", "method": "full", "kwargs": '{"size": 3}'}
    response = site_admin.post("/admin/main/sourceimagecollection/add/", form)
    assert b"takes no parameter" in response.content


def test_predictions_are_looked_at_and_not_edited(site_admin: Client) -> None:
    fill(1)
    detection = Detection.objects.get()
    assert site_admin.get("/admin/ml/detection/add/").status_code == 403
    assert site_admin.post(f"/admin/ml/detection/{detection.pk}/change/", {"x1": 5}).status_code == 403


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [("http://127.0.0.1:2000/", True), ("http://gpu.example.org/", False), ("", False)],
)
def test_an_address_that_the_server_never_calls_is_refused_in_the_form(
    site_admin: Client, url: str, is_refused: bool
) -> None:
    service = make_service(make_project())
    body = {"name": "S", "endpoint_url": url, "projects": [service.projects.get().pk]}
    response = site_admin.post(f"/admin/ml/processingservice/{service.pk}/change/", body)
    assert (response.status_code == 200) is is_refused
    assert (b"OUTGOING_ALLOWED_NETWORKS" in response.content) is is_refused


def test_deleting_a_project_says_what_goes_along_without_reading_it(site_admin: Client) -> None:
    fill(1)
    capture = make_capture(make_deployment(Project.objects.get()))
    page = f"/admin/main/project/{capture.project_id}/delete/"
    with CaptureQueriesContext(connection) as captured:
        shown = site_admin.get(page)
    counts = dict(shown.context["model_count"])
    assert counts["projects"] == 1
    captures = SourceImage.objects.filter(project=capture.project_id)
    assert counts[SourceImage._meta.verbose_name_plural] == captures.count()
    assert not any('"main_sourceimage"."path"' in query["sql"] for query in captured.captured_queries)
    assert site_admin.post(page, {"post": "yes"}).status_code == 302
    assert not Project.objects.exists()


def test_a_deletion_takes_the_permission_for_what_goes_along(client: Client) -> None:
    fill(1)
    some = make_user(is_staff=True)
    some.user_permissions.add(*Permission.objects.filter(codename__in=["delete_project", "view_project"]))
    client.force_login(some)
    page = f"/admin/main/project/{Project.objects.get().pk}/delete/"
    assert client.get(page).context["perms_lacking"]
    assert client.post(page, {"post": "yes"}).status_code == 403
    assert Project.objects.exists()


def test_what_is_in_use_is_not_deleted_and_the_page_says_by_what(site_admin: Client) -> None:
    fill(1)
    taxon = Classification.objects.get().taxon
    page = f"/admin/main/taxon/{taxon.pk}/delete/"
    assert "classifications: 1" in site_admin.get(page).content.decode()
    assert site_admin.post(page, {"post": "yes"}).status_code == 200
    assert Taxon.objects.filter(pk=taxon.pk).exists()
