"""What a result may speak of: the algorithms that are registered on the job's pipeline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ami.ml.models import Algorithm, Pipeline

KEEP_SECONDS = 5.0
"""How long a process trusts what it read; a key that is not in it is looked up at once, whatever its age."""

ABSENT_SECONDS = 1.0
"""How long a process believes that a key is unknown: a post may name it in every one of its results."""

RANK_MAX = 32
"""Category maps come from strangers; a rank that no column takes is none."""


@dataclass(frozen=True, slots=True)
class KnownAlgorithm:
    """An algorithm as far as results need it. `ranks` holds the taxon rank of labels that name one."""

    id: int
    detects: bool
    category_map_id: int | None
    labels: tuple[str, ...]
    ranks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A pipeline's algorithms by key."""

    pipeline_slug: str
    algorithms: Mapping[str, KnownAlgorithm]
    absent: frozenset[str]
    """Keys that were looked for and are not registered."""
    read_at: float

    @property
    def detector_id(self) -> int | None:
        """The algorithm in whose name "nothing found" is recorded."""
        return next((algorithm.id for algorithm in self.algorithms.values() if algorithm.detects), None)


_cache: dict[int, Catalogue] = {}


def catalogue(pipeline_id: int, needed: frozenset[str] = frozenset()) -> Catalogue:
    """The algorithms of a pipeline; read anew when that was seconds ago or may lack a needed key."""
    known = _cache.get(pipeline_id)
    if known is None or not _still_good(known, needed):
        known = _cache[pipeline_id] = _read(pipeline_id, needed)
    return known


def _still_good(known: Catalogue, needed: frozenset[str]) -> bool:
    age = time.monotonic() - known.read_at
    missing = needed - known.algorithms.keys()
    return age < (ABSENT_SECONDS if missing else KEEP_SECONDS) and missing <= known.absent


def forget() -> None:
    """Read every pipeline anew."""
    _cache.clear()


def _read(pipeline_id: int, needed: frozenset[str]) -> Catalogue:
    slug = Pipeline.objects.values_list("slug", flat=True).get(pk=pipeline_id)
    algorithms: dict[str, KnownAlgorithm] = {}
    found = Algorithm.objects.filter(pipelines=pipeline_id).select_related("category_map").order_by("version")
    for algorithm in found:
        category_map = algorithm.category_map
        data = category_map.data if category_map else []
        algorithms[algorithm.key] = KnownAlgorithm(
            id=algorithm.pk,
            detects=algorithm.detects,
            category_map_id=algorithm.category_map_id,
            labels=tuple(str(label) for label in category_map.labels) if category_map else (),
            ranks={
                str(entry["label"]): str(entry["taxon_rank"]).upper()
                for entry in data
                if isinstance(entry, dict)
                and entry.get("label")
                and 0 < len(str(entry.get("taxon_rank") or "")) <= RANK_MAX
            },
        )
    return Catalogue(slug, algorithms, needed - algorithms.keys(), time.monotonic())
