"""Tasks over all jobs that a worker can serve: reserve (with long poll), extend, release, fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from ami.base.api.json import SmallJsonParser
from ami.jobs.api.callers import Caller, caller
from ami.jobs.api.leases import JOB_GONE, Known, Refusal, known_leases
from ami.jobs.api.listening import still_listens
from ami.jobs.api.presence import note_call, note_rejected
from ami.jobs.api.reach import reach_of, workplaces
from ami.jobs.api.silence import queue_silent
from ami.jobs.api.task_wire import (
    FailRequestSerializer,
    FailResponseSerializer,
    LeasesRequestSerializer,
    LeasesResponseSerializer,
    ReserveRequestSerializer,
    ReserveResponseSerializer,
)
from ami.jobs.api.worker_wire import answer_as_wire, task_as_wire
from ami.jobs.lifecycle import lease_calls, quotas
from ami.jobs.lifecycle.hand_out import Crowded, hand_out, wait_for_tasks
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.lease_calls import LeaseAnswer
from ami.jobs.lifecycle.posts import ItemStatus
from ami.jobs.lifecycle.receive import ItemAnswer, receive
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.lifecycle.turns import Reach
from ami.jobs.models import Job
from ami.main.api.access import Access, access_of
from ami.main.media import base_url_of
from ami.ml.pipeline_configs import TravellingConfig, travelling_config
from ami.taskqueue import Lease, QueueUnavailable

IDLE_SECONDS = 5.0
"""After how long a worker that did not wait should ask again when there was nothing."""

_LeaseCall = Callable[[Sequence[Lease], Worker], list[LeaseAnswer]]


class TaskViewSet(ViewSet):
    """What a worker does with tasks of any job."""

    parser_classes = [SmallJsonParser]
    permission_classes = [AllowAny]  # every action asks by itself: `_enter`
    rate_kinds = dict.fromkeys(("reserve", "extend", "release", "fail"), "worker")

    @extend_schema(request=ReserveRequestSerializer, responses=ReserveResponseSerializer)
    @action(detail=False, methods=["post"])
    def reserve(self, request: Request) -> Response:
        """Take up to `batch_size` tasks over all jobs that the caller can serve, fairly between them."""
        access, body = self._enter(request, ReserveRequestSerializer)
        reach = reach_of(access, body.get("pipelines"))
        who = caller(request, body.get("client_info"))
        note_call(who, body.get("pipelines") or [], reach.projects)
        wanted = min(int(body["batch_size"]), settings.RESERVE_MAX_BATCH)
        if not quotas.room(who.worker).left:
            return _nothing(IDLE_SECONDS, "This worker, or its service, holds as many images as it may.")
        seconds = min(float(body["wait"]), settings.LONG_POLL_MAX_SECONDS)
        try:
            tasks = self._tasks(request, reach, wanted, seconds, who.worker)
        except Crowded:
            return _nothing(
                IDLE_SECONDS, "Too many workers are waiting right now, so this call did not wait."
            )
        except QueueUnavailable as error:
            return queue_silent(error)
        if not tasks:
            return _nothing(None if seconds else IDLE_SECONDS)
        return Response(_as_wire(tasks) | {"retry_after": None, "reason": ""})

    def _tasks(
        self, request: Request, reach: Reach, wanted: int, seconds: float, worker: Worker
    ) -> list[ReservedTask]:
        base_url = base_url_of(request._request)
        if not seconds:
            return hand_out(reach, wanted, worker=worker, base_url=base_url)
        return wait_for_tasks(
            reach,
            wanted,
            seconds,
            worker=worker,
            base_url=base_url,
            still_there=lambda: still_listens(request.META),
        )

    @extend_schema(request=LeasesRequestSerializer, responses=LeasesResponseSerializer)
    @action(detail=False, methods=["post"])
    def extend(self, request: Request) -> Response:
        """Hold leases for another full lease time, and hear which jobs have ended."""
        return self._lease_call(request, lease_calls.extend)

    @extend_schema(request=LeasesRequestSerializer, responses=LeasesResponseSerializer)
    @action(detail=False, methods=["post"])
    def release(self, request: Request) -> Response:
        """Give tasks back unused: others get them at once, and the attempt does not count."""
        return self._lease_call(request, lease_calls.release)

    @extend_schema(request=FailRequestSerializer, responses=FailResponseSerializer)
    @action(detail=False, methods=["post"])
    def fail(self, request: Request) -> Response:
        """Report attempts that ended badly; another attempt follows unless `retryable` is false."""
        access, body = self._enter(request, FailRequestSerializer)
        who = caller(request, body.get("client_info"))
        failures: list[Any] = body["failures"]
        tokens = [item.get("reply_subject") if isinstance(item, dict) else None for item in failures]
        known = self._known(access, who, tokens)
        answers = _fail(failures, known, who.worker)
        return Response({"tasks": [answer_as_wire(answer) for answer in answers]})

    def _lease_call(self, request: Request, call: _LeaseCall) -> Response:
        access, body = self._enter(request, LeasesRequestSerializer)
        who = caller(request, body.get("client_info"))
        known = self._known(access, who, body["leases"])
        answers = iter(call([item.lease for item in known if isinstance(item, Known)], who.worker))
        return Response(
            {
                "leases": [
                    _refused(item) if isinstance(item, Refusal) else _answered(item, next(answers))
                    for item in known
                ],
                "lease_seconds": settings.NATS_TASK_TTR,
            }
        )

    def _enter(self, request: Request, schema: type[Serializer[Any]]) -> tuple[Access, dict[str, Any]]:
        """The caller's rights and the checked body. Raises a 401, 403 or 400."""
        if not request.user.is_authenticated:
            raise NotAuthenticated
        access = access_of(request)
        if not workplaces(access):
            raise PermissionDenied
        body = schema(data=request.data)
        body.is_valid(raise_exception=True)
        return access, body.validated_data

    def _known(self, access: Access, who: Caller, tokens: Sequence[Any]) -> list[Known | Refusal]:
        known = known_leases(tokens, who.worker, workplaces(access))
        note_call(who, [], workplaces(access))
        note_rejected(who, sum(isinstance(item, Refusal) for item in known))
        return known


def _nothing(retry_after: float | None, reason: str = "") -> Response:
    """No tasks; `retry_after` is spread a little, so that many idle workers do not come back in step."""
    wait = None if retry_after is None else round(retry_after * random.uniform(0.8, 1.2), 2)  # noqa: S311 - spreads load
    empty: dict[str, Any] = {"tasks": [], "lease_seconds": settings.NATS_TASK_TTR}
    return Response(empty | {"retry_after": wait, "reason": reason})


def _as_wire(tasks: Sequence[ReservedTask]) -> dict[str, Any]:
    jobs = Job.objects.filter(pk__in={task.job_id for task in tasks}).values_list(
        "pk", "project_id", "pipeline_id"
    )
    configs: dict[int, TravellingConfig | None] = {
        job_id: travelling_config(project_id, pipeline_id)
        for job_id, project_id, pipeline_id in jobs
        if pipeline_id
    }
    shown = []
    for task in tasks:
        config = configs.get(task.job_id)
        slug = config.slug if config else ""
        shown.append(task_as_wire(task, config) | {"job_id": task.job_id, "pipeline_slug": slug})
    return {"tasks": shown, "lease_seconds": settings.NATS_TASK_TTR}


def _answered(item: Known, answer: LeaseAnswer) -> dict[str, Any]:
    return {"reply_subject": item.token, "status": str(answer.state), "cancelled": answer.cancelled}


def _refused(item: Refusal) -> dict[str, Any]:
    return {"reply_subject": item.token, "status": "rejected", "cancelled": False, "reason": item.reason}


def _fail(failures: Sequence[Any], known: Sequence[Known | Refusal], worker: Worker) -> list[ItemAnswer]:
    """Every failure through receive, job by job, which judges errors the same way however they come in."""
    answers: dict[int, ItemAnswer] = {}
    by_job: dict[int, list[int]] = {}
    for number, item in enumerate(known):
        if isinstance(item, Refusal):
            answers[number] = ItemAnswer(item.token, ItemStatus.REJECTED, reason=item.reason)
        else:
            by_job.setdefault(item.lease.job_id, []).append(number)
    jobs = Job.objects.in_bulk(by_job)
    for job_id, numbers in by_job.items():
        results = [_as_result(failures[number]) for number in numbers]
        answers |= dict(zip(numbers, _fail_in(jobs.get(job_id), results, worker), strict=True))
    return [answers[number] for number in range(len(failures))]


def _fail_in(job: Job | None, results: Sequence[dict[str, Any]], worker: Worker) -> list[ItemAnswer]:
    """Failures of one job, which may have been deleted since its leases were looked at."""
    if job is not None:
        with suppress(Job.DoesNotExist):
            return receive(job, results, worker=worker)
    return [ItemAnswer(result["reply_subject"], ItemStatus.REJECTED, reason=JOB_GONE) for result in results]


def _as_result(failure: dict[str, Any]) -> dict[str, Any]:
    told = {key: failure[key] for key in ("retryable", "code") if key in failure}
    return {"reply_subject": failure["reply_subject"], "result": {"error": failure.get("error", ""), **told}}
