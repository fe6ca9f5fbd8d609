"""What the health checks did, for the staff."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers
from rest_framework.viewsets import ReadOnlyModelViewSet

from ami.base.api.permissions import IsActiveStaff
from ami.jobs.models import HealthReport


class HealthReportSerializer(serializers.ModelSerializer[HealthReport]):
    """One run that did something, or a row of quiet ones."""

    check = serializers.CharField(source="check_name")

    class Meta:
        model = HealthReport
        fields: ClassVar[list[str]] = [
            "id",
            "check",
            "first_at",
            "last_at",
            "runs",
            "seconds",
            "checked",
            "fixed",
            "unfixable",
            "error",
        ]


class HealthReportViewSet(ReadOnlyModelViewSet[HealthReport]):
    """Reports of health checks, newest first."""

    queryset = HealthReport.objects.all()
    serializer_class = HealthReportSerializer
    permission_classes = [IsActiveStaff]
    filterset_fields = ["check_name"]
    ordering_fields = ["last_at", "first_at"]
