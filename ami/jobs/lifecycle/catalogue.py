"""What a result may speak of: the algorithms that are registered on the job's pipeline."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ami.ml.models import Algorithm, Pipeline

KEEP_SECONDS = 5.0
"""How long a process trusts what it read."""

SEARCH_SECONDS = 1.0
"""How often at most a pipeline is read anew for keys that are not in it: every result may name another."""

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
    read_at: float
    searched_at: float
    """When it was last read for a key that the reading before did not have; both by the monotonic clock."""

    @property
    def detector_id(self) -> int | None:
        """The algorithm in whose name "nothing found" is recorded."""
        return next((algorithm.id for algorithm in self.algorithms.values() if algorithm.detects), None)


_cache: dict[int, Catalogue] = {}


def catalogue(pipeline_id: int, needed: frozenset[str] = frozenset()) -> Catalogue:
    """The algorithms of a pipeline; read anew when that was seconds ago, or for a needed key.

    A key that was registered just now is found at once, unless another one was searched for in this second.
    """
    now = time.monotonic()
    known = _cache.get(pipeline_id)
    searched_at = known.searched_at if known else -math.inf
    if known is None or now - known.read_at >= KEEP_SECONDS:
        known = _cache[pipeline_id] = _read(pipeline_id, now, searched_at)
    if needed - known.algorithms.keys() and now - searched_at >= SEARCH_SECONDS:
        known = replace(known, searched_at=now) if known.read_at == now else _read(pipeline_id, now, now)
        _cache[pipeline_id] = known
    return known


def forget() -> None:
    """Read every pipeline anew."""
    _cache.clear()


def _read(pipeline_id: int, now: float, searched_at: float) -> Catalogue:
    slug = Pipeline.objects.values_list("slug", flat=True).filter(pk=pipeline_id).first() or ""
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
    return Catalogue(slug, algorithms, now, searched_at)
