"""Taxa: the names that classifiers give. Read only."""

from __future__ import annotations

from rest_framework.permissions import AllowAny
from rest_framework.viewsets import ReadOnlyModelViewSet

from ami.main.api.serializers.taxon import TaxonSerializer
from ami.main.models import Taxon


class TaxonViewSet(ReadOnlyModelViewSet[Taxon]):
    """Taxa that are in use."""

    queryset = Taxon.objects.filter(active=True)
    serializer_class = TaxonSerializer
    permission_classes = [AllowAny]
    filterset_fields = ["rank", "parent"]
    ordering_fields = ["name", "rank", "created_at", "updated_at"]
    search_fields = ["name"]
