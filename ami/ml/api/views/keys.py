"""Worker keys: made, rotated and revoked by the managers of the projects in which they are good."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ami.base.api.fields import parse_key
from ami.main.api.access import Access, access_of
from ami.main.models import Project
from ami.ml import keys
from ami.ml.api.serializers.keys import KeySerializer, MintSerializer, NewKeySerializer, RotateSerializer
from ami.ml.models import ProcessingService, WorkerKey
from ami.users.models import User


@extend_schema(parameters=[OpenApiParameter("service_pk", int, OpenApiParameter.PATH)])
class WorkerKeyViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[WorkerKey]):
    """The keys of one service. The key itself is shown once, in the answer that made it."""

    queryset = WorkerKey.objects.all()
    serializer_class = KeySerializer

    @property
    def access(self) -> Access:
        """What the caller may do."""
        return access_of(self.request)

    def get_queryset(self) -> QuerySet[WorkerKey]:
        """Keys that are good in a project where the caller may see keys; of all projects they name those."""
        mine = self._projects("view")
        found = super().get_queryset().filter(service=self._service("view"), projects__in=mine).distinct()
        return found.prefetch_related(Prefetch("projects", mine), "pipelines")

    def may(self, request: Request, obj: WorkerKey) -> bool:
        """To change a key one must manage every project in which it is good."""
        if request.method == "GET":
            return True
        verb = self.action or ""
        held = key_projects(obj)
        return bool(held) and all(self.access.may(f"{verb}_workerkey", project) for project in held)

    @extend_schema(request=MintSerializer, responses={201: NewKeySerializer})
    def create(self, request: Request, **_: Any) -> Response:
        """Make a key. Without `projects` it is good in those of the service that the caller manages."""
        service = self._service("create")
        body = MintSerializer(data=request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        asked: list[Project] | None = body.validated_data.get("projects")
        mine = list(self._projects("create").filter(processing_services=service))
        if asked is not None and any(project not in mine for project in asked):
            self.permission_denied(
                request, "You do not manage one of these projects, or it is not the service's."
            )
        made = keys.mint(
            service=service,
            projects=mine if asked is None else asked,
            pipelines=body.validated_data.get("pipelines"),
            name=body.validated_data["name"],
            expires_at=body.validated_data["expires_at"],
            created_by=_account(request),
        )
        return self._shown(made)

    @extend_schema(request=RotateSerializer, responses={201: NewKeySerializer})
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str, **_: Any) -> Response:
        """Make a new key in place of this one, which goes on for a while."""
        key = self.get_object()
        body = RotateSerializer(data=request.data or {})
        body.is_valid(raise_exception=True)
        overlap = timedelta(seconds=body.validated_data["overlap_seconds"])
        return self._shown(keys.rotate(key, overlap=overlap, created_by=_account(request)))

    @extend_schema(request=None, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str, **_: Any) -> Response:
        """End this key now; it stops working within seconds. Safe to repeat."""
        key = self.get_object()
        keys.revoke(key)
        return Response(self.get_serializer(self.get_queryset().get(pk=key.pk)).data)

    def envelope_permissions(self) -> list[str]:
        """Whoever sees a service's keys as a manager may make some."""
        return ["create"] if self._projects("create").exists() else []

    def _projects(self, verb: str) -> QuerySet[Project]:
        """The projects in which the caller may do this to keys."""
        visible = Project.objects.all().visible_to(self.request.user)
        if self.request.user.is_superuser:
            return visible
        return visible.filter(
            pk__in=[
                project for project in self.access.projects() if self.access.may(f"{verb}_workerkey", project)
            ]
        )

    def _service(self, verb: str) -> ProcessingService:
        """The service of the URL. Raises a 404, 401 or 403 unless the caller may do this to its keys."""
        key = parse_key(self.kwargs["service_pk"])
        visible = Project.objects.all().visible_to(self.request.user)
        services = ProcessingService.objects.filter(projects__in=visible).distinct()
        service = None if key is None else services.filter(pk=key).first()
        if service is None:
            raise NotFound("Not found.")
        if not self._projects(verb).filter(processing_services=service).exists():
            self.permission_denied(self.request)
        return service

    def _shown(self, made: keys.NewKey) -> Response:
        context = {**self.get_serializer_context(), "secret": made.secret}
        shown = NewKeySerializer(self.queryset.get(pk=made.key.pk), context=context)
        return Response(shown.data, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


def key_projects(key: WorkerKey) -> Iterable[int]:
    """Every project in which a key is good, also those that the caller does not see."""
    return list(Project.objects.filter(worker_keys=key).values_list("pk", flat=True))


def _account(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None
