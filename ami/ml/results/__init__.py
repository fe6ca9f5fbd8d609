"""Saving what pipelines found: resolve names, then write detections and classifications in bulk."""

from ami.ml.results.items import FoundClassification, FoundDetection, ImageResult, SavedCounts
from ami.ml.results.taxa import forget_taxa, resolve_taxa
from ami.ml.results.write import write_predictions

__all__ = [
    "FoundClassification",
    "FoundDetection",
    "ImageResult",
    "SavedCounts",
    "forget_taxa",
    "resolve_taxa",
    "write_predictions",
]
