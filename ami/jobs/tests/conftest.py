"""A small world for tests of jobs: captures, a pipeline, and background work that runs on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ami.jobs import dispatcher as dispatching
from ami.jobs.models import Job
from ami.jobs.tests.world import OnDemandDispatcher, World


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
def started(world: World) -> Callable[..., Job]:
    """Makes a job over `images` captures and runs its dispatch."""

    def make(images: int = 4, **fields: object) -> Job:
        return world.started_job(images, **fields)

    return make
