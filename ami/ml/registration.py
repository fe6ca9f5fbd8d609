"""Registration: a worker announces its pipelines to a project.

Safe to run twice and side by side: a project's registrations queue up behind its row, everything else is
inserted with ON CONFLICT DO NOTHING in one global order (category maps, algorithms, pipelines), so that two
projects that register the same models cannot deadlock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import transaction
from django.db.models import F, Q

from ami.base import clock
from ami.base.database import execute, rows
from ami.base.errors import InvalidInput
from ami.main.models import Project
from ami.ml.category_maps import labels_of, store_category_maps
from ami.ml.models import Algorithm, Pipeline, ProcessingService, ProjectPipelineConfig
from ami.ml.schemas import AlgorithmConfigResponse, PipelineConfigResponse
from ami.users.callers import Machine
from ami.users.models import User

logger = structlog.get_logger(__name__)

_AlgorithmId = tuple[str, int]
_SLUG = re.compile(r"[\w.-]+")

_INSERT_ALGORITHM = """
INSERT INTO ml_algorithm
    (key, version, name, version_name, description, uri, task_type, category_map_id, created_at, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp())
ON CONFLICT (key, version) DO NOTHING RETURNING id
"""
_INSERT_PIPELINE = """
INSERT INTO ml_pipeline
    (slug, name, description, version, version_name, default_config, created_at, updated_at)
VALUES (%s, %s, %s, %s, '', '{}', clock_timestamp(), clock_timestamp())
ON CONFLICT (slug) DO NOTHING
"""
_ENABLE_PIPELINE = """
INSERT INTO ml_projectpipelineconfig (project_id, pipeline_id, enabled, config, created_at, updated_at)
VALUES (%s, %s, true, '{}', clock_timestamp(), clock_timestamp())
ON CONFLICT (project_id, pipeline_id) DO NOTHING RETURNING id
"""
_LINK_ALGORITHMS = """
INSERT INTO ml_pipeline_algorithms (pipeline_id, algorithm_id)
SELECT %s, algorithm FROM unnest(%s::bigint[]) AS algorithm
ON CONFLICT DO NOTHING
"""


class PipelineNotConfigured(InvalidInput):
    """A pipeline cannot be used as it was announced."""

    code = "pipeline_not_configured"


class KeyTooNarrow(InvalidInput):
    """This key is not good for one of these pipelines."""

    code = "key_too_narrow"
    http_status = 403


@dataclass
class Registration:
    """What a registration changed."""

    service: ProcessingService
    pipelines_created: list[str] = field(default_factory=list)
    """Slugs that are new to the project."""
    pipelines_updated: list[str] = field(default_factory=list)
    """Slugs whose name, version or description changed."""
    algorithms_created: list[str] = field(default_factory=list)
    """Keys that came with a new version, or were not known at all."""


@transaction.atomic
def register_by_name(
    *,
    project: Project,
    service_name: str,
    pipelines: Sequence[PipelineConfigResponse],
    account: User | None = None,
) -> Registration:
    """Make the pipelines usable in the project, served by the account's pull service of that name there.

    Raises PipelineNotConfigured for what could not be used, and then nothing is changed.
    """
    service = pull_service(project=project, name=service_name, account=account)
    return register_pipelines(project=project, service=service, pipelines=pipelines)


@transaction.atomic
def pull_service(*, project: Project, name: str, account: User | None = None) -> ProcessingService:
    """The account's own pull service of that name in the project, found or made, and marked as seen.

    One that nobody has registered yet becomes the account's. Another project's service of the same name, one
    of another account, one whose workers have keys, and one that is pushed to are other services.
    """
    _queue_up(project)
    free = Q(registered_by__isnull=True, keys__isnull=True)
    mine = Q(registered_by=account) if account else free
    named = ProcessingService.objects.pulling().filter(mine | free, projects=project, name=name)
    service = named.order_by(F("registered_by").asc(nulls_last=True), "pk").first()
    seen = {"last_seen": clock.now(), "last_seen_live": True, "registered_by": account}
    if service is None:
        service = ProcessingService.objects.create(name=name, **seen)
        service.projects.add(project)
    else:
        for field_name, value in seen.items():
            setattr(service, field_name, value)
        service.save(update_fields=list(seen))
    return service


def register_for_machine(
    *, project: Project, machine: Machine, pipelines: Sequence[PipelineConfigResponse]
) -> Registration:
    """Make the pipelines usable in the project, run by the service whose key the caller has.

    Raises KeyTooNarrow for a pipeline that the key is not good for, and PipelineNotConfigured.
    """
    if machine.pipeline_ids is not None:
        allowed = set(Pipeline.objects.filter(pk__in=machine.pipeline_ids).values_list("slug", flat=True))
        if strangers := sorted({config.slug for config in pipelines} - allowed):
            raise KeyTooNarrow(f"This key is not good for the pipeline {strangers[0]!r}.")
    service = ProcessingService.objects.get(pk=machine.service_id)
    return register_pipelines(project=project, service=service, pipelines=pipelines)


@transaction.atomic
def register_pipelines(
    *, project: Project, service: ProcessingService, pipelines: Sequence[PipelineConfigResponse]
) -> Registration:
    """Make the pipelines usable in the project, run by this service, which is one of the project's.

    Raises PipelineNotConfigured for what could not be used, and then nothing is changed.
    """
    _check_names(pipelines)
    _queue_up(project)
    done = Registration(service)
    algorithms, done.algorithms_created = _store_algorithms(pipelines, project)
    for config in sorted({config.slug: config for config in pipelines}.values(), key=lambda c: c.slug):
        pipeline = _store_pipeline(config)
        if rows(_ENABLE_PIPELINE, [project.pk, pipeline.pk]):
            done.pipelines_created.append(config.slug)
        if _update_pipeline(pipeline, config, project):
            done.pipelines_updated.append(config.slug)
        linked = {algorithms[_id_of(algorithm)].pk for algorithm in config.algorithms}
        execute(_LINK_ALGORITHMS, [pipeline.pk, sorted(linked)])
        done.service.pipelines.add(pipeline)
    logger.info(
        "pipelines.registered",
        project_id=project.pk,
        service_id=done.service.pk,
        pipelines=len(pipelines),
        pipelines_created=len(done.pipelines_created),
        algorithms_created=len(done.algorithms_created),
    )
    return done


def _queue_up(project: Project) -> None:
    """One registration of a project after the other, until the end of the transaction."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _check_names(pipelines: Sequence[PipelineConfigResponse]) -> None:
    """Slugs travel in comma-separated lists, and algorithms are told apart by their keys."""
    for pipeline in pipelines:
        if not _SLUG.fullmatch(pipeline.slug):
            raise PipelineNotConfigured(
                f"The slug {pipeline.slug!r} cannot be used; take letters, digits, '-', '_' and '.'."
            )
        if any(not algorithm.key.strip() for algorithm in pipeline.algorithms):
            raise PipelineNotConfigured(f"An algorithm of the pipeline {pipeline.slug!r} has no key.")


def _store_algorithms(
    pipelines: Sequence[PipelineConfigResponse], project: Project
) -> tuple[dict[_AlgorithmId, Algorithm], list[str]]:
    """Every announced algorithm by key and version, and the keys of those that were new."""
    announced: dict[_AlgorithmId, AlgorithmConfigResponse] = {}
    for pipeline in pipelines:
        for config in pipeline.algorithms:
            announced.setdefault(_id_of(config), config)
    known = _find(announced)
    maps = _store_maps([announced[key] for key in announced if not _is_complete(known.get(key))])
    created = []
    for key in sorted(announced):
        if key not in known and rows(_INSERT_ALGORITHM, _columns(announced[key], maps.get(key))):
            created.append(announced[key].key)
    stored = _find(announced)
    for key in sorted(stored):
        _update_algorithm(stored[key], announced[key], maps.get(key), project)
    return stored, created


def _find(wanted: dict[_AlgorithmId, AlgorithmConfigResponse]) -> dict[_AlgorithmId, Algorithm]:
    candidates = Algorithm.objects.filter(key__in={key for key, _ in wanted})
    found = {(algorithm.key, algorithm.version): algorithm for algorithm in candidates}
    return {key: found[key] for key in wanted if key in found}


def _is_complete(algorithm: Algorithm | None) -> bool:
    return algorithm is not None and algorithm.category_map_id is not None


def _store_maps(configs: Sequence[AlgorithmConfigResponse]) -> dict[_AlgorithmId, int]:
    """The category map of each algorithm that has none stored; raises if a classifier announces none."""
    wanted = {}
    for config in configs:
        if config.category_map is not None and labels_of(config.category_map):
            wanted[_id_of(config)] = config.category_map
        elif config.task_type in Algorithm.CLASSIFICATION_TYPES:
            raise PipelineNotConfigured(
                f"The classifier {config.key!r} was announced without categories; send its category_map."
            )
    return store_category_maps(wanted)


def _update_algorithm(
    algorithm: Algorithm, config: AlgorithmConfigResponse, map_id: int | None, project: Project
) -> None:
    """Take over what changed in an algorithm that was known already; a stored category map stays.

    What other projects use keeps its type and place: a registration changes nothing of theirs.
    """
    changes: dict[str, str | int] = {}
    if config.task_type and config.task_type != algorithm.task_type:
        changes["task_type"] = config.task_type
    if config.uri and config.uri != algorithm.uri:
        changes["uri"] = config.uri
    if changes and _others_use(algorithm, project):
        logger.warning("algorithm.kept", key=algorithm.key, version=algorithm.version, **changes)
        changes = {}
    elif changes:
        logger.warning("algorithm.changed", key=algorithm.key, version=algorithm.version, **changes)
    if algorithm.category_map_id is None and map_id is not None:
        changes["category_map_id"] = map_id
    if changes:
        for name, value in changes.items():
            setattr(algorithm, name, value)
        algorithm.save(update_fields=[*changes, "updated_at"])


def _others_use(algorithm: Algorithm, project: Project) -> bool:
    uses = ProjectPipelineConfig.objects.filter(pipeline__algorithms=algorithm)
    return uses.exclude(project=project).exists()


def _columns(config: AlgorithmConfigResponse, map_id: int | None) -> list[str | int | None]:
    return [
        config.key,
        config.version,
        config.name,
        config.version_name or "",
        config.description or "",
        config.uri or "",
        config.task_type or "unknown",
        map_id,
    ]


def _store_pipeline(config: PipelineConfigResponse) -> Pipeline:
    execute(_INSERT_PIPELINE, [config.slug, config.name, config.description or "", config.version])
    return Pipeline.objects.get(slug=config.slug)


def _update_pipeline(pipeline: Pipeline, config: PipelineConfigResponse, project: Project) -> bool:
    """Take over a new name, version or description, unless other projects use the pipeline as it is."""
    announced = {"name": config.name, "version": config.version, "description": config.description or ""}
    changes = {name: value for name, value in announced.items() if getattr(pipeline, name) != value}
    if not changes or pipeline.project_pipeline_configs.exclude(project=project).exists():
        return False
    for name, value in changes.items():
        setattr(pipeline, name, value)
    pipeline.save(update_fields=[*changes, "updated_at"])
    return True


def _id_of(config: AlgorithmConfigResponse) -> _AlgorithmId:
    return config.key, config.version
