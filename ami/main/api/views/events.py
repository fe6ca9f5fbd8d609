"""Sessions. Read only: jobs make them from the times of captures."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.viewsets import ReadOnlyModelViewSet

from ami.main.api.filters import EventFilter
from ami.main.api.serializers.event import EventSerializer
from ami.main.api.viewsets import ProjectScopedViewSet
from ami.main.models import Event, SourceImage
from ami.main.related import count_of


class EventViewSet(ProjectScopedViewSet[Event], ReadOnlyModelViewSet[Event]):
    """Sessions of camera stations."""

    queryset = Event.objects.select_related("deployment")
    serializer_class = EventSerializer
    project_path = "deployment__project"
    filterset_class = EventFilter
    ordering_fields = ["start", "end", "created_at", "updated_at", "captures_count", "deployment__name"]

    def get_queryset(self) -> QuerySet[Event]:
        """With the number of captures, counted by the database."""
        return super().get_queryset().annotate(captures_count=count_of(SourceImage.objects.all(), "event"))
