"""Fixtures of the tests of the pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client

from ami.dashboard.live import memory
from ami.jobs.tests.conftest import background as background
from ami.jobs.tests.conftest import light_world as light_world
from ami.jobs.tests.world import World
from ami.main.models import ProjectMembership
from ami.main.tests.conftest import media as media
from ami.main.tests.conftest import people as people
from ami.main.tests.people import People

Visit = Callable[[str], Client]


@pytest.fixture
def visit(people: People) -> Visit:
    """The browser of `anonymous`, `outsider`, `member`, … : with a session, if they have an account."""

    def browser(who: str = "anonymous") -> Client:
        client = Client()
        if user := people.users[who]:
            client.force_login(user)
        return client

    return browser


@pytest.fixture(autouse=True)
def no_attempts() -> None:
    """Forget the log-ins that other tests counted, and what they looked at."""
    cache.clear()
    memory.forget()


@pytest.fixture
def lab(people: People, light_world: World) -> World:
    """A world of jobs whose project is that of the people."""
    roles = ProjectMembership.objects.filter(project=people.project).values_list("user", "role")
    ProjectMembership.objects.bulk_create(
        ProjectMembership(project=light_world.project, user_id=user, role=role) for user, role in roles
    )
    people.project = light_world.project
    return light_world
