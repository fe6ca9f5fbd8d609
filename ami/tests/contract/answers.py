"""What existing workers require of our answers, and nothing more: what these refuse, they cannot read.

Strict, because their own models are: a number where they expect a string loses them the whole answer.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Keys that are not named here are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class ListedProject(Answer):
    """A project in `GET /projects/`."""

    id: int
    name: str = ""


class ProjectsPage(Answer):
    """The first page; the others are never asked for."""

    results: list[ListedProject]


class Registered(Answer):
    """Answer to a registration."""

    pipelines_created: list[str] = []
    pipelines_updated: list[str] = []
    processing_service_id: int | None = None


class ListedJob(Answer):
    """A job in a poll; one without a slug would lose the whole page."""

    id: int
    pipeline_slug: str


class JobsPage(Answer):
    """Answer to a poll."""

    results: list[ListedJob]


class Task(Answer):
    """One image to process."""

    id: str
    image_id: str
    image_url: str
    reply_subject: str | None = None


class Tasks(Answer):
    """Answer to a call for tasks; no tasks mean that the job is drained."""

    tasks: list[Task]


class Receipt(Answer):
    """What became of one result."""

    reply_subject: str
    status: str
    task_id: str


class Posted(Answer):
    """Answer to a post of results."""

    status: str
    job_id: int
    results_queued: int
    tasks: list[Receipt] = []
