"""A project with one of everything in it, a neighbour, and everybody who may call."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from ami.base import clock
from ami.jobs.api.presence import forget_notes
from ami.jobs.lifecycle import catalogue, openings, quotas
from ami.jobs.lifecycle.create import create_job
from ami.jobs.logs import write_one
from ami.jobs.models import Attempt, DataExport, HealthReport, Job, JobTask, Webhook
from ami.jobs.states import TaskState
from ami.main.models import Device, Event, Project, Site, SourceImageUpload, StorageSource, Taxon
from ami.main.sessions import regroup
from ami.main.storage.secrets import seal
from ami.main.tests.factories import (
    add_member,
    image_bytes,
    make_capture,
    make_capture_set,
    make_deployment,
    make_project,
)
from ami.ml.keys import NewKey, forget_all, holder_of, mint
from ami.ml.models import Classification, Detection, WorkerInstance
from ami.ml.pipeline_configs import forget_configs
from ami.ml.results import forget_taxa
from ami.ml.tests.factories import make_algorithm, make_category_map, make_pipeline, make_service
from ami.ml.workers import forget_known
from ami.tests.routes import Route
from ami.users.roles import Role
from ami.users.tests.factories import PASSWORD, client_of, make_user

ACTORS = ("anonymous", "outsider", "member", "manager", "worker", "key", "foreign key", "superuser")
ROLES = {"member": Role.BASIC_MEMBER, "manager": Role.PROJECT_MANAGER, "worker": Role.WORKER}
_ENDINGS = ("-detail", "-file", "-register-pipelines", "-retry-failed", "-regroup-sessions", "-download")
_numbers = count(1)

ALGORITHM = {"name": "Finder", "key": "finder", "task_type": "localization", "version": 1}


def forget_everything() -> None:
    """Empty what this process remembers about rows that are rolled back."""
    for forget in (
        catalogue.forget,
        forget_taxa,
        forget_notes,
        forget_known,
        forget_all,
        forget_configs,
        openings.forget_drained,
        quotas.forget_outage,
    ):
        forget()


class Tenants:
    """The people around one project. Whatever belongs to it alone bears the name `mark`."""

    def __init__(self, *, draft: bool) -> None:
        """`draft`: whether the project is hidden from those who have no part in it."""
        forget_everything()
        cache.clear()  # logins are throttled per account and address
        self.mark = f"Mark{next(_numbers)}q"
        self.log_line = f"Line{self.mark}"
        self.bucket_key = f"BucketKey{next(_numbers):07d}"  # letters and digits that base64 allows, too
        self.project = make_project(name=self.mark, draft=draft)
        self.users = {who: make_user(name=who) for who in ("outsider", *ROLES)}
        self.users["superuser"] = make_user(name="superuser", is_superuser=True, is_staff=True)
        for who, role in ROLES.items():
            add_member(self.project, self.users[who], role)
        self.bystander = make_user(f"bystander-{self.mark}@example.org", name="Bystander")
        self.ids = self._everything()
        self.clients = self._clients()

    def _everything(self) -> dict[str, int]:
        """The keys of one object of each kind, by the name that its addresses have."""
        name = self.mark
        device = Device.objects.create(project=self.project, name=name)
        site = Site.objects.create(project=self.project, name=name)
        self.source = StorageSource.objects.create(
            project=self.project,
            name=name,
            bucket="traps",
            endpoint_url="http://127.0.0.1:9",
            access_key=seal(self.bucket_key),
            secret_key=seal(self.bucket_key),
        )
        self.deployment = make_deployment(
            self.project, name=name, device=device, research_site=site, data_source=self.source
        )
        self.capture = make_capture(self.deployment, path=f"{name}.jpg")
        regroup(self.deployment.pk)
        event = Event.objects.get(deployment=self.deployment)
        self.spare = make_capture(self.deployment, path=f"{name}-spare.jpg")
        self.capture_set = make_capture_set(self.project, self.capture, name=name)
        category_map = make_category_map("moth")
        finder = make_algorithm()
        namer = make_algorithm(task_type="classification", category_map=category_map)
        self.pipeline = make_pipeline(self.project, algorithms=[finder, namer], name=name, slug=name.lower())
        self.service = make_service(self.project, self.pipeline, name=name)
        self.key = self._key(self.project)
        instance = WorkerInstance.objects.create(
            holder=holder_of(self.service.pk), name=name, service=self.service, last_seen=clock.now()
        )
        taxon, _ = Taxon.objects.get_or_create(name="moth")
        detection = Detection.objects.create(
            source_image=self.capture, detection_algorithm=finder, x1=1, y1=1, x2=5, y2=5
        )
        label = Classification.objects.create(
            detection=detection, algorithm=namer, taxon=taxon, category_map=category_map, score=0.5
        )
        self.upload = SourceImageUpload.objects.create(
            image=f"uploads/{name}.jpg",
            deployment=self.deployment,
            source_image=self.spare,
            user=self.users["manager"],
        )
        self.job = self._job()
        self.export = self._export()
        self.webhook = Webhook.objects.create(
            project=self.project,
            name=name,
            url="https://hooks.example.org/ami",
            secret=seal(self.bucket_key),
        )
        report = HealthReport.objects.create(
            check_name="inbox",
            first_at=clock.now(),
            last_at=clock.now(),
            seconds=0,
            checked=0,
            fixed=0,
            unfixable=0,
        )
        return {
            "project": self.project.pk,
            "set": self.capture_set.pk,
            "station": self.deployment.pk,
            "project-member": add_member(self.project, self.bystander).pk,
            "user": self.bystander.pk,
            "device": device.pk,
            "site": site.pk,
            "deployment": self.deployment.pk,
            "event": event.pk,
            "storagesource": self.source.pk,
            "sourceimage": self.capture.pk,
            "capture": self.capture.pk,
            "sourceimagecollection": self.capture_set.pk,
            "upload": self.upload.pk,
            "taxon": taxon.pk,
            "pipeline": self.pipeline.pk,
            "algorithm": finder.pk,
            "categorymap": category_map.pk,
            "processingservice": self.service.pk,
            "worker-key": self.key.key.pk,
            "worker": instance.pk,
            "detection": detection.pk,
            "classification": label.pk,
            "job": self.job.pk,
            "dataexport": self.export.pk,
            "export": self.export.pk,
            **dict.fromkeys(("exports", "start", "expected"), self.project.pk),
            "project-webhook": self.webhook.pk,
            "health-report": report.pk,
        }

    def _job(self) -> Job:
        job = create_job(
            name=self.mark,
            project=self.project,
            pipeline=self.pipeline,
            source_image_collection=self.capture_set,
        )
        write_one(job.pk, "test.line", self.log_line)
        failed: dict[str, Any] = {
            "job": job,
            "image_id": self.capture.pk,
            "run": 1,
            "attempt": 1,
            "worker": self.log_line,
            "error_code": "worker_error",
            "error_text": self.log_line,
        }
        JobTask.objects.create(position=1, status=TaskState.FAILED, finished_at=clock.now(), **failed)
        Attempt.objects.create(**failed)
        return job

    def _export(self) -> DataExport:
        """A finished export, as far as anybody can tell."""
        export = DataExport.objects.create(
            project=self.project,
            format="csv",
            filters={"collection_id": self.capture_set.pk},
            user=self.users["manager"],
            file=f"exports/unguessable/{self.mark}.csv",
        )
        job = create_job(name=self.mark, project=self.project, job_type_key="data_export")
        Job.objects.filter(pk=job.pk).update(data_export=export)
        place = Path(settings.MEDIA_ROOT) / export.file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(self.mark)
        return export

    def _key(self, project: Project) -> NewKey:
        service = self.service if project == self.project else make_service(project, name="Neighbour")
        return mint(service=service, projects=[project], name=f"{project.name} key")

    def _clients(self) -> dict[str, Any]:
        clients: dict[str, Any] = {"anonymous": client_of(None)}
        clients |= {who: client_of(user) for who, user in self.users.items()}
        foreign = self._key(make_project(name="Neighbour"))
        for who, key in (("key", self.key), ("foreign key", foreign)):
            clients[who] = APIClient()
            clients[who].credentials(HTTP_AUTHORIZATION=f"Token {key.secret}")
        return clients

    def request(self, who: str, route: Route) -> Any:
        """Call a route as somebody, about the object of its kind, with the least body that makes sense."""
        body = body_of(self, route)
        form = "multipart" if route.path == "/api/v2/captures/upload/" else "json"
        call = getattr(self.clients[who], route.method.lower())
        return call(self.address(route), body, **({} if route.method == "GET" else {"format": form}))

    def address(self, route: Route) -> str:
        """The address of a route for this project."""
        kind = route.name.rsplit("-", 1)[0]
        endings = (
            "-detail",
            "-file",
            "-register-pipelines",
            "-retry-failed",
            "-regroup-sessions",
            "-download",
        )
        for ending in endings:
            kind = route.name.removesuffix(ending) if route.name.endswith(ending) else kind
        path = route.path.replace("<project_pk>", str(self.project.pk))
        path = path.replace("<service_pk>", str(self.service.pk)).replace("<path>", str(self.upload.image))
        path = path.replace("<width>", "320").replace("<slug>", self.pipeline.slug)
        if "<pk>" in path:
            path = path.replace("<pk>", str(self.ids[kind]))
        return f"{path}?{_query_of(route, self.project.pk)}"


def _query_of(route: Route, project_id: int) -> str:
    """Lists name the project; whoever looks at services has to."""
    wants = route.name.endswith("-list") or route.name in ("status-summary", "deployment-sync-all")
    named = wants or route.name.startswith(("worker-detail", "processingservice"))
    return (f"project_id={project_id}" if named else "") + (
        "&process_now=0" if "upload" in route.path else ""
    )


def body_of(tenants: Tenants, route: Route) -> Any:
    """The least that a route takes."""
    if route.method in ("GET", "DELETE"):
        return None
    make = BODIES.get(f"{route.method} {route.name}") or BODIES.get(route.name)
    return make(tenants) if make else {}


BODIES: dict[str, Callable[[Tenants], Any]] = {
    "login": lambda it: {"email": it.bystander.email, "password": PASSWORD},
    "POST user-list": lambda it: {"email": f"new-{it.mark}@example.org", "password": PASSWORD, "name": "New"},
    "user-me": lambda it: {"name": "Renamed"},
    "POST project-member-list": lambda it: {
        "email": it.users["outsider"].email,
        "role_id": Role.RESEARCHER.value,
    },
    "project-member-detail": lambda it: {"role_id": Role.RESEARCHER.value},
    "project-list": lambda it: {"name": "New"},
    "project-detail": lambda it: {"name": "Renamed"},
    "device-list": lambda it: {"name": "New", "project": it.project.pk},
    "device-detail": lambda it: {"name": "Renamed", "project": it.project.pk},
    "site-list": lambda it: {"name": "New", "project": it.project.pk},
    "site-detail": lambda it: {"name": "Renamed", "project": it.project.pk},
    "deployment-list": lambda it: {"name": "New", "project_id": it.project.pk},
    "deployment-detail": lambda it: {"name": "Renamed", "project_id": it.project.pk},
    "upload-list": lambda it: {
        "deployment": it.deployment.pk,
        "image": SimpleUploadedFile("moth.jpg", image_bytes(), "image/jpeg"),
    },
    "sourceimagecollection-list": lambda it: {"name": "New", "project": it.project.pk},
    "sourceimagecollection-detail": lambda it: {"name": "Renamed", "project": it.project.pk},
    "storagesource-list": lambda it: {"name": "New", "project": it.project.pk, "bucket": "traps"},
    "storagesource-detail": lambda it: {"name": "Renamed", "project": it.project.pk, "bucket": "traps"},
    "sourceimagecollection-add": lambda it: {"source_image": it.spare.pk},
    "sourceimagecollection-remove": lambda it: {"source_image": it.capture.pk},
    "sourceimage-list": lambda it: {
        "project": it.project.pk,
        "path": "new.jpg",
        "public_base_url": "https://images.example.org/station",
    },
    "sourceimage-detail": lambda it: {
        "project": it.project.pk,
        "path": it.capture.path,
        "public_base_url": it.capture.public_base_url,
        "width": 10,
    },
    "project-pipeline-list": lambda it: {
        "processing_service_name": "New",
        "pipelines": [
            {"name": "New", "slug": f"new-{it.mark.lower()}", "version": 1, "algorithms": [ALGORITHM]}
        ],
    },
    "pipeline-list": lambda it: {"name": "New", "slug": f"new-{it.mark.lower()}"},
    "pipeline-detail": lambda it: {"name": "Renamed", "slug": f"renamed-{it.mark.lower()}"},
    "processingservice-list": lambda it: {"name": "New"},
    "processingservice-detail": lambda it: {"name": "Renamed"},
    "job-list": lambda it: {
        "name": "New",
        "delay": 0,
        "project_id": it.project.pk,
        "pipeline_id": it.pipeline.pk,
        "source_image_collection_id": it.capture_set.pk,
    },
    "job-detail": lambda it: {"name": "Renamed", "delay": 0, "project_id": it.project.pk},
    "project-webhook-list": lambda it: {"name": "Lab", "url": "https://hooks.example.org/ami"},
    "project-webhook-detail": lambda it: {"name": "Lab", "url": "https://hooks.example.org/ami"},
    "dataexport-list": lambda it: {
        "project": it.project.pk,
        "format": "csv",
        "filters": {"collection_id": it.capture_set.pk},
    },
    "job-result": lambda it: {"results": []},
    "job-tasks": lambda it: {"batch_size": 1},
    "task-extend": lambda it: {"leases": []},
    "task-release": lambda it: {"leases": []},
    "task-fail": lambda it: {"failures": []},
    "task-reserve": lambda it: {"batch_size": 1},
}
