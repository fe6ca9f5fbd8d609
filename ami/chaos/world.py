"""What jobs need: an account, a pipeline, projects with captures. Written straight into the database.

Importing this sets Django up, so the servers must have addresses by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import django

django.setup()

# The models exist only once Django is set up.
from django.core.management import call_command  # noqa: E402
from django_celery_beat.models import IntervalSchedule  # noqa: E402
from knox.models import AuthToken  # noqa: E402

from ami.chaos.pipeline import SLUG, ChaosBoxes  # noqa: E402
from ami.chaos.platform import HEALTH_SECONDS  # noqa: E402
from ami.jobs.schedule import sync_schedule  # noqa: E402
from ami.main.models import Deployment, Project, SourceImage, SourceImageCollection  # noqa: E402
from ami.ml.models import (  # noqa: E402
    Algorithm,
    AlgorithmCategoryMap,
    Pipeline,
    ProcessingService,
    ProjectPipelineConfig,
)
from ami.users.models import User  # noqa: E402

ADMIN_EMAIL = "chaos@example.org"


@dataclass(frozen=True, slots=True)
class Night:
    """A project with captures, all of them in one set. `image_ids` in the order of their numbers."""

    project_id: int
    capture_set_id: int
    pipeline_id: int
    image_ids: tuple[int, ...]
    pictures: str


@dataclass(frozen=True, slots=True)
class World:
    """The account of everybody who has none of their own, and the pipeline of all jobs."""

    user: User
    token: str
    pipeline: Pipeline
    pictures: str
    """Address of the folder where captures are downloaded."""

    @classmethod
    def create(cls, pictures: str) -> Self:
        """Fill an empty database. Health checks run every second, as an operator could set it."""
        call_command("migrate", verbosity=0)
        sync_schedule()
        IntervalSchedule.objects.update(every=HEALTH_SECONDS, period=IntervalSchedule.SECONDS)
        user = User.objects.create_superuser(ADMIN_EMAIL, "not a secret: its database lives for minutes")
        world = cls(user, AuthToken.objects.create(user)[1], _pipeline(), pictures)
        world.night(1, {})  # a worker who finds no project at all would not stay
        return world

    def night(self, images: int, settings: Mapping[str, Any]) -> Night:
        """A new project with so many captures. `settings`: of the pipeline in this project."""
        project = Project.objects.create(name="Chaos", owner=self.user)
        ProjectPipelineConfig.objects.create(project=project, pipeline=self.pipeline, config=dict(settings))
        station = Deployment.objects.create(project=project, name="Station")
        captures = SourceImage.objects.bulk_create(
            SourceImage(
                project=project,
                deployment=station,
                path=f"{project.pk}/{number}.jpg",
                public_base_url=self.pictures,
            )
            for number in range(images)
        )
        capture_set = SourceImageCollection.objects.create(project=project, name="Night", method="manual")
        through = SourceImageCollection.images.through
        through.objects.bulk_create(
            through(sourceimagecollection_id=capture_set.pk, sourceimage_id=capture.pk)
            for capture in captures
        )
        ids = tuple(sorted(capture.pk for capture in captures))
        return Night(project.pk, capture_set.pk, self.pipeline.pk, ids, self.pictures)

    def configure(self, night: Night, settings: Mapping[str, Any]) -> None:
        """Add to the settings of the pipeline in a project, before its first job."""
        row = ProjectPipelineConfig.objects.get(project_id=night.project_id, pipeline=self.pipeline)
        row.config = {**row.config, **settings}
        row.save()

    def dismiss(self, service_id: int) -> None:
        """A service works for no project any more."""
        ProcessingService.objects.get(pk=service_id).projects.clear()

    def retire(self, service_id: int) -> None:
        """A push service has no address any more, so that nobody asks it."""
        ProcessingService.objects.filter(pk=service_id).update(endpoint_url=None)

    def another_token(self) -> str:
        """One more token of the account."""
        return str(AuthToken.objects.create(self.user)[1])


def _pipeline() -> Pipeline:
    pipeline = Pipeline.objects.create(name=ChaosBoxes.name, slug=SLUG)
    for announced in ChaosBoxes.algorithms:
        labels = announced.category_map.labels if announced.category_map else None
        pipeline.algorithms.add(
            Algorithm.objects.create(
                name=announced.name,
                key=announced.key,
                task_type=announced.task_type or "",
                category_map=AlgorithmCategoryMap.objects.create(labels=labels, data=[]) if labels else None,
            )
        )
    return pipeline
