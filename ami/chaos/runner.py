"""Runs scenarios one after the other on one platform."""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Iterator, Sequence

from ami.chaos.client import NoAnswer
from ami.chaos.database import drop_connection
from ami.chaos.judging import count_work, judge
from ami.chaos.outcome import Outcome
from ami.chaos.platform import NotInTime, Platform
from ami.chaos.run import Run
from ami.chaos.sampler import Sampler
from ami.chaos.scenario import Scenario
from ami.chaos.world import World

Plan = Sequence[tuple[Scenario, tuple[str, ...]]]


def run_all(platform: Platform, plan: Plan, *, seeds: Sequence[int], images: int) -> Iterator[Outcome]:
    """The outcome of every scenario, variant and seed, as they come."""
    world = World.create(platform.pictures)
    platform.start_programs()
    numbers = itertools.count(1)
    for scenario, variants in plan:
        arranged = platform.proxied() if scenario.proxied else platform.changed(dict(scenario.settings))
        with arranged:
            for variant, seed in itertools.product(variants, seeds):
                outcome = Outcome(scenario.id, variant, seed)
                _run_one(platform, world, scenario, outcome, number=next(numbers), images=images)
                yield outcome


def _run_one(
    platform: Platform, world: World, scenario: Scenario, outcome: Outcome, *, number: int, images: int
) -> None:
    """Run it to its end, whatever happens, and leave the platform whole."""
    began = time.monotonic()
    drop_connection()
    try:
        with Sampler() as sampler:
            run = Run(
                platform,
                world,
                sampler,
                number=number,
                variant=outcome.variant,
                seed=outcome.seed,
                images=images,
            )
            try:
                scenario.body(run)
                platform.mend()
                judge(run, sampler, outcome)
                count_work(run, outcome)
            finally:
                platform.mend()
                outcome.violations += [
                    str(one) for one in sampler.violations if str(one) not in outcome.violations
                ]
                outcome.heal_seconds = run.heal_seconds
                outcome.notes = run.notes
                outcome.samples, outcome.missed = sampler.samples, sampler.missed
    except (NotInTime, NoAnswer) as error:
        outcome.error = str(error)
    except Exception as error:  # noqa: BLE001 - one scenario that breaks must not hide the others
        outcome.error = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    outcome.seconds = time.monotonic() - began
