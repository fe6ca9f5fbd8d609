"""One run of a scenario: what the scenario works with, and the clock of its fault."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ami.chaos.client import Caller, HandWorker
from ami.chaos.database import DatabaseAway, ask, value
from ami.chaos.oracle import ChaosJob
from ami.chaos.pipeline import SECONDS
from ami.chaos.platform import Platform, wait_until
from ami.chaos.sampler import Sampler
from ami.chaos.tidiness import left_behind
from ami.chaos.work import WorkLog
from ami.chaos.world import Night, World
from ami.jobs.dispatcher import Dispatcher, dispatcher
from ami.jobs.states import FINAL

WORK_SECONDS = 2.0
"""How long the workers of a run shall have to do, so that there is a middle to break something in."""
SLOWEST_SECONDS = 0.08
"""Per image, so that a job of few images does not take long."""
PATIENCE_SECONDS = 90.0
"""For anything to happen; longer for many images."""


class Run:
    """One scenario, one variant, one seed."""

    def __init__(
        self,
        platform: Platform,
        world: World,
        sampler: Sampler,
        *,
        number: int,
        variant: str,
        seed: int,
        images: int,
    ) -> None:
        """`number`: tells it from all other runs on this platform."""
        self.platform = platform
        self.world = world
        self.number = number
        self.variant = variant
        self.images = images
        self.chance = random.Random(f"{seed} {variant}")  # noqa: S311 - repeatable, and no secret
        self.patience = PATIENCE_SECONDS + images / 50
        self.operator = Caller(platform.url, world.token)
        self.jobs: list[ChaosJob] = []
        self.hands: list[HandWorker] = []
        self.notes: dict[str, float] = {}
        self.broken: list[str] = []
        self.work = WorkLog(platform.work_log)
        self._sampler = sampler
        self.fault_at = 0.0
        """When the fault ended, by `time.monotonic()`."""
        self._healed: float | None = None

    # Jobs

    def night(self, *, images: int | None = None, **settings: Any) -> Night:
        """A project with captures. `settings`: of the pipeline, such as which images are poison."""
        count = self.images if images is None else images
        pace = min(SLOWEST_SECONDS, 2 * WORK_SECONDS / count)
        return self.world.night(count, {SECONDS: pace, **settings})

    def start_job(self, night: Night | None = None) -> ChaosJob:
        """A job over a night, submitted over the API."""
        night = night or self.night()
        body = {
            "name": f"Chaos {self.number}",
            "project_id": night.project_id,
            "pipeline_id": night.pipeline_id,
            "source_image_collection_id": night.capture_set_id,
            "delay": 0,
            "shuffle": False,
        }
        made = self.operator.insist("POST", "/jobs/?start_now=true", json=body)
        job = ChaosJob(int(made["id"]), night)
        self.jobs.append(job)
        self._sampler.watch(job.id)
        return job

    @property
    def celery(self) -> Dispatcher:
        """Asks for background work, as the platform does."""
        return dispatcher()

    def tell(self, job: ChaosJob, verb: str) -> None:
        """Cancel or retry a job over the API."""
        self.operator.insist("POST", f"/jobs/{job.id}/{verb}/")

    # Workers

    @property
    def batch(self) -> int:
        """Images that a worker takes at once."""
        return max(4, self.images // 50)

    @property
    def worker_names(self) -> list[str]:
        """The names of this run's real workers."""
        return [f"worker-{self.number}-{letter}" for letter in "ab"]

    @contextmanager
    def workers(self, count: int = 2, token: str = "") -> Iterator[list[str]]:
        """Real pull workers, at work until the block ends; yields their names."""
        names = self.worker_names[:count]
        try:
            for name in names:
                self.platform.start_worker(name, token or self.world.token, batch_size=self.batch)
            for name in names:
                self.platform.wait_for_worker(name)
            yield names
        finally:
            for name in names:
                self.platform.programs.remove(name)

    def hand(self, name: str, token: str = "") -> HandWorker:
        """A worker that makes the calls which the scenario says."""
        worker = HandWorker(self.platform.url, token or self.world.token, f"{name}-{self.number}")
        self.hands.append(worker)
        return worker

    # Waiting

    def until(self, condition: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """Wait until something is the case; while Postgres is away it is not. Raises NotInTime."""

        def holds() -> bool:
            try:
                return condition()
            except DatabaseAway:
                return False

        wait_until(holds, what, self.patience if seconds is None else seconds)

    def settled(self, job: ChaosJob) -> int:
        """Images of a job that have an outcome."""
        return int(value("SELECT count(*) FROM jobs_jobtask WHERE job_id = %s AND status > 1", [job.id]))

    def reach(self, job: ChaosJob, share: float) -> None:
        """Wait until this share of the images has an outcome."""
        wanted = share * len(job.night.image_ids)
        self.until(lambda: self.settled(job) >= wanted, f"{share:.0%} of job {job.id} are done")

    def somewhere(self, job: ChaosJob, first: float = 0.1, last: float = 0.5) -> None:
        """Wait until chance says that it is time, somewhere in the middle of the job."""
        self.reach(job, self.chance.uniform(first, last))

    def ended(self, job: ChaosJob) -> bool:
        """Whether a job is final."""
        return ask("SELECT status FROM jobs_job WHERE id = %s", [job.id])[0][0] in FINAL

    def finish(self, *jobs: ChaosJob, seconds: float | None = None) -> None:
        """Wait until these jobs have ended, all if none is named; that is when the platform has healed."""
        for job in jobs or tuple(self.jobs):
            self.until(lambda job=job: self.ended(job), f"job {job.id} ends", seconds)  # type: ignore[misc]
        self.healed()

    def clean(self, job: ChaosJob) -> bool:
        """Whether a job left nothing behind in NATS and Redis."""
        return not left_behind([job.id])

    # What is measured and promised

    def fault_over(self) -> None:
        """The fault ends now: from here on the platform heals."""
        self.fault_at = time.monotonic()
        self._healed = None

    def healed(self) -> None:
        """The platform has healed; only the first time since the end of the fault counts."""
        if self._healed is None:
            self._healed = time.monotonic()

    @property
    def heal_seconds(self) -> float | None:
        """How long it took; None without a fault, or while it has not healed."""
        if not self.fault_at or self._healed is None:
            return None
        return self._healed - self.fault_at

    def must(self, holds: bool, text: str) -> None:
        """A promise of this scenario alone: `text` says what is broken if it does not hold."""
        if not holds:
            self.broken.append(text)
