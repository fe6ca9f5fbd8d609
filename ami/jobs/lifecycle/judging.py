"""What the ledger says about an image that may be handed out, and why it fails if it may never be again.

One table for both ways, pulled and pushed (docs/reference/lifecycle.md, "reserve").
"""

from __future__ import annotations

from enum import Enum, auto

from ami.jobs.ledger import Failure, LockedTask
from ami.jobs.lifecycle.last_chance import is_last_chance
from ami.jobs.states import ErrorCode, TaskState


class Verdict(Enum):
    """What the ledger says about a delivered message."""

    HAND_OUT = auto()
    LAST_CHANCE = auto()
    EXHAUSTED = auto()
    NO_FILE = auto()
    CAPTURE_GONE = auto()
    WAIT = auto()
    BEING_SAVED = auto()
    SETTLED = auto()


def judge(task: LockedTask | None, message_run: int, url: str | None, max_attempts: int) -> Verdict:
    """What to do with a message. `url`: the capture's, "" without a file, None if the capture is gone."""
    if task is None or task.run != message_run or task.is_final:
        return Verdict.SETTLED
    if task.status == TaskState.RECEIVED:
        return Verdict.BEING_SAVED
    if task.lease_left > 0 or task.wait_left > 0:
        return Verdict.WAIT
    if url is None:
        return Verdict.CAPTURE_GONE
    if not url:
        return Verdict.NO_FILE
    if task.used_attempts >= max_attempts:
        return Verdict.EXHAUSTED
    return Verdict.LAST_CHANCE if is_last_chance(task, max_attempts) else Verdict.HAND_OUT


_CODES = {
    Verdict.EXHAUSTED: ErrorCode.DELIVERY_EXHAUSTED,
    Verdict.NO_FILE: ErrorCode.NO_URL,
    Verdict.CAPTURE_GONE: ErrorCode.CAPTURE_DELETED,
}
FATAL = frozenset(_CODES)
"""The verdicts that end an image."""


def failure_of(verdict: Verdict, task: LockedTask) -> Failure:
    """Why an image with a fatal verdict fails."""
    sentences = {
        Verdict.EXHAUSTED: f"All {task.used_attempts} attempts were used without an accepted result; "
        f"the last worker was {task.worker or 'unknown'}.",
        Verdict.NO_FILE: "The capture has no file: upload it again or remove the capture.",
        Verdict.CAPTURE_GONE: "The capture was deleted while the job was running.",
    }
    return Failure(task, _CODES[verdict], sentences[verdict])


def silent_attempt(task: LockedTask, seconds: float) -> Failure:
    """The attempt whose lease of so many seconds ran out without a word."""
    return Failure(
        task,
        ErrorCode.DELIVERY_EXHAUSTED,
        f"No answer within {seconds:g} s from {task.worker or 'the worker'}.",
    )
