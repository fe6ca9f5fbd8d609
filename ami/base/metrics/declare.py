"""Declares every figure once: name, kind, labels, meaning, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

logger = structlog.get_logger(__name__)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Limits of the buckets of everything that takes time."""

REGISTRY = CollectorRegistry()
"""Counters of this process, where they are not shared through files (`sharing`)."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One figure as the docs show it."""

    name: str
    kind: str
    """`counter`, `histogram` or `gauge`."""
    labels: tuple[str, ...]
    meaning: str
    high: str
    """What to do when it is high."""
    source: str
    """Who knows it: `process`, or the server that was asked."""


TABLE: dict[str, Declaration] = {}


def counter(name: str, meaning: str, *, labels: Sequence[str] = (), high: str) -> Counting:
    """A number that only grows; its name ends in `_total`."""
    return Counting(_record(name, "counter", labels, meaning, high, "process"))


def histogram(name: str, meaning: str, *, labels: Sequence[str] = (), high: str) -> Timing:
    """How long something takes, in seconds."""
    return Timing(_record(name, "histogram", labels, meaning, high, "process"))


def gauge(name: str, meaning: str, *, labels: Sequence[str] = (), high: str, source: str) -> Declaration:
    """A state of the system, asked of `source` when somebody wants to know."""
    return _record(name, "gauge", labels, meaning, high, source)


def _record(name: str, kind: str, labels: Sequence[str], meaning: str, high: str, source: str) -> Declaration:
    if name in TABLE:
        raise ValueError(f"{name} is declared twice.")
    return TABLE.setdefault(name, Declaration(name, kind, tuple(labels), meaning, high, source))


class _Instrument:
    """What a process counts by itself. The objects behind it are made when something is counted first."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._parent: Any = None
        self._children: dict[tuple[str, ...], Any] = {}

    def _child(self, values: tuple[str, ...]) -> Any:
        found = self._children.get(values)
        if found is None:
            if self._parent is None:
                self._parent = self._make()
            found = self._parent.labels(*values) if values else self._parent
            self._children[values] = found
        return found

    def _make(self) -> Any:
        raise NotImplementedError

    def _lost(self) -> None:
        """Work is never stopped by what counts it: a full disk, or labels that do not fit."""
        logger.warning("metrics.not_counted", metric=self.declaration.name, exc_info=True)


class Counting(_Instrument):
    """A counter. Costs about a microsecond; threads may share it."""

    def inc(self, *values: str, amount: float = 1) -> None:
        """Add `amount` under these labels, in the order of the declaration. Never raises."""
        try:
            self._child(values).inc(amount)
        except Exception:  # noqa: BLE001 - see `_lost`
            self._lost()

    def _make(self) -> Counter:
        known = self.declaration
        return Counter(known.name, known.meaning, known.labels, registry=REGISTRY)


class Timing(_Instrument):
    """A histogram of seconds. Costs a few microseconds."""

    def observe(self, seconds: float, *values: str) -> None:
        """Something took so long. Never raises."""
        try:
            self._child(values).observe(seconds)
        except Exception:  # noqa: BLE001 - see `_lost`
            self._lost()

    def _make(self) -> Histogram:
        known = self.declaration
        return Histogram(known.name, known.meaning, known.labels, registry=REGISTRY, buckets=SECONDS)
