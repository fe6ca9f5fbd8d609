"""What the person behind a request may see. Whatever is hidden does not exist: 404, for everybody alike."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest

from ami.jobs.api.logs import MAY_READ
from ami.main.api.access import Access, access_of
from ami.main.models import Project

ModelT = TypeVar("ModelT", bound=Model)


def projects_of(request: HttpRequest) -> QuerySet[Project]:
    """The projects that the person may see; without a log-in, those that are public."""
    return Project.objects.all().visible_to(request.user)


def access(request: HttpRequest) -> Access:
    """What the person may do, looked up once a request."""
    return access_of(request)  # type: ignore[arg-type]  # it wants nothing of it but the person


def is_insider(request: HttpRequest, project_id: int) -> bool:
    """Whether the person may read what names hosts, workers and people: logs, and the texts of errors."""
    return access(request).may(MAY_READ, project_id)


def may_start(request: HttpRequest, project: Project) -> bool:
    """Whether the person may start jobs over the captures of a project."""
    return all(access(request).may(name, project.pk) for name in ("create_job", "run_ml_job"))


def find(request: HttpRequest, rows: QuerySet[ModelT], pk: int) -> ModelT:
    """A row of something that belongs to a project. Raises Http404 if it, or its project, is hidden."""
    found = rows.filter(pk=pk, project__in=projects_of(request)).first()
    if found is None:
        raise Http404
    return found


def find_project(request: HttpRequest, pk: int) -> Project:
    """A project. Raises Http404 if it is hidden."""
    found = projects_of(request).filter(pk=pk).first()
    if found is None:
        raise Http404
    return found
