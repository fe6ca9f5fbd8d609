"""Names of living things, as far as classifications need them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ami.base.models import TimestampedModel


class Taxon(TimestampedModel):
    """A taxon by its name; classifiers create the ones that they name first."""

    name = models.CharField(max_length=255, unique=True)
    rank = models.CharField(max_length=32, default="UNKNOWN")
    parent = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children"
    )
    gbif_key = models.BigIntegerField(null=True, blank=True)
    active = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "taxa"
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name
