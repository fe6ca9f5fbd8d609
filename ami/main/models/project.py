"""Projects and who may do what in them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q, Value

from ami.base.deletion import AnnouncedModel, AnnouncedQuerySet
from ami.base.models import TimestampedModel
from ami.users.callers import Machine
from ami.users.models import User
from ami.users.roles import Role, permissions_of

FEATURE_FLAGS: dict[str, bool] = {
    "tags": False,
    "reprocess_existing_detections": False,
    "default_filters": False,
    "reprocess_all_images": False,
    "async_pipeline_workers": True,
}


class ProjectQuerySet(AnnouncedQuerySet["Project"]):
    """Which projects a person may see."""

    def visible_to(self, user: User | AnonymousUser) -> ProjectQuerySet:
        """Active projects that are public, or that the person owns or belongs to; all for superusers.

        Machines see those that their key is good for, and no others.
        """
        active = self.filter(active=True)
        if isinstance(user, Machine):
            return active.filter(pk__in=user.grants)
        if user.is_superuser:
            return active
        if not user.is_authenticated:
            return active.filter(draft=False)
        return active.filter(
            Q(draft=False)
            | Q(owner_id=user.pk)
            | Q(pk__in=ProjectMembership.objects.filter(user_id=user.pk).values("project_id"))
        )


class Project(AnnouncedModel, TimestampedModel):
    """A study: stations, captures, pipelines and jobs that belong together."""

    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    image = models.ImageField(upload_to="projects/", blank=True, null=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="projects"
    )
    members: models.ManyToManyField[User, ProjectMembership] = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="main.ProjectMembership", related_name="member_projects"
    )
    active = models.BooleanField(default=True)
    draft = models.BooleanField(default=False, help_text="Visible to its members only.")
    flags = models.JSONField(
        default=dict, blank=True, help_text="Feature flags that differ from the defaults."
    )
    session_time_gap_seconds = models.PositiveIntegerField(default=2 * 60 * 60)
    score_threshold = models.FloatField(default=0.5)
    default_processing_pipeline = models.ForeignKey(
        "ml.Pipeline", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects: ClassVar[models.Manager[Project]] = models.Manager.from_queryset(ProjectQuerySet)()

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def feature_flags(self) -> dict[str, bool]:
        """Every known flag with its value in this project."""
        return {key: bool(self.flags.get(key, default)) for key, default in FEATURE_FLAGS.items()}


class ProjectMembership(TimestampedModel):
    """A person's role in a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="project_memberships"
    )
    role = models.CharField(max_length=32, choices=Role.choices, default=Role.BASIC_MEMBER)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "user", "role"], name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}: {self.get_role_display()}"


def permissions_in(user: User | AnonymousUser, project: Project) -> frozenset[str]:
    """What the person may do in the project: the union of their roles; the owner is a manager.

    Superusers are not asked here: callers let them through.
    """
    if isinstance(user, Machine):
        return user.grants.get(project.pk, frozenset())
    if not user.is_authenticated:
        return frozenset()
    roles = set(
        ProjectMembership.objects.filter(project_id=project.pk, user_id=user.pk).values_list(
            "role", flat=True
        )
    )
    if project.owner_id == user.pk:
        roles.add(Role.PROJECT_MANAGER)
    return _union(roles)


def permissions_by_project(user: User | AnonymousUser) -> dict[int, frozenset[str]]:
    """The same for every project of the person, by project id, in one query: for lists over many projects."""
    if isinstance(user, Machine):
        return dict(user.grants)
    if not user.is_authenticated:
        return {}
    memberships = ProjectMembership.objects.filter(user_id=user.pk).values_list("project_id", "role")
    owned = Project.objects.filter(owner_id=user.pk).order_by()
    roles: dict[int, set[str]] = {}
    for project_id, role in memberships.union(
        owned.values_list("pk", Value(Role.PROJECT_MANAGER.value)), all=True
    ):
        roles.setdefault(project_id, set()).add(role)
    return {project_id: _union(held) for project_id, held in roles.items()}


def _union(roles: set[str]) -> frozenset[str]:
    return frozenset[str]().union(*(permissions_of(role) for role in roles))
