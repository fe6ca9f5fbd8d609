"""A small world for tests of jobs: captures, a pipeline, and background work that runs on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from pytest_django.fixtures import Settings

from ami.embedded.nats import Nats
from ami.jobs import dispatcher as dispatching
from ami.jobs.models import Job
from ami.jobs.tests.world import OnDemandDispatcher, World
from ami.taskqueue import Action, TaskQueueManager, event_loop


@pytest.fixture
def background() -> Iterator[OnDemandDispatcher]:
    """Background work of this test: asked for, and run when the test says so."""
    mine = OnDemandDispatcher()
    before = dispatching.install(mine)
    yield mine
    if before is not None:
        dispatching.install(before)


@pytest.fixture
def world(transactional_db: None, background: OnDemandDispatcher) -> Iterator[World]:
    """A project, a pipeline and real servers; streams and keys are removed afterwards."""
    made = World(background)
    yield made
    made.close()


@pytest.fixture
def light_world(db: None, background: OnDemandDispatcher) -> Iterator[World]:
    """The same inside one transaction that is rolled back: faster, for tests of one thread and no crash."""
    made = World(background)
    yield made
    made.close()


@pytest.fixture
def started(world: World) -> Callable[..., Job]:
    """Makes a job over `images` captures and runs its dispatch."""

    def make(images: int = 4, **fields: object) -> Job:
        return world.started_job(images, **fields)

    return make


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Action]:
    """What the queue is told about deliveries, noted on the way to the real server."""
    actions: list[Action] = []
    settle = TaskQueueManager.settle

    def note_and_settle(
        queue: TaskQueueManager, new: Sequence[Action], deadline: float | None = None
    ) -> None:
        actions.extend(new)
        settle(queue, new, deadline)

    monkeypatch.setattr(TaskQueueManager, "settle", note_and_settle)
    return actions


@pytest.fixture
def lonely_nats(own_nats: Callable[[], Nats], settings: Settings) -> Iterator[Nats]:
    """A NATS for this test alone, to be killed or frozen; name it after the world, which outlives it."""
    server = own_nats()
    settings.NATS_URL = server.url
    yield server
    event_loop.shutdown()
