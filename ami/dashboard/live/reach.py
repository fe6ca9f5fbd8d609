"""What somebody who looks at a moving page may see, looked up again every few seconds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser

from ami.dashboard.live.memory import remembered
from ami.jobs.api.logs import MAY_READ
from ami.main.api.access import Access
from ami.main.models import Project
from ami.users.models import User

BELIEVED_SECONDS = 10.0
"""So long an open page may go on after its person lost a right."""


@dataclass(frozen=True)
class Reach:
    """Ids of projects in order: those that are visible, and of these the ones whose inside is, too."""

    visible: tuple[int, ...]
    inner: tuple[int, ...]

    @property
    def key(self) -> str:
        """The same for all who may see the same."""
        return hashlib.blake2b(f"{self.visible} {self.inner}".encode(), digest_size=16).hexdigest()


def person(user_id: int) -> User | AnonymousUser:
    """The account, if it is open still; else somebody who is not logged in."""
    return User.objects.filter(pk=user_id, is_active=True).first() or AnonymousUser()


def reach_of(user: User | AnonymousUser) -> Reach:
    """What the person may see; two statements at most."""
    visible = Project.objects.all().visible_to(user).order_by("pk").values_list("pk", flat=True)
    held = Access(user)
    projects = tuple(visible)
    inner = tuple(project for project in projects if user.is_authenticated and held.may(MAY_READ, project))
    return Reach(projects, inner)


def believed_reach(user_id: int) -> Reach:
    """The same by the number of the account, as of a moment ago."""
    return remembered(f"reach:{user_id}", lambda: reach_of(person(user_id)), seconds=BELIEVED_SECONDS)
