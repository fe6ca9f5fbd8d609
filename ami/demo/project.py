"""What the demo puts into its database: accounts, a project, captures. All of it safe to repeat.

Needs Django to be set up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.core.management import call_command
from knox.models import AuthToken

from ami.demo.credentials import Accounts, Credentials
from ami.demo.errors import DemoError
from ami.jobs.schedule import sync_schedule
from ami.main.importing import ImportReport, import_folder
from ami.main.models import Deployment, Project, ProjectMembership, SourceImage, SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod
from ami.main.projects import create_project
from ami.users.models import User
from ami.users.roles import Role

PROJECT_NAME = "Demo"
MADE_UP_PLACE = {"latitude": 9.16, "longitude": -79.84}
"""Exports want to know where a station stands."""

LONGEST_NAME = 255


@dataclass(frozen=True)
class DemoProject:
    """A project that is ready for jobs."""

    id: int
    worker_token: str


@dataclass(frozen=True)
class DemoCaptures:
    """The captures of one folder, as a set that jobs can be started on."""

    capture_set_id: int
    count: int
    imported: ImportReport


def set_up_database() -> None:
    """Create or update the tables and the schedule of the background work."""
    call_command("migrate", verbosity=0, interactive=False)
    sync_schedule()


def set_up_project(credentials: Credentials, accounts: Accounts) -> DemoProject:
    """The project with an administrator, an operator who manages it, and a worker who may do nothing else.

    Nothing is touched that belongs to other accounts.
    """
    _account(accounts.admin, credentials.admin_password, name="Demo admin", is_staff=True, is_superuser=True)
    operator = _account(accounts.operator, credentials.operator_password, name="Demo operator")
    worker = _account(accounts.worker, None, name="Demo worker")
    project = Project.objects.filter(owner=operator).order_by("pk").first()
    if project is None:
        project = create_project(
            name=PROJECT_NAME,
            owner=operator,
            description="Made by the demo; do with it what you like.",
            # Each start of the demo runs its job over the same captures again.
            flags={"reprocess_all_images": True},
        )
    ProjectMembership.objects.get_or_create(project=project, user=worker, role=Role.WORKER)
    # A token is shown once and only its hash is kept, so every start needs a new one.
    AuthToken.objects.filter(user=worker).delete()
    _, token = AuthToken.objects.create(user=worker)
    return DemoProject(id=project.pk, worker_token=token)


def set_up_captures(project: DemoProject, folder: Path, *, station: str, limit: int) -> DemoCaptures:
    """The images below `folder` as captures of a station of that name, and a capture set of exactly them.

    Damaged files become captures too: what the system does with them is worth seeing.
    """
    deployment, _ = Deployment.objects.get_or_create(
        project_id=project.id, name=station[-LONGEST_NAME:], defaults=MADE_UP_PLACE
    )
    report = import_folder(deployment=deployment, folder=folder, limit=limit, allow_unreadable=True)
    captures = SourceImage.objects.filter(deployment=deployment).order_by("path")
    chosen = list(captures.values_list("pk", flat=True)[:limit])
    if not chosen:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in report.broken[:3])
        raise DemoError(f"None of the images in {folder} could be imported. {reasons}")
    capture_set, _ = SourceImageCollection.objects.get_or_create(
        project_id=project.id, name=deployment.name, defaults={"method": CaptureSetMethod.MANUAL}
    )
    capture_set.images.set(chosen)
    return DemoCaptures(capture_set.pk, len(chosen), report)


def _account(email: str, password: str | None, **fields: object) -> User:
    user = User.objects.filter(email=email).first()
    return user or User.objects.create_user(email, password, **fields)
