"""The platform under measurement: its data, its jobs, and what they left in the database."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import django

django.setup()

# The models exist only once Django is set up.
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from knox.models import AuthToken  # noqa: E402

from ami.bench.cpu import cpu_seconds  # noqa: E402
from ami.bench.driver import drive  # noqa: E402
from ami.bench.made_up import ResultMaker  # noqa: E402
from ami.jobs.lifecycle.cancel import cancel_job  # noqa: E402
from ami.jobs.lifecycle.create import create_job  # noqa: E402
from ami.jobs.lifecycle.enqueue import run_job  # noqa: E402
from ami.jobs.models import InboxEntry, Job, JobTask  # noqa: E402
from ami.jobs.states import FINAL, JobState  # noqa: E402
from ami.main.models import Project, SourceImage, SourceImageCollection  # noqa: E402
from ami.ml.models import (  # noqa: E402
    Algorithm,
    AlgorithmCategoryMap,
    Classification,
    Detection,
    Pipeline,
    ProjectPipelineConfig,
)
from ami.users.models import User  # noqa: E402

POLL_SECONDS = 0.02
SLOW_POLL_SECONDS = 0.1
"""Where the time is read from the job itself, so that looking costs little."""
GIVE_UP_SECONDS = 600


@dataclass
class BenchPlatform:
    """A project with a pipeline, and a worker's token."""

    project: Project
    pipeline: Pipeline
    token: str

    @classmethod
    def prepare(cls, classes: int) -> Self:
        """Migrate an empty database and fill in what a job needs."""
        call_command("migrate", verbosity=0)
        user = User.objects.create_superuser("bench@example.org", "bench")
        project = Project.objects.create(name="Bench", owner=user)
        pipeline = Pipeline.objects.create(name="Bench", slug="bench")
        labels = [f"species {number}" for number in range(classes)]
        pipeline.algorithms.add(
            Algorithm.objects.create(name="Bench detector", key="bench-detector", task_type="detection"),
            Algorithm.objects.create(
                name="Bench classifier",
                key="bench-classifier",
                task_type="classification",
                category_map=AlgorithmCategoryMap.objects.create(labels=labels, data=[]),
            ),
        )
        ProjectPipelineConfig.objects.create(project=project, pipeline=pipeline)
        return cls(project, pipeline, AuthToken.objects.create(user)[1])

    def start_job(self, images: int) -> int:
        """Start a job over new captures; returns its number."""
        job = self.job(images)
        run_job(job)
        return job.pk

    def run_together(self, jobs: Sequence[Job]) -> list[float]:
        """Start these jobs in this order; for each, the seconds from its own start to its end.

        Raises SystemExit if one does not end, or ends badly.
        """
        began = {}
        for job in jobs:
            began[job.pk] = time.time()
            run_job(job)
        deadline = time.monotonic() + GIVE_UP_SECONDS
        mine = Job.objects.filter(pk__in=list(began))
        while mine.exclude(status__in=FINAL).exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"Not all jobs ended within {GIVE_UP_SECONDS} s.")
            time.sleep(SLOW_POLL_SECONDS)
        ended = {job.pk: job for job in mine}
        bad = [job.pk for job in ended.values() if job.status != JobState.SUCCESS]
        if bad:
            raise SystemExit(f"Jobs {bad} did not end well.")
        return [_moment(ended[job.pk].finished_at) - began[job.pk] for job in jobs]

    def cancel(self, job_id: int) -> bool:
        """Cancel a job and wait until what was accepted is saved; False if it had ended already."""
        cancelled = cancel_job(job_id)
        while InboxEntry.objects.exists():
            time.sleep(SLOW_POLL_SECONDS)
        return cancelled

    def round(self, url: str, arguments: argparse.Namespace, pids: dict[str, list[int]]) -> dict[str, Any]:
        """Run one job to its end and measure it."""
        job = self.job(arguments.images)
        maker = ResultMaker(self.pipeline.slug, arguments.detections, arguments.classes, arguments.logits)
        before = {kind: cpu_seconds(ids) for kind, ids in pids.items()}
        driver_before = time.process_time()
        began = time.perf_counter()
        run_job(job)
        observed = drive(
            url=url,
            token=self.token,
            job_id=job.pk,
            workers=arguments.workers,
            batch=arguments.batch,
            maker=maker,
            ended=lambda: self._ended(job.pk, began),
        )
        seconds = time.perf_counter() - began
        driver = time.process_time() - driver_before
        spent = {kind: cpu_seconds(ids) - before[kind] for kind, ids in pids.items()} | {"driver": driver}
        return {
            "images_per_second": arguments.images / seconds,
            "seconds": seconds,
            **self._outcome(job.pk),
            "duplicates": observed.answers.get("duplicate", 0),
            "http_errors": observed.http_errors,
            **_percentiles("tasks", observed.tasks_times),
            **_percentiles("result", observed.result_times),
            "cpu_ms_per_image": {kind: 1_000 * amount / arguments.images for kind, amount in spent.items()},
        }

    def job(self, images: int) -> Job:
        """A job over new captures that was not started yet."""
        captures = SourceImage.objects.bulk_create(
            SourceImage(project=self.project, path=f"{number}.jpg", public_base_url="https://images.example")
            for number in range(images)
        )
        capture_set = SourceImageCollection.objects.create(project=self.project, name="Set", method="manual")
        through = SourceImageCollection.images.through
        through.objects.bulk_create(
            through(sourceimagecollection_id=capture_set.pk, sourceimage_id=capture.pk)
            for capture in captures
        )
        return create_job(
            name="Bench", project=self.project, pipeline=self.pipeline, source_image_collection=capture_set
        )

    def _ended(self, job_id: int, began: float) -> bool:
        time.sleep(POLL_SECONDS)
        if time.perf_counter() - began > GIVE_UP_SECONDS:
            raise SystemExit(f"Job {job_id} did not end within {GIVE_UP_SECONDS} s.")
        return Job.objects.values_list("status", flat=True).get(pk=job_id) in FINAL

    def _outcome(self, job_id: int) -> dict[str, Any]:
        """What the API would show, and what is really there."""
        job = Job.objects.get(pk=job_id)
        figures = {param["key"]: param["value"] for stage in job.stages.all() for param in stage.params}
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        mine = JobTask.objects.filter(job_id=job_id).values("image_id")
        return {
            "status": job.status,
            "captures": figures["captures"],
            "detections": figures["detections"],
            "classifications": figures["classifications"],
            "detection_rows": Detection.objects.filter(source_image__in=mine).count(),
            "classification_rows": Classification.objects.filter(detection__source_image__in=mine).count(),
        }


def _percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    steps = statistics.quantiles(seconds, n=20)
    return {f"{name}_p50_ms": 1_000 * steps[9], f"{name}_p95_ms": 1_000 * steps[18]}


def _moment(moment: datetime | None) -> float:
    return moment.timestamp() if moment else float("nan")
