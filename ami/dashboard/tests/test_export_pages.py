"""Exports from the pages: who may, what one reads meanwhile, and the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from ami.dashboard.offers import offer_of
from ami.dashboard.tests.conftest import Visit
from ami.dashboard.tests.found import add_box
from ami.dashboard.tests.reading import PageRead, read
from ami.dashboard.views import exports as views
from ami.jobs import logs
from ami.jobs.exports.create import create_export
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.models import DataExport, ExportFormat, Job, JobStage
from ami.jobs.states import JobState
from ami.jobs.tests.conftest import background as background
from ami.main.models import Deployment, Project, SourceImageCollection
from ami.main.tests.factories import add_member, make_capture, make_capture_set, make_deployment
from ami.main.tests.people import People
from ami.users.roles import Role
from ami.users.tests.factories import make_user

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db,
    pytest.mark.usefixtures("background", "media"),
]


@pytest.fixture
def night(people: People) -> SourceImageCollection:
    """A set of one capture, with a named box, of a station that nobody knows the place of."""
    capture = make_capture(make_deployment(people.project, name="Meadow"))
    add_box(capture, (0, 0, 9, 9), ("Noctua pronuba", 0.9))
    return make_capture_set(people.project, capture, name="Night")


def ask(client: Client, project: Project, **fields: Any) -> Any:
    """Press the button."""
    return client.post(f"/projects/{project.pk}/exports/", {"format": "csv"} | fields)


def new_export(project: Project, export_format: str = "csv", **filters: Any) -> DataExport:
    """An export that waits for its turn."""
    return create_export(
        project=project, export_format=export_format, filters=filters, user=None, base_url="https://ami"
    )


def done(export: DataExport) -> DataExport:
    """Carried to its end."""
    dispatch_job(export.job.pk)
    return DataExport.objects.get(pk=export.pk)


def is_offered(page: PageRead) -> bool:
    """Whether the page has a form that makes an export."""
    return any(form.attributes.get("action", "").endswith("/exports/") for form in page.all("form"))


@pytest.mark.parametrize("export_format", list(ExportFormat))
def test_an_export_is_asked_for_on_the_page_of_a_set_watched_and_downloaded(
    visit: Visit, people: People, night: SourceImageCollection, export_format: ExportFormat
) -> None:
    Deployment.objects.update(latitude=9.15, longitude=-79.85)
    client = visit("manager")
    page = read(client, f"/sets/{night.pk}/")
    (form,) = [form for form in page.all("form", method="post") if "exports" in form.attributes["action"]]
    hidden = {
        field.attributes["name"]: field.attributes["value"]
        for field in page.all("input", type="hidden")
        if field.attributes["name"] == "collection_id"
    }
    formats = [field.attributes["value"] for field in page.all("input", type="radio")]
    assert formats == ExportFormat.values
    answer = client.post(form.attributes["action"], hidden | {"format": export_format})
    export = DataExport.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/exports/{export.pk}/")
    assert (export.filters, export.user) == ({"collection_id": night.pk}, people.user("manager"))

    waiting = read(client, f"/exports/{export.pk}/")
    assert "waiting" in waiting.text
    assert [meta.attributes["content"] for meta in waiting.all("meta", **{"http-equiv": "refresh"})] == ["5"]
    assert not waiting.links("/api/v2/exports/")

    done(export)
    ready = read(client, f"/exports/{export.pk}/")
    assert "Export of capture set Night as" in ready.text
    assert "1 row, " in ready.text
    assert not ready.all("meta", **{"http-equiv": "refresh"})
    (link,) = ready.links("/api/v2/exports/")
    file: Any = client.get(link)
    assert len(b"".join(file.streaming_content)) == DataExport.objects.get().size > 0
    assert read(client, f"/projects/{people.project.pk}/exports/").links("/api/v2/exports/")


def test_the_page_of_a_project_exports_all_of_it(
    visit: Visit, people: People, night: SourceImageCollection
) -> None:
    client = visit("manager")
    page = read(client, f"/projects/{people.project.pk}/")
    assert is_offered(page)
    assert not [field for field in page.all("input") if field.attributes["name"].endswith("_id")]
    ask(client, people.project)
    assert DataExport.objects.get().filters == {}


def test_an_offer_for_a_job_names_it_and_says_what_is_wrong_with_it(visit: Visit, people: People) -> None:
    job = create_job(name="Moths", project=people.project)
    request = RequestFactory().get("/")
    request.user = people.user("manager")
    form = render_to_string(
        "dashboard/_exports.html", {"offer": offer_of(request, people.project.pk, job_id=job.pk)}, request
    )
    assert f'name="job_id" value="{job.pk}"' in form
    assert "what was found in this job" in form
    answer = ask(visit("manager"), people.project, job_id=job.pk)
    assert answer.status_code == 400
    assert f"The job {job.pk} has no pipeline" in answer.content.decode()


@pytest.mark.parametrize(
    ("who", "sees", "may", "status"),
    [
        ("anonymous", 404, False, 403),
        ("outsider", 404, False, 403),
        ("member", 200, False, 403),
        ("data_manager", 200, False, 403),
        ("researcher", 200, True, 302),
        ("manager", 200, True, 302),
        ("superuser", 200, True, 302),
    ],
)
def test_who_may_see_and_make_exports_over_the_api_may_do_it_here(
    who: str, sees: int, may: bool, status: int, visit: Visit, people: People, night: SourceImageCollection
) -> None:
    people.users["researcher"] = make_user(name="Researcher")
    add_member(people.project, people.user("researcher"), Role.RESEARCHER)
    client, there = visit(who), new_export(people.project)
    for address in (f"/projects/{people.project.pk}/", f"/sets/{night.pk}/"):
        page = read(client, address)
        assert page.status == 200
        assert is_offered(page) == may
        assert bool(page.links(f"/projects/{people.project.pk}/exports/")) == (sees == 200)
    assert read(client, f"/projects/{people.project.pk}/exports/").status == sees
    assert read(client, f"/exports/{there.pk}/").status == sees
    assert ask(client, people.project).status_code == status
    assert DataExport.objects.count() == (2 if may else 1)


@pytest.mark.parametrize(("who", "status"), [("anonymous", 404), ("outsider", 404), ("manager", 302)])
def test_a_draft_has_no_exports_for_those_who_do_not_belong_to_it(
    who: str, status: int, visit: Visit, people: People
) -> None:
    there = new_export(people.draft)
    client = visit(who)
    assert ask(client, people.draft).status_code == status
    for address in (f"/exports/{there.pk}/", f"/projects/{people.draft.pk}/exports/"):
        assert read(client, address).status == (200 if status == 302 else 404)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"format": ""}, "Choose a format for the export."),
        ({"format": "xlsx"}, "xlsx is not one of the available choices."),
        ({"collection_id": "x"}, "Enter a whole number."),
        ({"collection_id": 10**30}, "less than or equal to"),
        ({"collection_id": 999_999_999}, "The project has no capture set 999999999."),
        ({"job_id": 1, "collection_id": 1}, "Choose a capture set or a job, not both."),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    fields: dict[str, Any], sentence: str, visit: Visit, people: People
) -> None:
    answer = ask(visit("manager"), people.project, **fields)
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert not DataExport.objects.exists()


def test_a_set_of_another_project_cannot_be_exported(visit: Visit, people: People) -> None:
    other = make_capture_set(people.draft, name="Secret night")
    answer = ask(visit("manager"), people.project, collection_id=other.pk)
    assert (answer.status_code, b"Secret" in answer.content) == (400, False)


def test_a_form_that_is_not_ours_is_refused(people: People) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.user("manager"))
    assert ask(client, people.project).status_code == 403
    assert not DataExport.objects.exists()


def test_an_export_that_fails_says_what_its_job_said(
    visit: Visit, people: People, night: SourceImageCollection
) -> None:
    export = done(new_export(people.project, "camtrap_dp"))
    for address in (f"/exports/{export.pk}/", f"/projects/{people.project.pk}/exports/"):
        page = read(visit("member"), address)
        assert "failed" in page.text
        assert "1 are of stations without coordinates. Nothing is left to export" in page.text
        assert not page.links("/api/v2/exports/")


def test_what_is_left_out_is_said_beside_the_file(
    visit: Visit, people: People, night: SourceImageCollection
) -> None:
    make_capture(make_deployment(people.project, latitude=9.15, longitude=-79.85))
    export = done(new_export(people.project, "camtrap_dp"))
    page = read(visit("member"), f"/exports/{export.pk}/")
    assert page.links("/api/v2/exports/")
    assert "Captures left out: 1 are of stations without coordinates." in page.text


def running(job: Job) -> None:
    """Half of it is written."""
    Job.objects.filter(pk=job.pk).update(status=JobState.STARTED)
    figures = [{"key": "captures", "value": 12_000}, {"key": "rows", "value": 30_000}]
    JobStage.objects.filter(job=job, key="data_export").update(progress=0.4, params=figures)


def just_begun(job: Job) -> None:
    """Nothing is written."""
    Job.objects.filter(pk=job.pk).update(status=JobState.STARTED)


def all_written(job: Job) -> None:
    """The file is still to be made."""
    running(job)
    JobStage.objects.filter(job=job, key="data_export").update(progress=1)


def cancelled(job: Job) -> None:
    """By somebody."""
    cancel_job(job.pk)


def without_its_file(job: Job) -> None:
    """It was there once."""
    Job.objects.filter(pk=job.pk).update(status=JobState.SUCCESS)


@pytest.mark.parametrize(
    ("become", "sentence", "looks_again"),
    [
        (just_begun, "running It has just begun.", True),
        (running, "running 40 %: 12,000 captures are read, 30,000 rows are written.", True),
        (all_written, "running All 30,000 rows are written; the file is being put together.", True),
        (cancelled, "cancelled Somebody cancelled it; there is no file.", False),
        (without_its_file, "gone Its file is gone; export again.", False),
    ],
)
def test_the_state_is_said_in_words(
    become: Callable[[Job], None], sentence: str, looks_again: bool, visit: Visit, people: People
) -> None:
    export = new_export(people.project)
    become(export.job)
    page = read(visit("member"), f"/exports/{export.pk}/")
    assert sentence in page.text
    assert bool(page.all("meta", **{"http-equiv": "refresh"})) == looks_again


def test_the_newest_exports_come_first_and_no_more_than_a_page_of_them(
    visit: Visit, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SHOWN", 3)
    made = [new_export(people.project).pk for _ in range(5)]
    new_export(people.draft)
    page = read(visit("member"), f"/projects/{people.project.pk}/exports/")
    assert page.links("/exports/") == [f"/exports/{key}/" for key in reversed(made[2:])]
    assert "The newest 3 are shown." in page.text


def test_the_pages_cost_the_same_however_many_exports_there_are(
    visit: Visit, people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client, address = visit("member"), f"/projects/{people.project.pk}/exports/"
    for number in range(12):
        export = new_export(people.project)
        if number % 2:
            done(export)
    # session, person, project, roles, exports with their jobs, stages
    with django_assert_max_num_queries(6):
        assert len(read(client, address).links("/exports/")) == 12
    logs.write_one(export.job.pk, "job.paused", "Tried again in 5 s: the disk is full.", "WARNING")
    with CaptureQueriesContext(connection) as captured:
        read(client, f"/exports/{export.pk}/")
    assert len(captured) == 5  # person (the session is in the cache), export, stages, roles, warnings


def test_an_export_whose_job_is_gone_says_so(visit: Visit, people: People) -> None:
    export = DataExport.objects.create(project=people.project, format="csv")
    page = read(visit("member"), reverse("dashboard:export", args=[export.pk]))
    assert (page.status, "Its job was deleted" in page.text) == (200, True)
