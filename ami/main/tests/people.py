"""The people of a project, from nobody to superuser, with a client each."""

from __future__ import annotations

from dataclasses import dataclass, field

from rest_framework.test import APIClient

from ami.main.models import Project
from ami.main.tests.factories import add_member, make_project
from ami.users.models import User
from ami.users.roles import Role
from ami.users.tests.factories import client_of, make_user


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


def make_people() -> People:
    """A world of people."""
    users: dict[str, User | None] = {
        "anonymous": None,
        "outsider": make_user(name="Outsider"),
        "member": make_user(name="Member"),
        "data_manager": make_user(name="Data manager"),
        "manager": make_user(name="Manager"),
        "superuser": make_user(name="Root", is_superuser=True, is_staff=True),
    }
    people = People(make_project(name="Open"), make_project(name="Draft", draft=True), users)
    for project in (people.project, people.draft):
        add_member(project, people.user("member"), Role.BASIC_MEMBER)
        add_member(project, people.user("data_manager"), Role.ML_DATA_MANAGER)
        add_member(project, people.user("manager"), Role.PROJECT_MANAGER)
    return people
