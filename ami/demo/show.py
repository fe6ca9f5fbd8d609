"""The demo once its servers run: from an empty database to a finished job, and what to look at then.

Needs Django to be set up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.urls import reverse

from ami.demo.client import JobView, Operator
from ami.demo.credentials import Accounts, Credentials
from ami.demo.findings import draw_pictures, failures_of
from ami.demo.options import Options
from ami.demo.programs import Programs
from ami.demo.project import (
    DemoCaptures,
    DemoProject,
    set_up_captures,
    set_up_database,
    set_up_project,
)
from ami.demo.report import Report
from ami.demo.screen import Screen
from ami.ml.schemas import PipelineConfigResponse
from ami.worker.client import AmiClient
from ami.worker.pipelines import BUILT_IN

WORKER_NAME = "Demo worker"
BATCH_SIZE = 4
POLL_SECONDS = 0.2
MOST_PICTURES = 8


@dataclass(frozen=True)
class Demo:
    """One run of the demo; its web server has been started."""

    options: Options
    credentials: Credentials
    accounts: Accounts
    programs: Programs
    screen: Screen
    images: Path
    """The folder that becomes captures."""
    url: str

    def show(self) -> Report:
        """Run one job and report on it."""
        with self.screen.step("Database and accounts"):
            set_up_database()
            self.programs.start_celery()
            project = set_up_project(self.credentials, self.accounts)
        captures = self._import(project)
        with self.screen.step("Web server, background work and a worker"):
            self.programs.wait_for_web(self.options.port)
            pipeline = self._start_worker(project)
            operator = Operator(self.url, self.accounts.operator, self.credentials.operator_password)
        job = self._run_job(operator, project, pipeline, captures)
        with self.screen.step("Pictures of what was found"):
            folder = self.options.data / "pictures" / f"job-{job.id}"
            pictures = draw_pictures(job.id, folder, most=MOST_PICTURES)
        return Report(
            job=job,
            failures=failures_of(job.id),
            left_out=captures.imported.broken,
            pictures=pictures,
            addresses={
                "start": f"{self.url}/",
                "captures": self.url + reverse("dashboard:set", args=[captures.capture_set_id]),
                "api": self.url + reverse("api:api-root"),
                "docs": self.url + reverse("api:docs"),
                "admin": self.url + reverse("admin:index"),
            },
            credentials=self.credentials,
            accounts=self.accounts,
            tokens={"operator": operator.token, "worker": project.worker_token},
            ids={"project": project.id, "capture_set": captures.capture_set_id, "job": job.id},
            pipeline=pipeline.slug,
            logs=self.programs.logs,
        )

    def _import(self, project: DemoProject) -> DemoCaptures:
        options = self.options
        station = str(options.images) if options.images else "Drawn light sheets"
        with self.screen.step("Captures") as step:
            captures = set_up_captures(project, self.images, station=station, limit=options.count)
            of = f" of {options.available} images in {self.images.name}" if options.images else ""
            step.note(f"{captures.count}{of}")
        if options.available > options.count:
            self.screen.say("  To take more of the images, say so with --count.")
        return captures

    def _start_worker(self, project: DemoProject) -> PipelineConfigResponse:
        """Register the worker's pipeline with the project over the API, then start the worker."""
        pipeline = BUILT_IN[0]().announcement()
        client = AmiClient(self.url, project.worker_token, service_name=WORKER_NAME)
        client.register(project.id, [pipeline])
        client.close()
        self.programs.start_worker(
            "worker",
            *("--batch-size", str(BATCH_SIZE)),
            url=self.url,
            token=project.worker_token,
            label=WORKER_NAME,
        )
        return pipeline

    def _run_job(
        self,
        operator: Operator,
        project: DemoProject,
        pipeline: PipelineConfigResponse,
        captures: DemoCaptures,
    ) -> JobView:
        job_id = operator.start_job(
            name=f"{pipeline.name}, {captures.count} captures",
            project_id=project.id,
            pipeline_id=operator.pipeline_id(project.id, pipeline.slug),
            capture_set_id=captures.capture_set_id,
        )
        self.screen.say(f"\nJob {job_id}: {pipeline.name} over {captures.count} captures")
        with self.screen.job() as update:
            while True:
                job = operator.job(job_id)
                update(job)
                if job.ended:
                    break
                self.programs.watch(POLL_SECONDS)
        self.screen.say()
        return job
