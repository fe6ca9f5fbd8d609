"""States of jobs and of their tasks, and which change may follow which. Pure: no database, no settings.

The strings are the wire's (docs/reference/lifecycle.md); who changes them is `ami.jobs.transitions`.
"""

from __future__ import annotations

from enum import IntEnum

from django.db.models import TextChoices


class JobState(TextChoices):
    """What a job is doing."""

    CREATED = "CREATED", "Created"
    PENDING = "PENDING", "Pending"
    STARTED = "STARTED", "Started"
    SUCCESS = "SUCCESS", "Success"
    FAILURE = "FAILURE", "Failure"
    RETRY = "RETRY", "Retrying"
    CANCELING = "CANCELING", "Canceling"
    REVOKED = "REVOKED", "Canceled"
    RECEIVED = "RECEIVED", "Received"
    UNKNOWN = "UNKNOWN", "Unknown"


FINAL = frozenset({JobState.SUCCESS, JobState.FAILURE, JobState.REVOKED})
"""Never left again, except by a retry, which raises the run number."""

RUNNING = frozenset({JobState.PENDING, JobState.STARTED, JobState.RETRY})
"""May dispatch, and finishes when nothing is open."""

SERVING = frozenset({JobState.STARTED, JobState.RETRY})
"""Hands out tasks to workers."""

CANCELABLE = frozenset({JobState.CREATED, JobState.CANCELING, JobState.UNKNOWN, JobState.RECEIVED}) | RUNNING

ALLOWED: dict[JobState, frozenset[JobState]] = {
    JobState.CREATED: frozenset({JobState.PENDING, JobState.REVOKED}),
    JobState.PENDING: frozenset({JobState.STARTED, JobState.SUCCESS, JobState.FAILURE, JobState.REVOKED}),
    JobState.STARTED: frozenset({JobState.SUCCESS, JobState.FAILURE, JobState.REVOKED}),
    JobState.RETRY: frozenset({JobState.STARTED, JobState.SUCCESS, JobState.FAILURE, JobState.REVOKED}),
    JobState.CANCELING: frozenset({JobState.REVOKED}),
    JobState.RECEIVED: frozenset({JobState.REVOKED}),
    JobState.UNKNOWN: frozenset({JobState.REVOKED}),
    JobState.SUCCESS: frozenset({JobState.PENDING}),
    JobState.FAILURE: frozenset({JobState.PENDING}),
    JobState.REVOKED: frozenset({JobState.PENDING}),
}
"""The only changes there are; those out of a final state belong to retry alone."""


def sources_of(target: JobState) -> frozenset[JobState]:
    """The states from which `target` may be entered without raising the run number."""
    return frozenset(state for state, targets in ALLOWED.items() if target in targets and state not in FINAL)


class DispatchMode(TextChoices):
    """Who works on the images of a job."""

    INTERNAL = "internal", "Inside the platform"
    SYNC_API = "sync_api", "Pushed to a processing service"
    ASYNC_API = "async_api", "Pulled by workers"


class TaskState(IntEnum):
    """What happened to one image of a job (a row of the ledger)."""

    PENDING = 0
    RECEIVED = 1
    PROCESSED = 2
    FAILED = 3
    CANCELLED = 4


OPEN = (TaskState.PENDING, TaskState.RECEIVED)

OUTCOMES = (TaskState.PROCESSED, TaskState.FAILED, TaskState.CANCELLED)
"""How the story of an image in a run may end."""

TASK_ALLOWED: dict[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset({TaskState.RECEIVED, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.RECEIVED: frozenset({TaskState.PROCESSED, TaskState.FAILED}),
    TaskState.PROCESSED: frozenset({TaskState.PENDING}),
    TaskState.FAILED: frozenset({TaskState.PENDING}),
    TaskState.CANCELLED: frozenset({TaskState.PENDING}),
}
"""The only changes of a ledger row; those out of an outcome belong to retry alone."""


class ErrorCode(TextChoices):
    """Why an image failed."""

    WORKER_ERROR = "worker_error", "The worker reported an error"
    UNREADABLE_IMAGE = "unreadable_image", "The image could not be read"
    NO_URL = "no_url", "The capture has no file"
    REJECTED_RESULT = "rejected_result", "The result was not acceptable"
    DELIVERY_EXHAUSTED = "delivery_exhausted", "No worker answered in time"
    SAVE_ERROR = "save_error", "The result could not be saved"
    SERVICE_ERROR = "service_error", "The processing service failed"
    SERVICE_TIMEOUT = "service_timeout", "The processing service did not answer"
    CAPTURE_DELETED = "capture_deleted", "The capture was deleted"
