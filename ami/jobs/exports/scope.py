"""Which captures an export is about, and whose predictions: a project, a capture set or a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ami.base.database import rows
from ami.base.errors import InvalidInput
from ami.jobs.models import DataExport, Job
from ami.main.models import Project, SourceImageCollection

KNOWN_FILTERS = ("collection_id", "job_id")


@dataclass(frozen=True, slots=True)
class Scope:
    """Captures as SQL with the one column `id`, and the algorithms that count; None: all of them."""

    sql: str
    parameters: dict[str, Any]
    algorithms: list[int] | None = None
    title: str = ""

    def extent(self) -> tuple[int, int]:
        """How many captures there are now, and the id of the last one (0 if there is none)."""
        found = rows(f"SELECT count(*), COALESCE(max(id), 0) FROM ({self.sql}) AS s", self.parameters)  # noqa: S608
        return int(found[0][0]), int(found[0][1])


def check_filters(filters: Any) -> dict[str, int]:
    """The filters of an export, if they make sense. Raises InvalidInput."""
    if not isinstance(filters, dict):
        raise InvalidInput("'filters' is an object with 'collection_id' or 'job_id', or empty.")
    if strangers := sorted(set(filters) - set(KNOWN_FILTERS)):
        raise InvalidInput(f"There is no filter {strangers[0]!r}; use 'collection_id' or 'job_id'.")
    named = {key: value for key, value in filters.items() if value is not None}
    if len(named) > 1:
        raise InvalidInput("Choose a capture set or a job, not both.")
    for key, value in named.items():
        if type(value) is not int or not 0 < value < 2**63:
            raise InvalidInput(f"{key!r} is the number of a capture set or job.")
    return named


def scope_of(export: DataExport) -> Scope:
    """What an export is about. Raises InvalidInput if that was deleted, or is another project's."""
    return make_scope(export.project, check_filters(export.filters))


def make_scope(project: Project, filters: dict[str, int]) -> Scope:
    """The same for filters that passed `check_filters`.

    What another project has and what nobody has are told apart by nothing.
    """
    if "job_id" in filters:
        job = Job.objects.filter(project=project, pk=filters["job_id"]).first()
        if job is None:
            raise InvalidInput(f"The project has no job {filters['job_id']}.")
        return _of_job(job)
    if "collection_id" in filters:
        capture_set = SourceImageCollection.objects.filter(
            project=project, pk=filters["collection_id"]
        ).first()
        if capture_set is None:
            raise InvalidInput(f"The project has no capture set {filters['collection_id']}.")
        return _of_set(capture_set)
    return _of_project(project.pk, f"project {project.name}")


def _of_project(project_id: int, title: str) -> Scope:
    sql = "SELECT c.id FROM main_sourceimage c WHERE c.project_id = %(project)s"
    return Scope(sql, {"project": project_id}, title=title)


def _of_set(capture_set: SourceImageCollection) -> Scope:
    title = f"capture set {capture_set.name}"
    if capture_set.holds_whole_project:
        return _of_project(capture_set.project_id, title)
    sql = """SELECT m.sourceimage_id AS id FROM main_sourceimagecollection_images m
        WHERE m.sourceimagecollection_id = %(capture_set)s"""
    return Scope(sql, {"capture_set": capture_set.pk}, title=title)


def _of_job(job: Job) -> Scope:
    """The captures in its ledger, and what the algorithms of its pipeline found on them, in whichever job."""
    if job.pipeline is None:
        raise InvalidInput(
            f"The job {job.pk} has no pipeline (any more); export its capture set or the project instead."
        )
    sql = """SELECT t.image_id AS id FROM jobs_jobtask t WHERE t.job_id = %(job)s
        AND EXISTS (SELECT 1 FROM main_sourceimage c WHERE c.id = t.image_id OFFSET 0)"""
    algorithms = sorted(job.pipeline.algorithms.values_list("pk", flat=True))
    return Scope(sql, {"job": job.pk}, algorithms, f"job {job.pk} {job.name}")
