"""Internal jobs: steps that commit where they stand, crashes, failures that say why, cancel and retry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from ami.base.errors import InvalidInput, TemporarilyUnavailable
from ami.jobs.health.dispatch import check_dispatch
from ami.jobs.health.stalled import check_stalled
from ami.jobs.lifecycle import kinds
from ami.jobs.lifecycle.cancel import cancel_job
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.dispatch import dispatch_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.jobs.lifecycle.internal import MAX_TRIES
from ami.jobs.lifecycle.retry import retry_job
from ami.jobs.lifecycle.work import Work
from ami.jobs.models import Job
from ami.jobs.progress import Figure, Stage
from ami.jobs.tests.faults import carried_on, killed_at, lose_claims
from ami.jobs.tests.world import World
from ami.main.models import Deployment

pytestmark = pytest.mark.integration

STEPS = 3


class Counting:
    """Makes a station a step; what it counts is in the same transaction."""

    key = "post_processing"
    stages: Sequence[Stage] = (Stage("count", "Count", figures=(Figure("made", "Made"),)),)

    def __init__(self) -> None:
        """Nothing happens between steps unless a test says so."""
        self.before_step: Callable[[Work], object] = lambda _: None

    def check(self, job: Job) -> None:
        """The name says whether it can run."""
        if job.name == "impossible":
            raise InvalidInput("This cannot be done.")

    def step(self, work: Work) -> bool:
        """One station."""
        self.before_step(work)
        with work.commit():
            made = work.figure("count", "made") + 1
            Deployment.objects.create(project=work.job.project, name=f"made {made}")
            work.cursor = {"made": made}
            work.report("count", made / STEPS, made=made)
        return made < STEPS


@pytest.fixture
def kind() -> Iterator[Counting]:
    """The kind, known while the test runs."""
    counting = Counting()
    kinds.register(counting)
    yield counting
    kinds._known.pop(counting.key)


def submitted(world: World) -> Job:
    """A job of the kind, on its way."""
    job = create_job(name="Count", project=world.project, job_type_key="post_processing")
    run_job(job)
    return job


def made(world: World) -> list[str]:
    """What the job made, in order."""
    stations = Deployment.objects.filter(project=world.project, name__startswith="made").order_by("pk")
    return list(stations.values_list("name", flat=True))


def test_it_runs_to_its_end_and_shows_how_far_it_is(light_world: World, kind: Counting) -> None:
    job = submitted(light_world)
    seen = []
    kind.before_step = lambda work: seen.append(job.stages.get().progress)
    carried_on(job)
    assert job.status == "SUCCESS"
    assert job.finished_at is not None
    assert made(light_world) == ["made 1", "made 2", "made 3"]
    assert seen == [0, pytest.approx(1 / 3), pytest.approx(2 / 3)]
    stage = job.stages.get()
    assert (stage.status, stage.progress, stage.params[0]["value"]) == ("SUCCESS", 1.0, 3)


@pytest.mark.parametrize(("point", "first"), [("work.before_commit", 0), ("work.after_commit", 1)])
def test_a_slice_that_dies_goes_on_where_it_was(world: World, kind: Counting, point: str, first: int) -> None:
    job = submitted(world)
    killed_at(point, lambda: dispatch_job(job.pk))
    assert len(made(world)) == first
    assert carried_on(job).status == "SUCCESS"
    assert len(made(world)) == STEPS


def test_what_passes_is_tried_again_and_not_before_its_pause_is_over(
    light_world: World, kind: Counting
) -> None:
    job = submitted(light_world)

    def unavailable(work: Work) -> None:
        raise TemporarilyUnavailable("The bucket does not answer.")

    kind.before_step = unavailable
    assert carried_on(job).status == "STARTED"
    kind.before_step = lambda _: None
    dispatch_job(job.pk)
    assert made(light_world) == [], "it rests"
    assert carried_on(job).status == "SUCCESS"
    assert any("The bucket does not answer." in line.message for line in job.log_entries.all())


def test_what_does_not_pass_fails_the_job_and_says_why(light_world: World, kind: Counting) -> None:
    job = submitted(light_world)

    def impossible(work: Work) -> None:
        raise InvalidInput("The folder does not exist.")

    kind.before_step = impossible
    assert carried_on(job).status == "FAILURE"
    assert job.diagnostics == ["The folder does not exist."]
    assert job.stages.get().status == "FAILURE"


@pytest.mark.parametrize("killed", [True, False])
def test_a_job_does_not_fail_in_the_same_way_for_ever(world: World, kind: Counting, killed: bool) -> None:
    job = submitted(world)

    def broken(work: Work) -> None:
        raise ZeroDivisionError("by design")

    for _ in range(MAX_TRIES):
        if killed:
            killed_at("work.before_commit", lambda: dispatch_job(job.pk))
            lose_claims()
        else:
            kind.before_step = broken
            carried_on(job)
    if killed:
        carried_on(job)
    job.refresh_from_db()
    assert job.status == "FAILURE"
    assert "ZeroDivisionError: by design" in job.diagnostics or killed
    assert job.diagnostics


def test_a_cancelled_job_stops_before_its_next_commit(light_world: World, kind: Counting) -> None:
    job = submitted(light_world)
    kind.before_step = lambda work: cancel_job(job.pk) if made(light_world) else None
    assert carried_on(job).status == "REVOKED"
    assert len(made(light_world)) == 1


def test_a_retry_begins_from_nothing(light_world: World, kind: Counting) -> None:
    job = carried_on(submitted(light_world))
    assert retry_job(job)
    job.refresh_from_db()
    assert (job.status, job.work, job.stages.get().progress) == ("PENDING", {}, 0)
    assert carried_on(job).status == "SUCCESS"
    assert len(made(light_world)) == 2 * STEPS


def test_a_slice_that_got_lost_is_asked_for_by_the_health_check(light_world: World, kind: Counting) -> None:
    job = submitted(light_world)
    light_world.background.asked.clear()
    check_stalled()
    assert check_dispatch().fixed == 1
    assert light_world.background.asked == [("dispatch", job.pk)]
    kind.before_step = lambda work: check_dispatch()
    dispatch_job(job.pk)
    assert light_world.background.asked == [("dispatch", job.pk)], "somebody was at it"


def test_a_job_that_cannot_run_is_refused_at_once(light_world: World, kind: Counting) -> None:
    job = create_job(name="impossible", project=light_world.project, job_type_key="post_processing")
    with pytest.raises(InvalidInput, match="This cannot be done"):
        run_job(job)
    unknown = create_job(name="x", project=light_world.project, job_type_key="unknown")
    with pytest.raises(InvalidInput, match="jobs of the type 'unknown'"):
        run_job(unknown)
