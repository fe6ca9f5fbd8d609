"""Settings of a pipeline in a project, as they travel with each task."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ami.ml.models import Pipeline, ProjectPipelineConfig

KEEP_SECONDS = 5.0
"""How long a process trusts what it read."""


@dataclass(frozen=True, slots=True)
class TravellingConfig:
    """What a worker has to know about a pipeline in a project."""

    slug: str
    config: Mapping[str, Any]
    """The pipeline's own settings, overridden key by key by the project's."""


_MOST_REMEMBERED = 1_000
_cache: dict[tuple[int, int], tuple[float, TravellingConfig]] = {}


def travelling_config(project_id: int, pipeline_id: int) -> TravellingConfig | None:
    """The settings in force, read anew after `KEEP_SECONDS`; None when the pipeline is gone."""
    key = (project_id, pipeline_id)
    read_at, known = _cache.get(key, (float("-inf"), None))
    if known is not None and time.monotonic() < read_at + KEEP_SECONDS:
        return known
    found = _read(project_id, pipeline_id)
    if found is not None:
        if len(_cache) >= _MOST_REMEMBERED:
            _cache.clear()
        _cache[key] = (time.monotonic(), found)
    return found


def forget_configs() -> None:
    """Read every pipeline's settings anew."""
    _cache.clear()


def _read(project_id: int, pipeline_id: int) -> TravellingConfig | None:
    pipeline = Pipeline.objects.only("slug", "default_config").filter(pk=pipeline_id).first()
    if pipeline is None:
        return None
    named = ProjectPipelineConfig.objects.filter(project=project_id, pipeline=pipeline_id)
    project_config = named.values_list("config", flat=True).first()
    return TravellingConfig(pipeline.slug, {**_object(pipeline.default_config), **_object(project_config)})


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
