"""How much work waits for workers: for whoever starts and stops them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated, NotFound, PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from ami.base import clock
from ami.base.api.permissions import is_active_staff
from ami.jobs.api.reach import TASKS_PERMISSION, reach_of
from ami.jobs.lifecycle.turns import Reach
from ami.jobs.metrics.backlog import backlogs
from ami.main.api.access import access_of
from ami.main.models import Project
from ami.users.callers import Machine

OPERATORS_PERMISSION = "run_ml_job"


class BacklogSerializer(serializers.Serializer[Any]):
    """The work of one pipeline that waits for workers."""

    pipeline = serializers.CharField(source="slug", help_text="Its slug.")
    name = serializers.CharField()
    jobs = serializers.IntegerField(help_text="Unfinished jobs whose tasks workers pull.")
    tasks_waiting = serializers.IntegerField(source="waiting", help_text="Images that nobody works on.")
    tasks_leased = serializers.IntegerField(
        source="leased", allow_null=True, help_text="Images with workers; null while Redis is away."
    )
    workers_online = serializers.IntegerField(help_text="Of services with a worker key.")
    images_per_second = serializers.FloatField(
        allow_null=True, help_text="Over the last five minutes; null while Redis is away."
    )
    backlog_seconds = serializers.FloatField(
        source="seconds", allow_null=True, help_text="`tasks_waiting` at that rate; null without a rate."
    )
    reason = serializers.CharField(help_text="Why `backlog_seconds` is null; else empty.")


class AutoscalingSerializer(serializers.Serializer[Any]):
    """All pipelines that the caller may serve or run."""

    at = serializers.DateTimeField()
    pipelines = BacklogSerializer(many=True)


class AutoscalingViewSet(ViewSet):
    """How many images of each pipeline wait, for autoscalers. For workers, operators and the staff."""

    permission_classes = [AllowAny]  # each action asks by itself: `_reach`
    lookup_field = "slug"
    lookup_value_regex = r"[-\w]+"
    rate_kinds = {"list": "worker", "retrieve": "worker"}

    @extend_schema(responses=AutoscalingSerializer)
    def list(self, request: Request) -> Response:
        """The backlog of every pipeline that the caller may serve or run."""
        found = backlogs(_reach(request))
        return Response(AutoscalingSerializer({"at": clock.now(), "pipelines": found}).data)

    @extend_schema(responses=BacklogSerializer)
    def retrieve(self, request: Request, slug: str) -> Response:
        """The backlog of one pipeline, by its slug."""
        found = backlogs(_reach(request), slug)
        if not found:
            raise NotFound("Not found.")
        return Response(BacklogSerializer(found[0]).data)


def _reach(request: Request) -> Reach:
    """What the caller may know of. Raises a 401 for nobody, and a 403 for who works and runs nothing."""
    if not request.user.is_authenticated:
        raise NotAuthenticated
    access = access_of(request)
    user = access.user
    if isinstance(user, Machine):
        reach = reach_of(access, None)
    elif is_active_staff(user):
        active = Project.objects.filter(active=True).order_by("pk")
        reach = Reach(list(active.values_list("pk", flat=True)))
    else:
        either = (TASKS_PERMISSION, OPERATORS_PERMISSION)
        reach = Reach(sorted(p for p in access.projects() if any(access.may(name, p) for name in either)))
    if not reach.projects:
        raise PermissionDenied
    return reach
