"""The list of jobs as a worker asks for it (`ids_only`)."""

from __future__ import annotations

from ami.ml.schemas.base import Name, WireModel


class ListedJob(WireModel):
    """A job that may have tasks."""

    id: int
    pipeline_slug: Name | None = None


class JobsResponse(WireModel):
    """One page of jobs; the rest of the envelope does not matter to a worker."""

    results: list[ListedJob]
