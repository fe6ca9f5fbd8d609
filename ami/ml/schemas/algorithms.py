"""The algorithms of a pipeline: a detector that finds boxes, and classifiers that name what is in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ami.ml.schemas.base import MAX_CLASSES, JsonObject, Name, Text, Url, WireModel


class AlgorithmReference(WireModel):
    """Which algorithm made a prediction; the key was announced when the pipeline was registered."""

    name: Name
    key: Name


class AlgorithmCategoryMapResponse(WireModel):
    """The classes of a classifier, in the order of its scores."""

    data: Annotated[list[JsonObject], Field(max_length=MAX_CLASSES)] = []
    """One object a class, usually with index, label and taxon_rank, sometimes gbif_key and source."""
    labels: Annotated[list[Name], Field(max_length=MAX_CLASSES)] = []
    version: Name | None = None
    description: Text | None = None
    uri: Url | None = None


class AlgorithmConfigResponse(WireModel):
    """An algorithm as a service or a worker announces it."""

    name: Name
    key: Name
    description: Text | None = None
    task_type: Name | None = None
    version: int = 1
    version_name: Name | None = None
    uri: Url | None = None
    category_map: AlgorithmCategoryMapResponse | None = None
