"""Work over all jobs that a worker may serve: the next job, and tasks with their lease, job and pipeline."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ami.ml.schemas.base import MAX_PIPELINES, MAX_TASKS, Name, Number, Text, Token, WireModel
from ami.ml.schemas.services import ProcessingServiceClientInfo
from ami.ml.schemas.tasks import PipelineProcessingTask

Slugs = Annotated[list[Name], Field(max_length=MAX_PIPELINES)]


class ReserveRequest(WireModel):
    """A wish for tasks of whatever job has some."""

    batch_size: Annotated[int, Field(ge=1)]
    wait: Annotated[Number, Field(ge=0)] = 0.0
    """Seconds to wait for tasks if there are none now; the server waits for 30 at most."""
    pipelines: Slugs | None = None
    """Slugs that the worker can run; without them, all that its key may serve."""
    client_info: ProcessingServiceClientInfo | None = None


class ReservedTask(PipelineProcessingTask):
    """One image under a lease, with what it takes to work on it without knowing its job."""

    reply_subject: Token
    job_id: int
    pipeline_slug: Name


class ReserveResponse(WireModel):
    """Tasks of one or several jobs, grouped by job; an empty list means that there is nothing right now."""

    tasks: Annotated[list[ReservedTask], Field(max_length=MAX_TASKS)]
    lease_seconds: Number | None = None
    """How long the tasks stay with this worker, unless it extends their leases."""
    retry_after: Number | None = None
    """Seconds to wait before asking again; without it a worker may ask again at once."""
    reason: Text | None = None
    """Why the list is empty, if there is more to say than that nothing is to be done."""


class NextJobRequest(WireModel):
    """A wish for a job, for workers that take tasks job by job."""

    pipelines: Slugs | None = None
    client_info: ProcessingServiceClientInfo | None = None


class NextJob(WireModel):
    """A job that has something to hand out."""

    id: int
    pipeline_slug: Name
    name: Text = ""


class NextJobResponse(WireModel):
    """The job whose turn it is, or none."""

    job: NextJob | None = None
    batch_size: int | None = None
    """How many tasks to ask for at once."""
    lease_seconds: Number | None = None
