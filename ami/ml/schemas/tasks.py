"""Tasks as a worker reserves them, and the receipt for its results."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ami.ml.schemas.base import MAX_TASKS, Id, JsonObject, Name, Number, Text, Token, Url, WireModel


class PipelineProcessingTask(WireModel):
    """One image handed to one worker; id and image_id are the same."""

    id: Id
    image_id: Id
    image_url: Url
    reply_subject: Token | None = None
    """The lease token, to be sent back unchanged with the result."""
    config: JsonObject | None = None
    """Our addition: settings of the pipeline for this project."""
    lease_seconds: Number | None = None
    """Our addition: how long the image stays with this worker."""
    attempt: int | None = None
    """Our addition: how often the image has been handed out in this run of its job, this time included."""


class TasksResponse(WireModel):
    """Answer to a reservation; an empty list means that there is nothing to do right now."""

    tasks: Annotated[list[PipelineProcessingTask], Field(max_length=MAX_TASKS)]


class QueuedTaskAcknowledgment(WireModel):
    """What became of one item of a result post."""

    reply_subject: str
    status: Name
    """queued, duplicate, rejected, cancelled, retry or failed."""
    task_id: str
    reason: Text | None = None
    """Our addition: a sentence where the status needs one."""


class ResultResponse(WireModel):
    """Receipt for a result post; `tasks` is in the order of the items posted."""

    status: Name
    job_id: int
    results_queued: int
    tasks: list[QueuedTaskAcknowledgment] = []
