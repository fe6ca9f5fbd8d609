"""How lifecycle code asks for background work without knowing Celery.

`ami.jobs.tasks` installs the real dispatcher at start; tests install one that records or runs at once.
Asking is best effort everywhere: what a lost request leaves undone, a health check finds and asks for again.
"""

from __future__ import annotations

from typing import Protocol

from ami.ml.workers import SignOfLife


class Dispatcher(Protocol):
    """Background work that a lifecycle step may ask for. None of these raises."""

    def dispatch(self, job_id: int, *, delay: float = 0) -> bool:
        """Collect and publish the job's images, after `delay` seconds. False: the request was not taken."""

    def save(self, inbox_ids: list[int]) -> bool:
        """Save these accepted results, one piece of work each. False: not all requests were taken."""

    def refresh(self, job_id: int, *, delay: float = 0) -> bool:
        """Project the job's progress and try to finish it."""

    def seen(self, sign: SignOfLife) -> bool:
        """Write down that a worker was heard of. False: the request was not taken."""


_installed: Dispatcher | None = None


def install(dispatcher: Dispatcher) -> Dispatcher | None:
    """Use this dispatcher from now on; returns the one that was used before."""
    global _installed
    before, _installed = _installed, dispatcher
    return before


def dispatcher() -> Dispatcher:
    """The dispatcher in use. Raises RuntimeError when none was installed: a mistake in the set-up."""
    if _installed is None:
        raise RuntimeError("No dispatcher is installed: ami.jobs.tasks was not imported.")
    return _installed
