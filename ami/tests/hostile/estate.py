"""A project with one of everything in it, and somebody who is mighty in another project."""

from __future__ import annotations

from typing import Any

from ami.jobs.lifecycle.create import create_job
from ami.jobs.tests.world import OnDemandDispatcher
from ami.main.models import Device
from ami.main.tests.factories import (
    add_member,
    make_capture,
    make_capture_set,
    make_deployment,
    make_project,
)
from ami.ml.tests.factories import make_pipeline, make_service
from ami.tests.hostile.cases import Call
from ami.tests.hostile.state import State, state
from ami.tests.tenants import Tenants
from ami.users.roles import Role
from ami.users.tests.factories import client_of, make_user

API = "/api/v2/"


class Estate:
    """What belongs to `owner`, and the manager of `home`, who wants it."""

    def __init__(self, background: OnDemandDispatcher, *, draft: bool = False) -> None:
        """`draft`: whether the owner's project is hidden."""
        self.background = background
        self.owner = Tenants(draft=draft)
        self.ids = self.owner.ids
        self.home = make_project(name="Home")
        user = make_user("intruder@example.org", name="Intruder")
        for role in (Role.PROJECT_MANAGER, Role.WORKER):
            add_member(self.home, user, role)
        self.intruder = client_of(user)
        self.deployment = make_deployment(self.home)
        self.device = Device.objects.create(project=self.home, name="Trap")
        self.capture = make_capture(self.deployment)
        self.capture_set = make_capture_set(self.home, self.capture)
        self.pipeline = make_pipeline(self.home)
        self.service = make_service(self.home, self.pipeline)
        self.job = create_job(name="Own", project=self.home, pipeline=self.pipeline)

    def call(self, method: str, path: str, body: Any = None) -> Call:
        """A request of the intruder; `{capture}` in the path is the owner's, `{home}` the own project."""
        return Call(
            self.intruder, API + path.format(**self.ids, home=self.home.pk), body or {}, method=method
        )

    def state(self) -> State:
        """The whole database, after all background work."""
        self.background.run()
        return state()
