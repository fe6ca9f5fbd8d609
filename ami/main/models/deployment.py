"""Camera stations: where they stand, what they are."""

from __future__ import annotations

import zoneinfo
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from ami.base.deletion import AnnouncedModel
from ami.base.models import TimestampedModel
from ami.main.models.project import Project
from ami.main.models.storage import StorageSource


def validate_zone(name: str) -> None:
    """Refuse a name that is no time zone."""
    if name and name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name!r} is not a time zone; use a name like America/Panama.")


class Device(TimestampedModel):
    """A kind of camera station."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="devices"
    )
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name


class Site(TimestampedModel):
    """A place of research with several stations."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="sites"
    )
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name


class Deployment(AnnouncedModel, TimestampedModel):
    """One camera station at one place."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="deployments")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    image = models.ImageField(upload_to="deployments/", blank=True, null=True)
    latitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_zone],
        help_text="Zone of the station's clock; times without a zone are read in it. Empty: UTC.",
    )
    device = models.ForeignKey(Device, on_delete=models.SET_NULL, null=True, blank=True)
    research_site = models.ForeignKey(Site, on_delete=models.SET_NULL, null=True, blank=True)
    data_source = models.ForeignKey(
        StorageSource, on_delete=models.SET_NULL, null=True, blank=True, related_name="deployments"
    )
    data_source_subdir = models.CharField(
        max_length=1024, blank=True, help_text="The folder of this station, below that of the data source."
    )
    data_source_regex = models.CharField(
        max_length=255, blank=True, help_text="Only files whose path matches count (regular expression)."
    )
    data_source_total_files = models.BigIntegerField(default=0, editable=False)
    data_source_total_size = models.BigIntegerField(default=0, editable=False, help_text="Bytes.")
    data_source_last_checked = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The zone in which the station's clock runs."""
        return zoneinfo.ZoneInfo(self.time_zone or "UTC")
