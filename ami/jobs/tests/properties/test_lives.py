"""Random lives of jobs over the real code and the real Postgres: see the package for what is judged, and how.

A failure prints the life as a program, and a line for AMI_PROPERTY_REPLAY that repeats just this life.

- AMI_PROPERTY_EXAMPLES, AMI_PROPERTY_STEPS: how many lives, and how long; for long hunts.
- AMI_PROPERTY_SEED: other lives than the usual ones, which are the same in every run of the same code.
- AMI_PROPERTY_SHRINK=0: show the first failure as it is, instead of looking for the shortest life that fails.
- `--real`: NATS and Valkey instead of their twins.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test
from pytest_django.fixtures import Settings

import ami
from ami.jobs import dispatcher as dispatching
from ami.jobs.tests.properties import stops
from ami.jobs.tests.properties.celery import PatientDispatcher
from ami.jobs.tests.properties.life import Kit
from ami.jobs.tests.properties.machine import Lives
from ami.jobs.tests.properties.twins import RealServers, Servers, Twins
from ami.jobs.tests.world import World

pytestmark = [pytest.mark.integration, pytest.mark.property]

LEASE_SECONDS = 300.0
EXAMPLES = int(os.environ.get("AMI_PROPERTY_EXAMPLES", "25"))
STEPS = int(os.environ.get("AMI_PROPERTY_STEPS", "30"))
SEED = os.environ.get("AMI_PROPERTY_SEED")
REPLAY = os.environ.get("AMI_PROPERTY_REPLAY")
SHRINK = os.environ.get("AMI_PROPERTY_SHRINK", "1") == "1"
SECONDS_PER_STEP = 0.5
SECONDS_TO_SHRINK = 600


@pytest.fixture
def small_numbers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that five captures reach, and times that do not pass by themselves."""
    settings.NATS_TASK_TTR = LEASE_SECONDS
    settings.NATS_MAX_DELIVER = 2
    settings.RETRY_BACKOFF_SECONDS = 30.0
    settings.PROGRESS_INTERVAL_SECONDS = 60.0
    settings.CLAIM_SECONDS = 60.0
    settings.INBOX_MAX_TRIES = 3
    settings.INBOX_ROW_MAX_BYTES = 1_200
    settings.DISPATCH_WINDOW = 3
    settings.COLLECT_CHUNK = 2
    settings.WORKER_MAX_LEASES = settings.HOLDER_MAX_LEASES = 5
    settings.PUBLISH_CHUNK = 2
    settings.ZOMBIE_STREAMS_MAX_AGE_MINUTES = 5
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # thousands of expected complaints


@pytest.fixture
def servers(pytestconfig: pytest.Config, small_numbers: None, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """The twins, or with `--real` NATS and Valkey of the session."""
    chosen: Servers = RealServers() if pytestconfig.getoption("--real") else Twins(LEASE_SECONDS)
    chosen.put_in_place(monkeypatch)
    return chosen


@pytest.fixture
def kit(transactional_db: None, servers: Servers) -> Iterator[Kit]:
    """A project, and background work that is done when a rule says so."""
    celery = PatientDispatcher()
    before = dispatching.install(celery)
    yield Kit(World(celery), servers, celery)
    servers.reset()
    if before is not None:
        dispatching.install(before)


def lives_settings() -> hypothesis.settings:
    """The same lives in every run, unless another seed is asked for."""
    return hypothesis.settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=SEED is None,
        deadline=None,
        database=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.timeout(SECONDS_TO_SHRINK + int(EXAMPLES * STEPS * SECONDS_PER_STEP))
def test_whatever_happens_every_life_is_sound_and_ends_exactly(kit: Kit) -> None:
    class Replayable(Lives):
        pass

    Replayable.kit = kit

    if SEED is not None:
        hypothesis.seed(int(SEED))(Replayable)
    if REPLAY is not None:
        hypothesis.reproduce_failure(hypothesis.__version__, REPLAY.encode())(Replayable)
    run_state_machine_as_test(Replayable, settings=lives_settings())


def test_lives_are_interrupted_at_every_failpoint_there_is() -> None:
    source = [path.read_text() for path in Path(ami.__path__[0]).rglob("*.py") if "tests" not in path.parts]
    hits = re.findall(r"\bhit\(([^)]*)\)", "\n".join(source))
    elsewhere = ("push.", "work.", "export.", "notify.")  # with crash tests of their own
    points = {point for hit in hits for point in re.findall(r'"([a-z_]+\.[a-z_]+)"', hit)}
    assert points - {"save.after_commit"} >= stops.ALL - {"save.after_commit"}
    assert {point for point in points - stops.ALL if not point.startswith(elsewhere)} == set()
