"""last chance: an image whose attempts ended in silence is handed out alone before it is given up.

Perhaps it kills every worker. A worker that dies takes all that it holds down with it, again and again in the
same company, so without this its innocent neighbours would run out of attempts together with it.
"""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings

from ami.jobs.ledger import LockedTask

HELD_BACK_SECONDS = 1.0
"""After how long such an image is offered again when the one who asked could not have it."""


def is_last_chance(task: LockedTask, max_attempts: int) -> bool:
    """Whether one attempt is left, and the one before it ended in silence."""
    return task.lease_ran_out and task.used_attempts == max_attempts - 1


def pick(suspects: Collection[LockedTask], others: Collection[LockedTask], in_hand: int) -> set[int]:
    """The rows that one reservation hands out: one suspect and nothing else, or none of the suspects.

    `in_hand`: how many images the worker holds already. Who holds any gets no suspect, unless nobody else
    took it for as long as a lease lasts: busy workers must not keep a job from its end.
    """
    for task in suspects:
        if not in_hand or task.lease_over > settings.NATS_TASK_TTR:
            return {task.id}
    return {task.id for task in others}
