"""What a caller may serve: the projects in which it works, and the pipelines in them."""

from __future__ import annotations

from collections.abc import Sequence

from ami.jobs.lifecycle.turns import Reach
from ami.main.api.access import Access
from ami.main.models import Project
from ami.ml.models import Pipeline
from ami.users.callers import Machine

TASKS_PERMISSION = "tasks_ml_job"


def workplaces(access: Access) -> list[int]:
    """The projects in which the caller may take tasks; none for those who are no workers."""
    if access.user.is_superuser:
        return list(Project.objects.filter(active=True).order_by("pk").values_list("pk", flat=True))
    return sorted(project for project in access.projects() if access.may(TASKS_PERMISSION, project))


def reach_of(access: Access, slugs: Sequence[str] | None) -> Reach:
    """What the caller may serve, narrowed to the pipelines that it named.

    A machine that names none gets jobs of the pipelines that its service registered: it cannot run others.
    """
    projects = workplaces(access)
    user = access.user
    if slugs is not None:
        named = Pipeline.objects.filter(slug__in=slugs).values_list("pk", flat=True)
        return Reach(projects, [key for key in named if not isinstance(user, Machine) or user.may_serve(key)])
    if not isinstance(user, Machine):
        return Reach(projects)
    own = Pipeline.objects.filter(processing_services=user.service_id).values_list("pk", flat=True)
    return Reach(projects, [key for key in own if user.may_serve(key)])
