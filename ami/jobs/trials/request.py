"""What a trial runs: project, captures and pipeline, as a person names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ami.base.errors import AmiError, InvalidInput
from ami.jobs.lifecycle.create import check_belongs, dispatch_mode_for
from ami.jobs.lifecycle.enqueue import check_runnable
from ami.jobs.models import Job
from ami.jobs.states import DispatchMode
from ami.main.capture_sets import in_set
from ami.main.models import Project, SourceImage, SourceImageCollection
from ami.ml.models import Pipeline

MOST_NAMES = 10


class BadRequest(AmiError):
    """This trial cannot be run."""

    code = "bad_request"


@dataclass(frozen=True, slots=True)
class Request:
    """One trial. `captures`: how many there are in the set now."""

    project: Project
    capture_set: SourceImageCollection
    pipeline: Pipeline
    captures: int


def read_request(project_id: int, capture_set: str, pipeline: str, mode: DispatchMode) -> Request:
    """Look everything up. `capture_set`: its name or id; `pipeline`: its slug.

    Raises BadRequest with a sentence about the first thing that is wrong.
    """
    _check_mode(mode)
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise BadRequest(f"There is no project {project_id}.")
    found_set = _capture_set(project, capture_set)
    found_pipeline = _pipeline(project, pipeline, found_set)
    given = dispatch_mode_for(project, found_pipeline)
    if given != mode:
        raise BadRequest(
            f"Jobs of the project {project_id} are {given}, not {mode}: that is what its feature flag "
            "async_pipeline_workers says."
        )
    captures = SourceImage.objects.filter(in_set(found_set)).count()
    if not captures:
        raise BadRequest(f"The capture set {found_set.pk} has no captures.")
    return Request(project, found_set, found_pipeline, captures)


def _check_mode(mode: DispatchMode) -> None:
    runnable = [known for known in DispatchMode if _can_run(known)]
    if mode not in runnable:
        raise BadRequest(
            f"This installation cannot run jobs of the mode {mode}; it runs {', '.join(runnable)}."
        )


def _can_run(mode: DispatchMode) -> bool:
    """Whether the lifecycle would take a job of this mode, all else being well."""
    try:
        check_runnable(Job(pipeline_id=1, source_image_collection_id=1, dispatch_mode=mode))
    except InvalidInput:
        return False
    return True


def _capture_set(project: Project, text: str) -> SourceImageCollection:
    """By id if there is one of this number in the project, else by name."""
    sets = SourceImageCollection.objects.filter(project=project)
    by_id = sets.filter(pk=int(text)).first() if text.isascii() and text.isdigit() else None
    if by_id is not None:
        return by_id
    named = list(sets.filter(name=text).order_by("pk"))
    if len(named) > 1:
        numbers = ", ".join(str(found.pk) for found in named)
        raise BadRequest(f"Several capture sets are called {text!r}; give the id of one: {numbers}.")
    if not named:
        known = [f"{found.pk} {found.name!r}" for found in sets.order_by("pk")[:MOST_NAMES]]
        raise BadRequest(f"The project {project.pk} has no capture set {text!r}; {_there_are(known)}.")
    return named[0]


def _pipeline(project: Project, slug: str, capture_set: SourceImageCollection) -> Pipeline:
    pipeline = Pipeline.objects.filter(slug=slug).first()
    if pipeline is None:
        enabled = Pipeline.objects.filter(
            project_pipeline_configs__project=project, project_pipeline_configs__enabled=True
        )
        known = list(enabled.order_by("slug").values_list("slug", flat=True)[:MOST_NAMES])
        raise BadRequest(f"There is no pipeline {slug!r}; {_there_are(known)}.")
    try:
        check_belongs(
            project,
            pipeline=pipeline,
            source_image_collection=capture_set,
            source_image_single=None,
            deployment=None,
        )
    except InvalidInput as error:
        raise BadRequest(error.message) from error
    return pipeline


def _there_are(known: Sequence[str]) -> str:
    return f"there are: {', '.join(known)}" if known else "it has none"
