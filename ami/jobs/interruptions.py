"""What ends a piece of work from outside and says nothing about what it worked on, such as a time limit.

Code that takes whatever an item raises for the item's own error lets these pass. Who starts the work knows
what interrupts it and registers it here (`ami.jobs.tasks` does for Celery); lifecycle code knows no Celery.
"""

from __future__ import annotations

_registered: tuple[type[BaseException], ...] = ()


def register_interruption(kind: type[BaseException]) -> None:
    """Let exceptions of this kind pass from now on. Safe to call twice."""
    global _registered
    if kind not in _registered:
        _registered = (*_registered, kind)


def interruptions() -> tuple[type[BaseException], ...]:
    """For an except clause that stands before a broad one."""
    return _registered
