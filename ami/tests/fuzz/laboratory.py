"""The small world that strange requests are sent to, and what is made of their answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.test import TestCase
from requests import PreparedRequest

from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.models import Job
from ami.jobs.tests.world import OnDemandDispatcher
from ami.ml.tests.factories import make_service
from ami.taskqueue import TaskQueueManager
from ami.tests.fuzz.description import route_name
from ami.tests.fuzz.known import known_in
from ami.tests.tenants import Tenants, forget_everything

SENT = ("Accept", "Authorization", "Content-Encoding")
"""Headers that go with a request; callers with a token show that instead of what was made up."""

CALLERS = ("superuser", "key", "anonymous")
_AWAY = {"processingservice-register-pipelines": 502}
"""What passes on the failure of a server that is not ours."""


class PromptDispatcher(OnDemandDispatcher):
    """Forgets what is to be done later: here no time passes."""

    def dispatch(self, job_id: int, *, delay: float = 0) -> bool:
        """Remember a dispatch of now."""
        return True if delay else super().dispatch(job_id)


class Laboratory:
    """A project with one of everything, a running job, and a task of it in the hands of a worker."""

    def __init__(self, background: PromptDispatcher) -> None:
        """Everything is made in the transaction of the test."""
        self.background = background
        self.tenants = Tenants(draft=False)
        push = make_service(self.tenants.project, name="Push", endpoint_url="https://gpu.example.org")
        self.tenants.ids["processingservice"] = push.pk
        self.tenants.upload.user = self.tenants.users["superuser"]
        self.tenants.upload.save()
        self.known = known_in(self.tenants, self._started())

    def _started(self) -> str:
        """A lease of the job, which stands in the queue from now on: of what has not failed yet."""
        self.tenants.capture_set.images.add(self.tenants.spare)
        with TestCase.captureOnCommitCallbacks(execute=True):
            run_job(self.tenants.job)
        self.background.run()
        answer = self.tenants.clients["key"].post("/api/v2/tasks/reserve/", {"batch_size": 1})
        return str(answer.json()["tasks"][0]["reply_subject"])

    def address(self, path: str) -> dict[str, Any]:
        """The keys of what exists, for the parameters of a path."""
        ids = self.tenants.ids
        parent = {"project_pk": ids["project"], "service_pk": self.tenants.service.pk}
        found = {name: key for name, key in parent.items() if f"{{{name}}}" in path}
        if "{id}" in path:
            longest_first = sorted(ids, key=len, reverse=True)
            kind = next(kind for kind in longest_first if route_name(path).startswith(kind))
            found["id"] = ids[kind]
        return found

    def close(self) -> None:
        """Remove the streams of all jobs."""
        for job_id in Job.objects.values_list("pk", flat=True):
            TaskQueueManager().delete(job_id)

    def try_out(self, who: str, request: PreparedRequest, path: str) -> int:
        """Send a request, and do what it asks the background for; nothing of it stays. Returns the status.

        Raises AssertionError if the server failed.
        """
        forget_everything()
        cache.clear()
        with transaction.atomic(), _told(who, request):
            with TestCase.captureOnCommitCallbacks(execute=True):
                answer = self._send(who, request)
            status = int(answer.status_code)
            assert status < 500 or status == _AWAY.get(route_name(path)), (status, answer.content)
            self.background.run()
            if status < 300 and request.method != "GET":
                self._read_again(answer, path, request.path_url)
            self.background.asked.clear()
            transaction.set_rollback(True)
        return status

    def _send(self, who: str, request: PreparedRequest) -> Any:
        """The answer; an error that nobody caught comes out as it is."""
        return self.tenants.clients[who].generic(
            request.method,
            request.path_url,
            request.body or b"",
            content_type=request.headers.get("Content-Type", ""),
            headers={name: request.headers[name] for name in SENT if name in request.headers},
        )

    def _read_again(self, answer: Any, path: str, target: str) -> None:
        """What was stored must not make anybody fail who reads it later."""
        address = target.partition("?")[0]
        made = answer.data.get("id") if answer.status_code == 201 else None
        for seen in (f"{address}{made}/" if made else address, path.partition("{id}")[0]):
            read = self.tenants.clients["superuser"].get(seen, {"project_id": self.tenants.project.pk})
            assert read.status_code < 500, (seen, read.content)


@contextmanager
def _told(who: str, request: PreparedRequest) -> Iterator[None]:
    """Says which request it was that something went wrong with."""
    try:
        yield
    except Exception as error:
        headers = dict(request.headers)
        raise AssertionError(
            f"{request.method} {request.url} as {who} with {headers}: {request.body!r}"
        ) from error
