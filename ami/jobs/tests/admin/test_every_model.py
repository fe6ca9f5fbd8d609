"""Every model of the admin: it is in the menu, its pages open, it is searched and filtered, without N+1."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cachalot.api import cachalot_disabled
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from knox.models import AuthToken

from ami.base import clock
from ami.jobs.models import (
    Attempt,
    DataExport,
    DeadLetter,
    HealthReport,
    InboxEntry,
    Job,
    JobLog,
    JobStage,
    JobTask,
    Notification,
    Webhook,
)
from ami.jobs.models.notification import NotificationWay
from ami.jobs.states import TaskState
from ami.main.models import (
    Deployment,
    Device,
    Event,
    Project,
    ProjectMembership,
    Site,
    SourceImage,
    SourceImageCollection,
    SourceImageUpload,
    StorageSource,
    Taxon,
)
from ami.main.tests.factories import add_member, make_capture, make_capture_set, make_deployment, make_project
from ami.ml import keys
from ami.ml.models import (
    Algorithm,
    AlgorithmCategoryMap,
    Classification,
    Detection,
    Pipeline,
    ProcessingService,
    ProjectPipelineConfig,
    WorkerInstance,
    WorkerKey,
)
from ami.ml.tests.factories import make_algorithm, make_category_map, make_pipeline, make_service
from ami.users.models import User
from ami.users.tests.factories import PASSWORD, make_user
from config.admin_menu import MENU

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def a_deployment() -> Deployment:
    """A station with all that it can have."""
    deployment = make_deployment(make_project(owner=make_user()))
    deployment.device = deployment.project.devices.create(name="D")
    deployment.research_site = deployment.project.sites.create(name="S")
    deployment.save()
    return deployment


def a_job() -> Job:
    """A job with a stage in which something failed."""
    project = make_project()
    job = Job.objects.create(
        name="J",
        project=project,
        pipeline=make_pipeline(project),
        created_by=make_user(),
        dispatch_mode="async_api",
    )
    figures = [{"name": "Failed", "key": "failed", "category": "default", "value": 2}]
    JobStage.objects.create(job=job, position=0, key="process", name="Process", params=figures)
    return job


def a_task(**fields: Any) -> JobTask:
    """A row of a ledger."""
    capture = make_capture(a_deployment())
    return JobTask.objects.create(job=a_job(), image=capture, position=1, run=1, **fields)


def a_detection() -> Detection:
    """A box."""
    algorithm = make_algorithm(category_map=make_category_map("a", "b"))
    return Detection.objects.create(
        source_image=make_capture(a_deployment()), detection_algorithm=algorithm, x1=1, y1=1, x2=2, y2=2
    )


def a_name() -> None:
    """A name of a box."""
    box = a_detection()
    taxon = Taxon.objects.create(name=f"Taxon {box.pk}")
    Classification.objects.create(
        detection=box, algorithm=box.detection_algorithm, taxon=taxon, score=0.5, timestamp=clock.now()
    )


def an_upload() -> None:
    """An upload with its capture."""
    deployment = a_deployment()
    capture = make_capture(deployment)
    SourceImageUpload.objects.create(
        deployment=deployment, source_image=capture, user=make_user(), image="a.jpg"
    )


def a_scheduled_task() -> None:
    """A periodic task with a schedule of its own."""
    every = IntervalSchedule.objects.count() + 10
    interval = IntervalSchedule.objects.create(every=every, period="seconds")
    PeriodicTask.objects.create(name=f"task {every}", task="jobs.health", interval=interval)


def an_export() -> None:
    """An export and its job."""
    job = a_job()
    job.data_export = DataExport.objects.create(project=job.project, user=make_user(), format="csv")
    job.save()


def a_service() -> ProcessingService:
    """A service that pulls."""
    project = make_project()
    return make_service(project, make_pipeline(project))


def a_worker() -> None:
    """A worker of a service."""
    service = a_service()
    WorkerInstance.objects.create(
        holder=f"service:{service.pk}", name="w", service=service, last_seen=clock.now()
    )


def a_log_entry() -> None:
    """Something done in the admin."""
    LogEntry.objects.create(
        user=make_user(),
        content_type=ContentType.objects.get_for_model(Project),
        object_id="1",
        object_repr="P",
        action_flag=CHANGE,
    )


def a_set() -> None:
    """A capture set with a capture."""
    capture = make_capture(a_deployment())
    assert capture.project
    make_capture_set(capture.project, capture)


def a_session() -> None:
    """A night."""
    Event.objects.create(deployment=a_deployment(), start=clock.now(), end=clock.now() + timedelta(hours=8))


def a_key() -> None:
    """A worker key."""
    service = a_service()
    keys.mint(service=service, projects=service.projects.all())


def a_taxon() -> None:
    """A taxon below another."""
    count = Taxon.objects.count()
    Taxon.objects.create(name=f"Child {count}", parent=Taxon.objects.create(name=f"Parent {count}"))


def a_notification() -> None:
    """Somebody who is told of a job."""
    job = a_job()
    webhook = Webhook.objects.create(project=job.project, name="W", url="https://example.org/")
    Notification.objects.create(
        job=job,
        run=1,
        job_status="SUCCESS",
        way=NotificationWay.WEBHOOK,
        webhook=webhook,
        next_try_at=clock.now(),
        created_at=clock.now(),
    )


def a_letter() -> JobTask:
    """An image that failed for good."""
    return a_task(status=TaskState.FAILED, error_code="worker_error", worker="w", finished_at=clock.now())


MAKERS: dict[type[Model], Callable[[], object]] = {
    Group: lambda: Group.objects.create(name=f"Group {Group.objects.count()}"),
    User: make_user,
    AuthToken: lambda: AuthToken.objects.create(user=make_user()),
    LogEntry: a_log_entry,
    PeriodicTask: a_scheduled_task,
    IntervalSchedule: a_scheduled_task,
    CrontabSchedule: lambda: CrontabSchedule.objects.create(minute=CrontabSchedule.objects.count() % 60),
    ClockedSchedule: lambda: ClockedSchedule.objects.create(clocked_time=clock.now()),
    SolarSchedule: lambda: SolarSchedule.objects.create(
        event="sunset", latitude=1 + SolarSchedule.objects.count(), longitude=2
    ),
    Project: lambda: make_project(owner=make_user()),
    ProjectMembership: lambda: add_member(make_project(), make_user()),
    Device: a_deployment,
    Site: a_deployment,
    Deployment: a_deployment,
    SourceImage: lambda: make_capture(a_deployment()),
    SourceImageCollection: a_set,
    SourceImageUpload: an_upload,
    Taxon: a_taxon,
    StorageSource: lambda: StorageSource.objects.create(project=make_project(), name="S", bucket="b"),
    Event: a_session,
    WorkerKey: a_key,
    AlgorithmCategoryMap: lambda: make_category_map(f"label {AlgorithmCategoryMap.objects.count()}"),
    Algorithm: lambda: make_algorithm(category_map=make_category_map("a")),
    Pipeline: lambda: make_pipeline(make_project(), algorithms=[make_algorithm()]),
    ProjectPipelineConfig: lambda: make_pipeline(make_project()),
    ProcessingService: a_service,
    Detection: a_detection,
    Classification: a_name,
    WorkerInstance: a_worker,
    DeadLetter: a_letter,
    DataExport: an_export,
    HealthReport: lambda: HealthReport.objects.create(
        check_name="inbox",
        first_at=clock.now(),
        last_at=clock.now(),
        seconds=1,
        checked=0,
        fixed=1,
        unfixable=0,
    ),
    Job: a_job,
    JobTask: a_task,
    Attempt: lambda: Attempt.objects.create(
        job=a_job(), image_id=1, run=1, attempt=1, error_code="worker_error"
    ),
    InboxEntry: lambda: InboxEntry.objects.create(job=a_job(), body=b"x"),
    Webhook: lambda: Webhook.objects.create(
        project=make_project(), name="W", url="https://example.org/", created_by=make_user()
    ),
    Notification: a_notification,
    JobLog: lambda: JobLog.objects.create(job=a_job(), message="m", created_at=clock.now()),
}
"""How a row of each model comes to be, with everything around it that a list could look up."""


@pytest.fixture
def operator(client: Client) -> Client:
    """A superuser, logged in."""
    client.force_login(make_user(name="Operator", is_superuser=True, is_staff=True))
    return client


def address(model: type[Model], page: str = "changelist", *args: Any) -> str:
    """Of a page of the admin."""
    options = model._meta
    return f"/admin/{options.app_label}/{options.model_name}/" + (f"{args[0]}/change/" if args else "")


def cost(operator: Client, where: str) -> list[str]:
    """The queries that opening a page takes, none of them answered from the cache."""
    with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
        assert operator.get(where).status_code == 200, where
    return [query["sql"] for query in captured.captured_queries]


def test_every_model_is_tested_here_and_is_in_the_menu() -> None:
    registered = set(admin.site._registry)
    assert set(MAKERS) == registered
    in_menu = [label for entries in MENU.values() for label, _, _ in entries]
    assert sorted(in_menu) == sorted(model._meta.label for model in registered)


@pytest.mark.parametrize("model", MAKERS, ids=lambda model: model._meta.label)
def test_a_list_and_its_pages_open_and_cost_the_same_for_one_row_and_for_ten(
    operator: Client, model: type[Model]
) -> None:
    MAKERS[model]()
    where = address(model)
    cost(operator, where)  # what is remembered per process is remembered now
    one = cost(operator, where)
    first = model._default_manager.order_by("pk").values_list("pk", flat=True)[0]
    cost(operator, address(model, "change", first))
    for _ in range(9):
        MAKERS[model]()
    ten = cost(operator, where)
    assert len(ten) == len(one), "\n".join(ten)
    assert operator.get(where).context["cl"].result_count >= 10


@pytest.mark.parametrize("model", MAKERS, ids=lambda model: model._meta.label)
def test_a_list_is_searched_and_filtered(operator: Client, model: type[Model]) -> None:
    MAKERS[model]()
    shown = operator.get(address(model)).context["cl"]
    assert shown.search_fields
    assert shown.has_filters
    for words in ("1", "moth", "2026-05", "1 moth", "%", "é"):
        assert operator.get(address(model), {"q": words}).status_code == 200, words


def test_the_menu_shows_what_one_may_see(client: Client) -> None:
    client.force_login(make_user(is_staff=True))
    menu = client.get("/admin/").context["sidebar_navigation"]
    assert [item["title"] for group in menu for item in group["items"]] == ["Pages of AMI"]
    client.force_login(make_user(is_staff=True, is_superuser=True))
    menu = client.get("/admin/").context["sidebar_navigation"]
    assert [group["title"] for group in menu] == ["", *MENU]
    assert sum(len(group["items"]) for group in menu) == len(MAKERS) + 1


def test_logging_in_leads_to_the_admin(client: Client) -> None:
    make_user("op@example.org", is_staff=True)
    answer = client.post("/admin/login/", {"username": "op@example.org", "password": PASSWORD})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"
