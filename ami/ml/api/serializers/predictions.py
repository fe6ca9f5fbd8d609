"""Detections and classifications on the wire."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ami.base.api.fields import NotYetField
from ami.base.api.serializers import DetailsField
from ami.main.api.serializers.base import ProjectObjectSerializer
from ami.main.api.serializers.taxon import TaxonNestedSerializer
from ami.main.models import Taxon
from ami.ml.api.serializers.catalogue import AlgorithmSerializer
from ami.ml.models import Classification, Detection

_TOP = 5


class DetectionListSerializer(ProjectObjectSerializer[Detection]):
    """A box in a list."""

    project_key = "source_image.project_id"
    details = DetailsField("api:detection-detail")
    bbox = serializers.ListField(child=serializers.FloatField(), read_only=True)
    width = serializers.SerializerMethodField()
    height = serializers.SerializerMethodField()
    occurrence = NotYetField()
    source_image = DetailsField("api:sourceimage-detail", key="source_image_id")
    detection_algorithm: Any = DetailsField("api:algorithm-detail", key="detection_algorithm_id")
    url = serializers.SerializerMethodField()

    class Meta:
        model = Detection
        fields: list[str] = [
            "id",
            "details",
            "bbox",
            "width",
            "height",
            "occurrence",
            "timestamp",
            "source_image",
            "detection_algorithm",
            "url",
            "user_permissions",
        ]

    def get_width(self, detection: Detection) -> float:
        """In pixels."""
        return (detection.x2 or 0.0) - (detection.x1 or 0.0)

    def get_height(self, detection: Detection) -> float:
        """In pixels."""
        return (detection.y2 or 0.0) - (detection.y1 or 0.0)

    def get_url(self, detection: Detection) -> str | None:
        """The picture of the crop, if the worker published one."""
        return detection.path if detection.path.startswith(("http://", "https://")) else None


class DetectionClassificationSerializer(serializers.ModelSerializer[Classification]):
    """A name of a box, on the page of the box."""

    details = DetailsField("api:classification-detail")
    taxon = TaxonNestedSerializer(read_only=True)
    algorithm = AlgorithmSerializer(read_only=True)
    applied_to = NotYetField()

    class Meta:
        model = Classification
        fields = ["id", "details", "taxon", "score", "terminal", "algorithm", "applied_to", "created_at"]


class DetectionSerializer(DetectionListSerializer):
    """A box on its own page, with its names."""

    detection_algorithm = AlgorithmSerializer(read_only=True)
    classifications = DetectionClassificationSerializer(many=True, read_only=True)

    class Meta(DetectionListSerializer.Meta):
        fields = [*DetectionListSerializer.Meta.fields[:-1], "classifications", "user_permissions"]


class ClassificationListSerializer(ProjectObjectSerializer[Classification]):
    """A name in a list."""

    project_key = "detection.source_image.project_id"
    details = DetailsField("api:classification-detail")
    taxon: Any = DetailsField("api:taxon-detail", key="taxon_id")
    algorithm: Any = DetailsField("api:algorithm-detail", key="algorithm_id")
    applied_to = NotYetField()

    class Meta:
        model = Classification
        fields: list[str] = [
            "id",
            "details",
            "taxon",
            "score",
            "algorithm",
            "applied_to",
            "created_at",
            "updated_at",
            "user_permissions",
        ]


class TopSerializer(serializers.Serializer[Any]):
    """One of the best guesses."""

    taxon = TaxonNestedSerializer(allow_null=True)
    score = serializers.FloatField()
    logit = serializers.FloatField(allow_null=True)


class ClassificationSerializer(ClassificationListSerializer):
    """A name on its own page, with all scores."""

    taxon = TaxonNestedSerializer(read_only=True)
    algorithm = AlgorithmSerializer(read_only=True)
    scores = serializers.ListField(child=serializers.FloatField(), read_only=True)
    logits = serializers.ListField(child=serializers.FloatField(), read_only=True)
    top_n = serializers.SerializerMethodField()

    class Meta(ClassificationListSerializer.Meta):
        fields = [
            *ClassificationListSerializer.Meta.fields[:-1],
            "scores",
            "logits",
            "top_n",
            "user_permissions",
        ]

    @extend_schema_field(TopSerializer(many=True))
    def get_top_n(self, classification: Classification) -> Any:
        """The best guesses, best first; their labels are positions in the category map."""
        scores, logits = classification.scores, classification.logits
        category_map = classification.category_map or classification.algorithm.category_map
        labels = category_map.labels if category_map else []
        best = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:_TOP]
        names = {position: labels[position] for position in best if position < len(labels)}
        taxa = {taxon.name: taxon for taxon in Taxon.objects.filter(name__in=names.values())}
        top = [
            {
                "taxon": taxa.get(names.get(position, "")),
                "score": scores[position],
                "logit": logits[position] if position < len(logits) else None,
            }
            for position in best
        ]
        return TopSerializer(top, many=True, context=self.context).data
