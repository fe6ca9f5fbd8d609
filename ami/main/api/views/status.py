"""Counts of a project at one glance."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ami.main.api.projects import active_project
from ami.main.models import Deployment, Event, Project, SourceImage


class SummaryView(APIView):
    """What a project holds."""

    permission_classes = [AllowAny]

    @extend_schema(
        parameters=[OpenApiParameter("project_id", int, required=True)], responses=OpenApiTypes.OBJECT
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Counts, each under the names that clients know; what is no feature yet counts zero."""
        project = active_project(request, kwargs, required=True)
        counts = {
            "projects_count": Project.objects.all().visible_to(request.user).count(),
            "deployments_count": Deployment.objects.filter(project=project).count(),
            "events_count": Event.objects.filter(deployment__project=project).count(),
            "captures_count": SourceImage.objects.filter(project=project).count(),
            "occurrences_count": 0,
            "taxa_count": 0,
        }
        aliases = {f"num_{name.removesuffix('_count')}": count for name, count in counts.items()}
        return Response({**counts, "num_sessions": counts["events_count"], "num_species": 0, **aliases})
