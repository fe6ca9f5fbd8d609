"""What a scenario is, and the register of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ami.chaos.run import Run

Body = Callable[["Run"], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to break the platform. `body` starts the jobs, breaks what it breaks, and waits for the end.

    `variants`: the same with something changed, such as the step at which a process dies; each is a run of
    its own. `injects` and `holds` say in a sentence each what is done and what must be true.
    """

    id: str
    title: str
    injects: str
    holds: str
    body: Body
    variants: tuple[str, ...] = ("",)
    settings: tuple[tuple[str, str], ...] = ()
    """Environment variables of web and Celery that differ from those of the other scenarios."""
    proxied: bool = False
    """Whether web and Celery reach NATS and Redis through `Platform.proxies`."""

    @property
    def order(self) -> tuple[int, str]:
        """F2 before F10."""
        return int(self.id.lstrip("F")), self.id


_registered: dict[str, Scenario] = {}


def scenario(
    id: str,
    title: str,
    *,
    injects: str,
    holds: str,
    variants: Iterable[str] = ("",),
    proxied: bool = False,
    **settings: str,
) -> Callable[[Body], Body]:
    """Register the decorated function under an id such as F3, with its description."""

    def register(body: Body) -> Body:
        if id in _registered:
            raise ValueError(f"there are two scenarios {id}")
        _registered[id] = Scenario(
            id, title, injects, holds, body, tuple(variants), tuple(sorted(settings.items())), proxied
        )
        return body

    return register


def known() -> list[Scenario]:
    """All scenarios that were registered, in the order of their numbers."""
    return sorted(_registered.values(), key=lambda one: one.order)


def chosen(wanted: Sequence[str]) -> list[tuple[Scenario, tuple[str, ...]]]:
    """The scenarios named in `wanted` with the variants to run; all, if none is named.

    `F3` means all its variants, `F3:save.claimed` one. Raises KeyError with the name that is none.
    """
    if not wanted:
        return [(one, one.variants) for one in known()]
    picked: dict[str, list[str]] = {}
    for name in wanted:
        number, _, variant = name.partition(":")
        found = _registered.get(number.upper())
        if found is None or (variant and variant not in found.variants):
            raise KeyError(name)
        picked.setdefault(found.id, []).extend([variant] if variant else found.variants)
    return [(one, tuple(dict.fromkeys(picked[one.id]))) for one in known() if one.id in picked]
