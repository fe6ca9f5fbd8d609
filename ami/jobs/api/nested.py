"""A pipeline inside a job's JSON; the other nested objects are those of `ami.main`."""

from __future__ import annotations

from typing import ClassVar

from ami.base.api.serializers import DetailsField
from ami.ml.api.serializers.catalogue import CatalogueSerializer
from ami.ml.models import Pipeline


class NestedPipeline(CatalogueSerializer):
    """A pipeline as jobs show it (contract 1.7)."""

    details = DetailsField("api:pipeline-detail")

    class Meta:
        model = Pipeline
        fields: ClassVar[list[str]] = [
            "id",
            "details",
            "name",
            "slug",
            "description",
            "version",
            "version_name",
            "created_at",
            "updated_at",
            "user_permissions",
        ]
