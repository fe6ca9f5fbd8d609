"""A job in the hands of an honest worker, and everybody who wants to spoil it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from rest_framework.test import APIClient

from ami.jobs.models import Job
from ami.jobs.tests.api.lab import Lab, at, other_project
from ami.main.tests.factories import add_member
from ami.ml.keys import holder_of
from ami.taskqueue import OpenLeases, TaskQueueManager
from ami.tests.hostile.cases import Call
from ami.tests.hostile.state import State, state
from ami.users.roles import Role
from ami.users.tests.factories import client_of, make_user

WIDTH, HEIGHT = 400, 300
RESERVE = "/api/v2/tasks/reserve/"
OPEN_LEASES = "open leases"
"""What the quotas know of the honest worker; whoever hears of the end of a lease has one less."""


class Victim:
    """A started job over three images, two of which the worker `honest` holds."""

    def __init__(self, lab: Lab) -> None:
        """The others are made when they are needed."""
        self.lab = lab
        self.world = lab.world
        self.job = self.started_job(3)
        self.key = lab.key()
        self.honest = lab.machine(self.key)
        self.task, self.second = self.take(2)

    def started_job(self, images: int) -> Job:
        """A job over images of known size."""
        captures = self.world.captures(images, width=WIDTH, height=HEIGHT)
        return self.world.started_job(source_image_collection=self.world.capture_set(captures))

    def take(self, count: int) -> list[dict[str, Any]]:
        """Tasks for the honest worker."""
        tasks: list[dict[str, Any]] = self.honest.post(RESERVE, {"batch_size": count}).json()["tasks"]
        assert len(tasks) == count
        return tasks

    @cached_property
    def other_job(self) -> Job:
        """Another job of the same project and pipeline."""
        return self.started_job(1)

    @cached_property
    def other_task(self) -> dict[str, Any]:
        """A task of the other job, held by the honest worker."""
        address = at(self.other_job, "tasks")
        (task,) = self.honest.post(address, {"batch_size": 1}).json()["tasks"]
        return dict(task)

    @cached_property
    def colleague(self) -> Any:
        """A worker with a key of another service, good in the same project."""
        return self.lab.machine()

    @cached_property
    def stranger(self) -> Any:
        """A worker with a key that is good in another project only."""
        return self.lab.machine(self.lab.key(other_project()[0]))

    @cached_property
    def nobody(self) -> Any:
        """A caller without a token."""
        return APIClient()

    @cached_property
    def forger(self) -> Any:
        """A caller with a key that nobody made, of the right form and beginning."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {self.key.secret[:-8]}deadbeef")
        return client

    @cached_property
    def intruder(self) -> Any:
        """An account that manages another project, and works for it, but has no part in this one."""
        user = make_user(name="Intruder")
        for role in (Role.PROJECT_MANAGER, Role.WORKER):
            add_member(other_project()[0], user, role)
        return client_of(user)

    def success(self, task: dict[str, Any] | None = None) -> dict[str, Any]:
        """A good item for a task; the first, if none is named."""
        return self.lab.success(task or self.task)

    def result(self, *items: Any, client: Any = None) -> Call:
        """A post of results to the job, by the honest worker or somebody else."""
        return Call(client or self.honest, at(self.job, "result"), {"results": list(items)})

    def tasks_by(self, client: Any) -> Call:
        """A call for tasks of the job."""
        return Call(client, at(self.job, "tasks"), {"batch_size": 1})

    def state(self) -> State:
        """The whole database, and what queue and quotas know of the job."""
        self.world.background.run()
        found = state()
        held = OpenLeases().counts([holder_of(self.key.key.service_id)])
        found[OPEN_LEASES][str(held)] += 1
        found["messages"][str(TaskQueueManager().message_count(self.job.pk))] += 1
        return found

    def goes_on(self) -> bool:
        """Whether the honest worker can hand in both of its images as if nothing had happened."""
        answer = self.result(self.success(self.task), self.success(self.second)).send()
        return [item["status"] for item in answer.json()["tasks"]] == ["queued", "queued"]
