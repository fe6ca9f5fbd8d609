"""Taxa on the wire."""

from __future__ import annotations

from ami.base.api.serializers import DetailsField, ObjectSerializer
from ami.main.models import Taxon


class TaxonNestedSerializer(ObjectSerializer[Taxon]):
    """A taxon by name."""

    details = DetailsField("api:taxon-detail")

    class Meta:
        model = Taxon
        fields = ["id", "name", "rank", "parent_id", "details", "user_permissions"]


class TaxonSerializer(TaxonNestedSerializer):
    """A taxon on its own page."""

    class Meta(TaxonNestedSerializer.Meta):
        fields = [
            "id",
            "name",
            "rank",
            "parent_id",
            "details",
            "gbif_key",
            "created_at",
            "updated_at",
            "user_permissions",
        ]
