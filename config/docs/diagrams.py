"""The drawings of states. They are laid out by hand and checked against the code: an arrow that the code does
not allow, or one that is missing, ends the generator with a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import product
from typing import TypeVar

from ami.jobs.states import ALLOWED, CANCELABLE, FINAL, OUTCOMES, RUNNING, TASK_ALLOWED, JobState, TaskState
from config.docs.drawing import Drawing

RETRY = "retry, under the next run"

Type = TypeVar("Type", bound=Enum)
Arrows = list[tuple[Iterable[Type], Type]]
"""What the arrows of a drawing say: from each of these states to that one."""


def job_states() -> str:
    """The states of a job."""
    job = JobState
    _check(
        ALLOWED,
        [
            ([job.CREATED], job.PENDING),
            ([job.PENDING, job.RETRY], job.STARTED),
            (RUNNING, job.SUCCESS),
            (RUNNING, job.FAILURE),
            (CANCELABLE, job.REVOKED),
            (FINAL, job.PENDING),
        ],
    )
    drawing = Drawing(900, 400, "The states of a job and the changes between them")
    drawing.frame(16, 44, 536, 340, "has not ended")
    drawing.frame(196, 76, 340, 204, "running", "inner")
    drawing.note(352, 98, "ends when no image is open")
    drawing.frame(708, 44, 176, 340, "has ended")

    drawing.box(32, 122, job.CREATED, job.CREATED.label)
    drawing.box(214, 122, job.PENDING, job.PENDING.label)
    drawing.box(392, 122, job.STARTED, job.STARTED.label)
    drawing.box(214, 218, job.RETRY, job.RETRY.label, "rare")
    for number, state in enumerate((job.CANCELING, job.RECEIVED, job.UNKNOWN)):
        drawing.box(32 + number * 142, 320, state, state.label, "rare")
    drawing.box(733, 98, job.SUCCESS, job.SUCCESS.label, "good")
    drawing.box(733, 196, job.FAILURE, job.FAILURE.label, "bad")
    drawing.box(733, 320, job.REVOKED, job.REVOKED.label, "grey")

    drawing.arrow([(158, 144), (214, 144)], "run", (168, 136))
    drawing.arrow([(340, 144), (392, 144)])
    drawing.arrow([(340, 240), (455, 240), (455, 166)])
    drawing.arrow([(536, 120), (733, 120)], "at most half failed", (566, 112))
    drawing.arrow([(536, 218), (733, 218)], "more than half failed", (566, 210))
    drawing.arrow([(552, 342), (733, 342)], "cancel", (566, 334))
    drawing.arrow([(796, 44), (796, 22), (277, 22), (277, 122)], RETRY, (452, 16), "again")
    return drawing.text()


def task_states() -> str:
    """What happens to one image of a job."""
    task = TaskState
    _check(
        TASK_ALLOWED,
        [
            ([task.PENDING], task.RECEIVED),
            ([task.RECEIVED], task.PROCESSED),
            ([task.PENDING, task.RECEIVED], task.FAILED),
            ([task.PENDING], task.CANCELLED),
            (OUTCOMES, task.PENDING),
        ],
    )
    drawing = Drawing(900, 330, "The states of one image of a job and the changes between them")
    drawing.frame(16, 44, 460, 270, "open")
    drawing.frame(708, 44, 176, 270, "has its outcome")

    drawing.box(60, 92, task.PENDING.name, "to be done")
    drawing.box(326, 92, task.RECEIVED.name, "being saved")
    drawing.box(733, 92, task.PROCESSED.name, "saved", "good")
    drawing.box(733, 170, task.FAILED.name, "a dead letter", "bad")
    drawing.box(733, 248, task.CANCELLED.name, "by a person", "grey")

    drawing.arrow([(186, 114), (326, 114)], "result accepted", (203, 106))
    drawing.arrow([(452, 114), (733, 114)], "predictions saved", (530, 106))
    drawing.arrow([(389, 136), (389, 184), (733, 184)], "cannot be saved", (530, 177))
    drawing.arrow([(150, 136), (150, 202), (733, 202)], "no attempt left, or no use in another", (170, 220))
    drawing.arrow([(110, 136), (110, 270), (733, 270)], "cancel", (170, 262))
    drawing.arrow([(60, 126), (36, 126), (36, 102), (60, 102)], "leases", (26, 93))
    drawing.arrow([(796, 44), (796, 22), (123, 22), (123, 92)], RETRY, (392, 16), "again")
    return drawing.text()


def _check(allowed: Mapping[Type, Iterable[Type]], arrows: Arrows[Type]) -> None:
    """Raise ValueError unless the arrows are the changes that the code allows, no more and no less."""
    drawn = {pair for sources, target in arrows for pair in product(sources, [target])}
    known = {pair for source, targets in allowed.items() for pair in product([source], targets)}
    for source, target in sorted(drawn ^ known, key=str):
        word = "draws" if (source, target) in drawn else "lacks"
        raise ValueError(
            f"ami/jobs/states.py has changed: a drawing of states {word} the arrow from {source.name} to "
            f"{target.name}. Change config/docs/diagrams.py."
        )
