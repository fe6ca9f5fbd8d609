"""The small world in which lifecycle tests play: real Postgres, Redis and NATS, no Celery, no HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ami.base.database import execute, rows
from ami.jobs import transitions
from ami.jobs.invariants import Violation, leftovers
from ami.jobs.lifecycle import catalogue, quotas
from ami.jobs.lifecycle.advance import refresh_job
from ami.jobs.lifecycle.checking import check_result
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.inbox_body import AcceptedItem, pack_item, unpack_body
from ami.jobs.lifecycle.leases import signer
from ami.jobs.lifecycle.receive import ItemAnswer, receive
from ami.jobs.lifecycle.reserve import ReservedTask, reserve_tasks
from ami.jobs.lifecycle.save import save_inbox_row
from ami.jobs.models import InboxEntry, Job, JobStage, JobTask
from ami.jobs.states import TaskState
from ami.main.models import Deployment, Project, SourceImage, SourceImageCollection
from ami.ml.models import (
    Algorithm,
    AlgorithmCategoryMap,
    Classification,
    Detection,
    Pipeline,
    ProjectPipelineConfig,
)
from ami.ml.results import forget_taxa
from ami.ml.schemas import PipelineResultsResponse
from ami.ml.workers import SignOfLife, write_sign_of_life
from ami.taskqueue import AsyncJobStateManager, DeliveryRef, Lease, Nak, ReserveRequest, TaskQueueManager
from ami.taskqueue.tests.waiting import wait_for

ALICE = Worker("user:1", "alice's gpu")
BOB = Worker("user:2", "bob's gpu")
BASE_URL = "http://ami.test"
_numbers = itertools.count(1)


def lease_of(task: ReservedTask) -> Lease:
    """What the token of a task says."""
    return signer().verify(task.token)


def delivery_of(task: ReservedTask) -> DeliveryRef:
    """The delivery that the token of a task stands for."""
    delivery = lease_of(task).delivery
    assert delivery is not None
    return delivery


class OnDemandDispatcher:
    """Remembers what was asked for, once each, and does it when told; delays do not pass by themselves."""

    def __init__(self) -> None:
        """Nothing asked for yet; the broker takes requests."""
        self.asked: list[tuple[str, int]] = []
        self.down = False

    def dispatch(self, job_id: int, *, delay: float = 0) -> bool:
        """Remember a dispatch."""
        return self._ask("dispatch", job_id)

    def save(self, inbox_ids: list[int]) -> bool:
        """Remember saves."""
        return all([self._ask("save", inbox_id) for inbox_id in inbox_ids])

    def refresh(self, job_id: int, *, delay: float = 0) -> bool:
        """Remember a refresh."""
        return self._ask("refresh", job_id)

    def seen(self, sign: SignOfLife) -> bool:
        """Write a sign of life at once: tests look at it right after the call."""
        write_sign_of_life(sign)
        return True

    def _ask(self, verb: str, key: int) -> bool:
        if self.down:
            return False
        if (verb, key) not in self.asked:
            self.asked.append((verb, key))
        return True

    def run(self, *verbs: str) -> int:
        """Do what was asked for (of these verbs, or all), and what that asks for, until nothing is left."""
        done = 0
        while todo := [item for item in self.asked if not verbs or item[0] in verbs]:
            verb, key = todo[0]
            self.asked.remove((verb, key))
            {"dispatch": dispatch_job, "save": save_inbox_row, "refresh": refresh_job}[verb](key)
            done += 1
            assert done < 1_000, "background work asks for itself for ever"
        return done


class World:
    """A project with a pipeline of one detector and one classifier."""

    def __init__(self, background: OnDemandDispatcher) -> None:
        """Everything that a job needs, in the database."""
        catalogue.forget()
        forget_taxa()
        quotas.forget_outage()
        self.background = background
        number = next(_numbers)
        self.project = Project.objects.create(name=f"Project {number}")
        self.deployment = Deployment.objects.create(project=self.project, name="Station")
        self.pipeline = Pipeline.objects.create(name=f"Moths {number}", slug=f"moths-{number}")
        labels = ["moth", "beetle"]
        self.detector, _ = Algorithm.objects.get_or_create(
            key="detector", defaults={"name": "Detector", "task_type": "localization"}
        )
        category_map = AlgorithmCategoryMap.objects.create(
            labels=labels,
            data=[{"index": i, "label": label, "taxon_rank": "order"} for i, label in enumerate(labels)],
        )
        self.classifier, _ = Algorithm.objects.get_or_create(
            key="classifier",
            defaults={"name": "Classifier", "task_type": "classification", "category_map": category_map},
        )
        self.pipeline.algorithms.add(self.detector, self.classifier)
        ProjectPipelineConfig.objects.create(project=self.project, pipeline=self.pipeline)
        self.jobs: list[Job] = []

    def flag(self, **flags: bool) -> None:
        """Set feature flags of the project."""
        self.project.flags = {**self.project.flags, **flags}
        self.project.save()

    def captures(self, count: int, **fields: Any) -> list[SourceImage]:
        """New captures of the deployment."""
        defaults: dict[str, Any] = {
            "deployment": self.deployment,
            "public_base_url": "https://images.example",
            "timestamp": datetime(2024, 6, 1, tzinfo=UTC),
        }
        return SourceImage.objects.bulk_create(
            SourceImage(project=self.project, path=f"{next(_numbers)}.jpg", **(defaults | fields))
            for _ in range(count)
        )

    def capture_set(self, captures: Sequence[SourceImage]) -> SourceImageCollection:
        """A manual set of these captures."""
        capture_set = SourceImageCollection.objects.create(project=self.project, name="Set", method="manual")
        capture_set.images.set(captures)
        return capture_set

    def job(self, images: int = 4, **fields: Any) -> Job:
        """A job in state CREATED over new captures."""
        if "source_image_collection" not in fields:
            fields["source_image_collection"] = self.capture_set(self.captures(images))
        named: dict[str, Any] = {"name": "Job", "project": self.project, "pipeline": self.pipeline}
        job = create_job(**(named | {"shuffle": False} | fields))
        self.jobs.append(job)
        return job

    def started_job(self, images: int = 4, **fields: Any) -> Job:
        """A job whose images stand in the queue."""
        job = self.job(images, **fields)
        run_job(job)
        self.dispatch(job)
        assert job.status == "STARTED"
        return job

    def accepted_job(self, images: int = 3, boxes: int = 2) -> tuple[Job, InboxEntry]:
        """A job whose results are all in the inbox, in one row that nobody was asked to save."""
        job = self.started_job(images)
        self.post(job, [self.success(task, boxes) for task in self.reserve(job)])
        self.background.asked.clear()
        return job, InboxEntry.objects.get(job=job)

    def dispatch(self, job: Job) -> None:
        """Run the dispatch of a job, and what it asks for, until it asks no more."""
        self.background.dispatch(job.pk)
        self.background.run("dispatch")
        job.refresh_from_db()

    def reserve(self, job: Job, count: int = 50, worker: Worker = ALICE) -> list[ReservedTask]:
        """What a worker's call for tasks gets."""
        job.refresh_from_db()
        return reserve_tasks(
            [ReserveRequest(job.pk, job.queue_epoch, count)], worker=worker, base_url=BASE_URL
        )

    def obtain(self, job: Job, count: int, worker: Worker = ALICE) -> list[ReservedTask]:
        """Ask for tasks until there are `count`: what was given back takes a moment to come again."""
        tasks = self.reserve(job, count, worker)

        def enough() -> bool:
            if len(tasks) < count:
                tasks.extend(self.reserve(job, count - len(tasks), worker))
            return len(tasks) >= count

        wait_for(enough)
        return tasks

    def redeliver(self, tasks: Sequence[ReservedTask]) -> None:
        """Have the queue hand out the messages of these tasks again, as if their time were over there."""
        TaskQueueManager().settle([Nak(delivery_of(task)) for task in tasks])

    def expire(self, job: Job, tasks: Sequence[ReservedTask]) -> None:
        """Let the leases of these tasks run out, in the ledger and in the queue."""
        self.let_leases_run_out(job)
        self.redeliver(tasks)

    def post(self, job: Job, items: Sequence[Any], worker: Worker = ALICE) -> list[ItemAnswer]:
        """Post raw items."""
        return receive(job, items, worker=worker)

    def success(self, task: ReservedTask, boxes: int = 2) -> dict[str, Any]:
        """A result with `boxes` detections, each with one classification."""
        return {"reply_subject": task.token, "result": self.result_body(task.image_id, boxes)}

    def result_body(self, image_id: int, boxes: int) -> dict[str, Any]:
        """The body of a success."""
        stamp = "2024-06-01T22:00:00"
        return {
            "pipeline": self.pipeline.slug,
            "algorithms": {},
            "total_time": 0.25,
            "source_images": [{"id": str(image_id), "url": "https://images.example/x.jpg"}],
            "detections": [
                {
                    "source_image_id": str(image_id),
                    "bbox": {"x1": 10.0 * n, "y1": 5.0, "x2": 10.0 * n + 8, "y2": 20.0},
                    "inference_time": 0.0,
                    "algorithm": {"name": "Detector", "key": "detector"},
                    "timestamp": stamp,
                    "crop_image_url": None,
                    "classifications": [
                        {
                            "classification": "moth",
                            "labels": None,
                            "scores": [0.75, 0.25],
                            "logits": [1.5, 0.5],
                            "inference_time": 0.0,
                            "algorithm": {"name": "Classifier", "key": "classifier"},
                            "terminal": True,
                            "timestamp": stamp,
                        }
                    ],
                }
                for n in range(boxes)
            ],
        }

    def packed(self, task: ReservedTask) -> bytes:
        """A success in the form of the inbox."""
        known = catalogue.catalogue(self.pipeline.pk)
        result = PipelineResultsResponse.model_validate(self.result_body(task.image_id, 2))
        return pack_item(AcceptedItem(check_result(result, task.image_id, known), delivery_of(task)))

    def error(self, task: ReservedTask, text: str = "boom", **more: Any) -> dict[str, Any]:
        """A worker's error for a task."""
        return {
            "reply_subject": task.token,
            "result": {"error": text, "image_id": str(task.image_id), **more},
        }

    def work_off(self, job: Job, worker: Worker = ALICE, batch: int = 50) -> int:
        """Reserve, post and save until nothing is handed out any more. Returns how many images were done."""
        done = 0
        while tasks := self.reserve(job, batch, worker):
            self.post(job, [self.success(task) for task in tasks], worker)
            self.background.run()
            done += len(tasks)
        self.background.run()
        job.refresh_from_db()
        return done

    def let_leases_run_out(self, job: Job) -> None:
        """Make every lease and pause of a job lie far in the past, in the ledger: anybody may have them."""
        execute(
            """UPDATE jobs_jobtask SET leased_until = CASE WHEN leased_until IS NULL THEN NULL
            ELSE clock_timestamp() - interval '1 hour' END, not_before = NULL WHERE job_id = %s""",
            [job.pk],
        )

    def row(self, job: Job, image_id: int) -> JobTask:
        """The ledger row of an image."""
        return JobTask.objects.get(job=job, image_id=image_id)

    def images(self, job: Job) -> list[int]:
        """The images of a job, in the order of publishing."""
        return list(JobTask.objects.filter(job=job).order_by("position").values_list("image_id", flat=True))

    def first_image(self, job: Job) -> int:
        """The one that is published first."""
        return self.images(job)[0]

    def tally(self, job: Job) -> dict[str, int]:
        """How many ledger rows are in each state, by name, without zeros."""
        found = rows("SELECT status, count(*) FROM jobs_jobtask WHERE job_id = %s GROUP BY 1", [job.pk])
        return {TaskState(status).name.lower(): count for status, count in found}

    def ledger_bytes(self, job: Job) -> list[tuple[Any, ...]]:
        """Everything in the ledger of a job, to compare before and after."""
        return rows("SELECT t.* FROM jobs_jobtask t WHERE job_id = %s ORDER BY id", [job.pk])

    def standing(self, job: Job) -> int | None:
        """Messages in the job's stream."""
        return TaskQueueManager().message_count(job.pk)

    def inbox_images(self) -> list[list[int]]:
        """The images in each row of the inbox."""
        entries = InboxEntry.objects.order_by("pk")
        return [[item.result.image_id for item in unpack_body(entry.body)] for entry in entries]

    def figures(self, job: Job) -> dict[str, Any]:
        """All figures of a job's stages by key."""
        return {
            param["key"]: param["value"]
            for stage in JobStage.objects.filter(job=job)
            for param in stage.params
        }

    def assert_ended_exactly(self, job: Job, images: int, boxes: int = 2) -> None:
        """The job ended well, every image was saved once, and nothing is left behind."""
        job.refresh_from_db()
        assert (job.status, self.tally(job)) == ("SUCCESS", {"processed": images})
        found = Detection.objects.real().filter(job_id=job.pk)
        assert found.count() == images * boxes
        assert Classification.objects.filter(detection__in=found).count() == images * boxes
        figures = self.figures(job)
        assert figures["total_images"] == figures["processed"] == figures["captures"] == images
        assert figures["detections"] == figures["classifications"] == images * boxes
        assert figures["failed"] == figures["remaining"] == 0
        assert not InboxEntry.objects.filter(job=job).exists()
        assert self.standing(job) is None
        assert not AsyncJobStateManager(job.pk).exists()

    def leftovers(self) -> list[Violation]:
        """What ended jobs of this world left behind; other tests' jobs play no part."""
        mine = {job.pk for job in self.jobs}
        return [violation for violation in leftovers() if violation.job_id in mine]

    def close(self) -> None:
        """Remove streams and keys of all jobs."""
        for job in self.jobs:
            transitions.cancel(job.pk)
            TaskQueueManager().delete(job.pk)
            AsyncJobStateManager(job.pk).delete()
