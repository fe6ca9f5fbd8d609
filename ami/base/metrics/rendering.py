"""Figures as Prometheus reads them: families of samples, each with the words of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from ami.base.metrics.declare import REGISTRY, TABLE, Declaration

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ADDED = ("process", "host")
"""Labels that every counter has besides its own: which kind of process counted, and where."""

Sample = tuple[str, Sequence[str], float]
"""A gauge's name, the values of its labels in the order of the table, and its value."""


def render(samples: Iterable[Sample], directory: str = "", *, role: str = "web", host: str = "") -> bytes:
    """The whole page: these gauges, and the counters of all processes that share `directory`.

    Without a directory: those of this process alone, as of `role` on `host`.
    """
    families = {name: _family(declared) for name, declared in TABLE.items()}
    for name, values, value in samples:
        families[name].add_sample(name, dict(zip(TABLE[name].labels, values, strict=True)), value)
    for family, added in _counted(directory, role, host):
        known = families.get(f"{family.name}_total" if family.type == "counter" else family.name)
        if known is None:
            continue
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                known.add_sample(sample.name, {**sample.labels, **added}, sample.value)
    registry = CollectorRegistry()
    registry.register(_Ready(list(families.values())))
    return generate_latest(registry)


def _family(declared: Declaration) -> Metric:
    name = declared.name.removesuffix("_total") if declared.kind == "counter" else declared.name
    return Metric(name, declared.meaning, declared.kind)


def _counted(directory: str, role: str, host: str) -> Iterator[tuple[Metric, dict[str, str]]]:
    if not directory:
        for family in REGISTRY.collect():
            yield family, dict(zip(ADDED, (role, host), strict=True))
        return
    for folder in sorted(Path(directory).glob("*@*")):
        by, _, where = folder.name.partition("@")
        counted: Any = MultiProcessCollector
        for family in counted(None, path=str(folder)).collect():
            yield family, dict(zip(ADDED, (by, where), strict=True))


class _Ready:
    """A collector of what was collected already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families, as they are."""
        return self._families

    def describe(self) -> Iterable[Metric]:
        """None: nothing else is in the registry."""
        return []
