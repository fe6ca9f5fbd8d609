"""The people of a project, from nobody to superuser, with a client each."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from rest_framework.test import APIClient

from ami.main.models import Project, ProjectMembership
from ami.main.tests.factories import make_project
from ami.users.models import User
from ami.users.roles import Role
from ami.users.tests.factories import client_of

_numbers = count(1)


@dataclass
class People:
    """One project, one draft project with the same members, and who may do what in them."""

    project: Project
    draft: Project
    users: dict[str, User | None]
    clients: dict[str, APIClient] = field(default_factory=dict)

    def client(self, who: str) -> APIClient:
        """The client of `anonymous`, `outsider`, `member`, `data_manager`, `manager` or `superuser`."""
        if who not in self.clients:
            self.clients[who] = client_of(self.users[who])
        return self.clients[who]

    def user(self, who: str) -> User:
        """The account of one of them."""
        user = self.users[who]
        if user is None:
            raise KeyError(who)
        return user


ROLES = {"member": Role.BASIC_MEMBER, "data_manager": Role.ML_DATA_MANAGER, "manager": Role.PROJECT_MANAGER}


def make_people() -> People:
    """A world of people, in few statements: most tests want one."""
    number = next(_numbers)
    names = ["outsider", *ROLES, "superuser"]
    made = User.objects.bulk_create(
        User(email=f"{name}{number}@example.org", name=name.replace("_", " ").capitalize()) for name in names
    )
    users: dict[str, User | None] = {"anonymous": None, **dict(zip(names, made, strict=True))}
    made[-1].is_superuser = made[-1].is_staff = True
    made[-1].save()
    people = People(make_project(name="Open"), make_project(name="Draft", draft=True), users)
    ProjectMembership.objects.bulk_create(
        ProjectMembership(project=project, user=people.user(who), role=role)
        for project in (people.project, people.draft)
        for who, role in ROLES.items()
    )
    return people
