"""A world with people in it: everybody who may call the API of jobs, with a client each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.test import APIClient

from ami.jobs.models import Job
from ami.jobs.tests.world import World
from ami.main.models import Project, SourceImage
from ami.main.tests.factories import add_member, make_deployment, make_project
from ami.ml.keys import NewKey, mint
from ami.ml.models import ProcessingService
from ami.users.models import User
from ami.users.roles import Role
from ami.users.tests.factories import client_of, make_user

JOBS = "/api/v2/jobs/"

ROLE_OF: Mapping[str, Role] = {
    "member": Role.BASIC_MEMBER,
    "researcher": Role.RESEARCHER,
    "identifier": Role.IDENTIFIER,
    "data_manager": Role.ML_DATA_MANAGER,
    "manager": Role.PROJECT_MANAGER,
    "worker": Role.WORKER,
}
EVERYBODY = ("anonymous", "outsider", *ROLE_OF, "superuser")


class Lab:
    """A project with jobs, and everybody from nobody to superuser."""

    def __init__(self, world: World) -> None:
        """People are made when they first call."""
        self.world = world
        self._users: dict[str, User] = {}
        self._clients: dict[str, APIClient] = {}

    def user(self, who: str) -> User:
        """The account of somebody: one of EVERYBODY but `anonymous`."""
        if who not in self._users:
            self._users[who] = make_user(
                name=who.capitalize(), is_superuser=who == "superuser", is_staff=who == "superuser"
            )
            if who in ROLE_OF:
                add_member(self.world.project, self._users[who], ROLE_OF[who])
        return self._users[who]

    def client(self, who: str) -> Any:
        """An APIClient that calls with the token of somebody; untyped, for its answers know `json()`."""
        if who not in self._clients:
            self._clients[who] = client_of(None if who == "anonymous" else self.user(who))
        return self._clients[who]

    def key(self, project: Project | None = None, **fields: Any) -> NewKey:
        """A worker key of a new service for the lab's pipeline, in the lab's project or another."""
        home = project or self.world.project
        service = ProcessingService.objects.create(name="Lab GPUs")
        service.projects.add(home)
        service.pipelines.add(self.world.pipeline)
        return mint(service=service, projects=[home], **fields)

    def machine(self, key: NewKey | None = None) -> Any:
        """An APIClient that calls with a worker key; without one, with a new one of the lab's project."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {(key or self.key()).secret}")
        return client

    def get(self, address: str = JOBS, who: str = "superuser", **query: Any) -> Any:
        """GET as somebody."""
        return self.client(who).get(address, query)

    def post(self, address: str, body: Any = None, who: str = "superuser") -> Any:
        """POST as somebody."""
        return self.client(who).post(address, body)

    def listed(self, who: str = "superuser", **query: Any) -> list[int]:
        """The ids on the page that somebody gets."""
        answer = self.get(JOBS, who, **query)
        assert answer.status_code == 200, answer.content
        return [item["id"] for item in answer.json()["results"]]

    def tasks(self, job: Job, count: int = 50, who: str = "superuser") -> list[dict[str, str]]:
        """Take tasks over HTTP."""
        answer = self.post(at(job, "tasks"), {"batch_size": count}, who)
        assert answer.status_code == 200, answer.content
        tasks: list[dict[str, str]] = answer.json()["tasks"]
        return tasks

    def success(self, task: Mapping[str, str], boxes: int = 1) -> dict[str, Any]:
        """The item that reports success for a task taken over HTTP."""
        body = self.world.result_body(int(task["image_id"]), boxes)
        return {"reply_subject": task["reply_subject"], "result": body}

    def single_image_job(self) -> Job:
        """A job over one capture."""
        return self.world.job(
            source_image_collection=None, source_image_single=self.world.captures(1)[0], name="Single"
        )


def at(job: Job, action: str = "") -> str:
    """The address of a job, or of something that is done to it."""
    return f"{JOBS}{job.pk}/{action}/" if action else f"{JOBS}{job.pk}/"


def other_project(**fields: Any) -> tuple[Project, SourceImage]:
    """A project that the lab has nothing to do with, and a capture of it."""
    project = make_project(**fields)
    deployment = make_deployment(project)
    capture = SourceImage.objects.create(project=project, deployment=deployment, path="x.jpg")
    return project, capture
