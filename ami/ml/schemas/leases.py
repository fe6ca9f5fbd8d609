"""Leases in a worker's hand: extend them, give them back, or say that their images cannot be done."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ami.ml.schemas.base import MAX_TASKS, Name, Number, Text, Token, WireModel
from ami.ml.schemas.results import readable
from ami.ml.schemas.services import ProcessingServiceClientInfo


class LeasesRequest(WireModel):
    """Leases to extend, or to release."""

    leases: Annotated[list[Token], Field(max_length=MAX_TASKS)]
    client_info: ProcessingServiceClientInfo | None = None


class LeaseState(WireModel):
    """What is true of one lease now."""

    reply_subject: str
    status: Name
    """held, released, lost, cancelled or rejected."""
    cancelled: bool = False
    """The job has ended: stop working on its images."""
    reason: Text | None = None


class LeasesResponse(WireModel):
    """One state a lease, in the order of the request."""

    leases: list[LeaseState]
    lease_seconds: Number | None = None
    """How long the leases last from now on, where they were extended."""


class TaskFailure(WireModel):
    """A task that will get no result from this worker, and why."""

    reply_subject: Token
    error: Annotated[str, AfterValidator(readable)]
    retryable: bool | None = None
    """False when trying again can never help."""
    code: Name | None = None
    """worker_error or unreadable_image."""


class FailRequest(WireModel):
    """Tasks to fail."""

    failures: Annotated[list[TaskFailure], Field(max_length=MAX_TASKS)]
    client_info: ProcessingServiceClientInfo | None = None


class FailedTask(WireModel):
    """What became of one task that a worker failed."""

    reply_subject: str
    status: Name
    task_id: str = ""
    reason: Text | None = None


class FailResponse(WireModel):
    """What became of each failure, in order; status is retry, failed, duplicate, cancelled or rejected."""

    tasks: list[FailedTask]
