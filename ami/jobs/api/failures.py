"""What failed in a job, and having it done again."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from ami.jobs.api.failure_wire import (
    FailureSerializer,
    FailuresQuerySerializer,
    RetryFailedRequestSerializer,
    RetryFailedResponseSerializer,
    failures_as_wire,
)
from ami.jobs.api.shown import shown_job
from ami.jobs.lifecycle.requeue import requeue
from ami.jobs.models import DeadLetter, Job
from ami.main.api.viewsets import ProjectScopedViewSet


class FailureCallsViewSet(ProjectScopedViewSet[Job]):
    """The dead letters of a job; the rest is `JobViewSet`."""

    @extend_schema(
        parameters=[FailuresQuerySerializer], responses=FailureSerializer(many=True), filters=False
    )
    @action(detail=True, methods=["get"], filter_backends=[])
    def failures(self, request: Request, pk: str, **_: Any) -> Response:
        """The failed images of a job with their attempts, newest first."""
        job = self.get_object()
        asked = FailuresQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        letters = DeadLetter.objects.filter(job_id=job.pk)
        if code := asked.validated_data.get("code"):
            letters = letters.filter(error_code=code)
        oldest_first = asked.validated_data.get("ordering") == "finished_at"
        order = ("failed_at", "pk") if oldest_first else ("-failed_at", "-pk")
        page: Any = self.paginate_queryset(letters.order_by(*order))  # type: ignore[arg-type]
        rows = failures_as_wire(request, job, page)
        shown = FailureSerializer(rows, many=True, context=self.get_serializer_context())
        return self.get_paginated_response(shown.data)

    @extend_schema(request=RetryFailedRequestSerializer, responses=RetryFailedResponseSerializer)
    @action(detail=True, methods=["post"], url_path="retry-failed")
    def retry_failed(self, request: Request, pk: str, **_: Any) -> Response:
        """Do the failed images of a job that ended again, all or those in `images`.

        A job that did not end stays as it is, and `reason` says so; repeating the call does no harm.
        """
        job = self.get_object()
        body = RetryFailedRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        done = requeue(job.pk, body.validated_data.get("images"), by=f"user {request.user.pk}")
        shown: dict[str, Any] = self.get_serializer(shown_job(job.pk)).data
        return Response({**shown, "requeued": done.images, "reason": done.why})

    def envelope_permissions(self) -> list[str]:
        """Nobody creates failures."""
        return [] if self.action == "failures" else super().envelope_permissions()
