"""Making a project with what every project needs. No network, so nothing outside can make it fail."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from ami.main.models import Deployment, Device, Project, ProjectMembership, Site, SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod
from ami.users.models import User
from ami.users.roles import Role


@transaction.atomic
def create_project(*, name: str, owner: User | None, **fields: Any) -> Project:
    """A project with a device, a site, a station at that site, and a capture set of all images.

    The owner becomes its manager. `fields`: other fields of the project.
    """
    project = Project.objects.create(name=name, owner=owner, **fields)
    if owner is not None:
        ProjectMembership.objects.create(project=project, user=owner, role=Role.PROJECT_MANAGER)
    Deployment.objects.create(
        project=project,
        name="Default Station",
        device=Device.objects.create(project=project, name="Default Device"),
        research_site=Site.objects.create(project=project, name="Default Site"),
    )
    SourceImageCollection.objects.create(
        project=project, name="All Images", method=CaptureSetMethod.FULL, description="Every capture."
    )
    return project
