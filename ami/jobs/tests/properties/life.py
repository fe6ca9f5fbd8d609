"""One life: a few captures, one or two jobs over them, three workers, and an oracle that watches it all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar, cast

from hypothesis.stateful import Bundle, RuleBasedStateMachine

from ami.base.database import execute
from ami.jobs.invariants import Watch, check
from ami.jobs.lifecycle import catalogue, quotas
from ami.jobs.lifecycle.holders import Worker
from ami.jobs.lifecycle.openings import forget_drained
from ami.jobs.lifecycle.reserve import ReservedTask
from ami.jobs.models import Job
from ami.jobs.tests.properties.celery import PatientDispatcher
from ami.jobs.tests.properties.changes import Change, Kind
from ami.jobs.tests.properties.oracle import Allowed, Oracle
from ami.jobs.tests.properties.stops import ENDS_OF_WORK, How, Stop, stopped
from ami.jobs.tests.properties.twins import Servers, Trouble
from ami.jobs.tests.properties.view import View
from ami.jobs.tests.world import World
from ami.main.models import SourceImage, SourceImageCollection
from ami.taskqueue import PendingStateUnavailable, QueueUnavailable

T = TypeVar("T")

ALICE = Worker("user:1", "alice's gpu", 1)
ANN = Worker("user:1", "alice's laptop", 2)
BOB = Worker("user:2", "bob's gpu", 3)
WORKERS = (ALICE, ANN, BOB)
"""The first two hold leases together."""

TASKS: Bundle[ReservedTask] = Bundle("tasks")
"""Everything that was ever handed out to somebody who heard of it."""

A_LONG_TIME = 1_000.0
"""Seconds after which every lease, claim, pause and message id is over, whatever its length."""

_EMPTY = """TRUNCATE jobs_job, jobs_jobtask, jobs_attempt, jobs_inboxentry, jobs_joblog, jobs_jobstage,
    jobs_jobcontribution, jobs_healthreport, ml_detection, ml_classification, main_sourceimage,
    main_sourceimagecollection, main_sourceimagecollection_images RESTART IDENTITY CASCADE"""

_TIME_PASSES = (
    """UPDATE jobs_jobtask SET leased_until = leased_until - make_interval(secs => %(s)s),
    not_before = not_before - make_interval(secs => %(s)s),
    finished_at = finished_at - make_interval(secs => %(s)s)""",
    """UPDATE jobs_inboxentry SET created_at = created_at - make_interval(secs => %(s)s),
    asked_at = asked_at - make_interval(secs => %(s)s),
    claimed_until = claimed_until - make_interval(secs => %(s)s)""",
    """UPDATE jobs_job SET driver_until = driver_until - make_interval(secs => %(s)s),
    refresh_due_at = refresh_due_at - make_interval(secs => %(s)s),
    projected_at = projected_at - make_interval(secs => %(s)s),
    finished_at = finished_at - make_interval(secs => %(s)s),
    last_served_at = last_served_at - make_interval(secs => %(s)s)""",
)


@dataclass
class Kit:
    """What all lives of a test share: the project, and the servers in place."""

    world: World
    servers: Servers
    celery: PatientDispatcher

    def begin(self) -> None:
        """Forget the life before. Ids begin anew, so that the same life has the same ids."""
        self.servers.reset()
        execute(_EMPTY)
        catalogue.forget()
        forget_drained()
        quotas.forget_outage()
        self.world.jobs.clear()
        self.celery.forget()
        self.celery.down = False


@dataclass
class Step(Generic[T]):
    """What one piece of work did. `answer` is None when it was interrupted or refused."""

    allowed: Allowed
    answer: T | None = None
    whole: bool = False
    """It came to its end, and nobody else did anything meanwhile."""
    disturbed: bool = False
    changes: list[Change] = field(default_factory=list)

    def changed(self, kind: Kind) -> list[Change]:
        """Its changes of one kind."""
        return [change for change in self.changes if change.kind is kind]


class Life(RuleBasedStateMachine):
    """What rules need; `begin` is the first step of every life."""

    kit: ClassVar[Kit]

    def __init__(self) -> None:
        """An empty database, and nothing in trouble."""
        super().__init__()
        self.kit.begin()
        self.world, self.servers, self.celery = self.kit.world, self.kit.servers, self.kit.celery
        self.captures: list[SourceImage] = []
        self.capture_set = cast(SourceImageCollection, None)  # made by the first step
        self.without_file: Collection[int] = ()
        self.jobs: list[int] = []
        self.held: list[ReservedTask] = []
        self.saves: list[int] = []
        """Inbox rows that somebody was ever asked to save."""
        self.oracle = Oracle()
        self.watch = Watch()
        self.trouble_lasts = 0
        self.just = self.now = ""
        """What the last rule and this one did, of what makes little sense twice in a row."""
        self._open: list[Step[object]] = []
        self._touched = False

    def do(self, work: Callable[[], T], allowed: Allowed, stop: Stop | None = None) -> Step[T]:
        """Do something, perhaps interrupted, and have the oracle judge all that it changed."""
        self._interrupt()
        self._touched = True
        step: Step[T] = Step(allowed)
        opened = cast(Step[object], step)
        self._open.append(opened)
        ended = False
        try:
            with stopped(stop, self.servers, self.happen):
                step.answer = work()
            ended = True
        except ENDS_OF_WORK:
            pass
        except (QueueUnavailable, PendingStateUnavailable):
            assert self.in_trouble, "nothing was wrong with the servers"
        finally:
            self._open.pop()
        self._look_for(opened)
        step.whole = ended and not step.disturbed
        return step

    def tamper(self, work: Callable[[], object]) -> None:
        """Have the test itself change something that no code under test does."""
        self._interrupt()
        work()
        self.oracle.look_away()

    @property
    def view(self) -> View:
        """The database as it is now: before something is done, its effects are foretold from this."""
        self._interrupt()
        return self.oracle.view

    def _interrupt(self) -> None:
        """What is at work so far is judged now; what comes next is not its doing."""
        for outer in self._open:
            outer.disturbed = True
        if self._open:
            self._look_for(self._open[-1])

    def recover(self) -> None:
        """All servers and the broker are well again."""
        self.servers.nats = self.servers.redis = Trouble.NONE
        self.celery.down = False
        self.trouble_lasts = 0

    @property
    def in_trouble(self) -> bool:
        """Whether a server does not answer."""
        return self.servers.nats != Trouble.NONE or self.servers.redis != Trouble.NONE

    def _look_for(self, step: Step[object]) -> None:
        changes, _ = self.oracle.look(step.allowed)
        step.changes += changes
        self.jobs = [job_id for job_id in self.jobs if job_id in self.oracle.view.jobs]

    def work_off(self) -> None:
        """Celery does all that it was asked for."""
        raise NotImplementedError

    def happen(self, how: How) -> None:
        """Something happens while something else is at work."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Time goes by, for the database, the servers and what this process remembers."""

        def pass_it() -> None:
            for statement in _TIME_PASSES:
                execute(statement, {"s": seconds})
            self.servers.pass_time(seconds)
            self.celery.pass_time(seconds)
            quotas.forget_outage()
            forget_drained()

        self.tamper(pass_it)

    def job(self, number: int) -> Job:
        """One of the jobs there are."""
        return Job.objects.get(pk=self.jobs[number % len(self.jobs)])

    def look_around(self) -> None:
        """What must hold at every moment, if anything was done since it was asked last."""
        if not self._touched:
            return
        self._touched = False
        nothing_in(check())
        nothing_in(self.watch.look())
        nothing_in(self.oracle.missing_messages(self.servers.standing))


def nothing_in(found: Iterable[object]) -> None:
    """Fail with all that was found, if anything was."""
    told = [str(item) for item in found]
    assert not told, "; ".join(told)
