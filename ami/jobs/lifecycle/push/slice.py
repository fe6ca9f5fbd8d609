"""A slice of pushing: several requests at once, until the time is over or nothing is left to begin.

The requests run in threads that only wait for the service; everything that touches the ledger happens here,
one after the other. A cancelled job is noticed before each request.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog
from django.conf import settings

from ami.base.failpoints import hit
from ami.jobs import diagnostics, logs
from ami.jobs.lifecycle import claims
from ami.jobs.lifecycle.claims import Claim
from ami.jobs.lifecycle.push.answers import failed_items, read_answer
from ami.jobs.lifecycle.push.batches import Batch, Batches, give_back, next_opening
from ami.jobs.lifecycle.push.call import Failed, Trouble, process
from ami.jobs.lifecycle.push.known_boxes import known_boxes
from ami.jobs.lifecycle.push.online import OnlineService, Services
from ami.jobs.lifecycle.receive import take_in
from ami.jobs.models import Job
from ami.jobs.waiting import lack_of_services
from ami.ml.pipeline_configs import TravellingConfig, travelling_config
from ami.ml.schemas import PipelineResultsResponse

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often the claim is extended while requests are under way."""

AWAY_SECONDS = 10.0
"""Pause while no service is there."""

PAUSE_MIN_SECONDS, PAUSE_MAX_SECONDS = 0.2, 30.0
SIZE_KEY = "request_source_image_batch_size"
SIZE_MAX = 1_000


def push_slice(claim: Claim, out_of_time: Callable[[], bool]) -> float | None:
    """Seconds until the next slice should run, or None when there is nothing left for one.

    Safe to run again after a crash at any point: what was leased comes back when its lease is over, what was
    received is saved from the inbox.
    """
    job = Job.objects.select_related("pipeline", "project").filter(pk=claim.job_id).first()
    config = travelling_config(job.project_id, job.pipeline_id) if job and job.pipeline_id else None
    if job is None or config is None:
        return None
    if next_opening(job.pk) is None:
        return None
    services = Services(job)
    if services.best() is not None:
        diagnostics.waits_for(job.pk, "")
    slice_ = _Slice(claim, job, config, services, out_of_time)
    slice_.run()
    return slice_.follow_up()


@dataclass(frozen=True, slots=True)
class _Request:
    """One request under way."""

    service: OnlineService
    batch: Batch


Outcome = PipelineResultsResponse | Failed


class _Slice:
    """The state of one slice."""

    def __init__(
        self,
        claim: Claim,
        job: Job,
        config: TravellingConfig,
        services: Services,
        out_of_time: Callable[[], bool],
    ) -> None:
        self._claim, self._job, self._config, self._services = claim, job, config, services
        self._out_of_time = out_of_time
        self._batches = Batches(claim, job.published_to, batch_size(config))
        self._under_way: dict[Future[Outcome], _Request] = {}
        self._lost = False

    def run(self) -> None:
        """Begin and end requests until nothing is under way and none is to be begun."""
        with ThreadPoolExecutor(settings.PUSH_REQUESTS_AT_ONCE, thread_name_prefix="push") as pool:
            try:
                while self._begin_some(pool):
                    done, _ = wait(self._under_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._end(self._under_way.pop(future), future.result())
            finally:
                self._batches.give_up_the_rest()
        self._batches.store_position()

    def follow_up(self) -> float | None:
        """When the next slice should run."""
        if self._lost:
            return None
        if self._services.best() is None:
            self._say_what_is_missing()
            return claims.rest(self._claim, AWAY_SECONDS)
        opening = next_opening(self._job.pk)
        if opening is None:
            return None
        if not self._batches.pass_over:
            return 0.0
        pause = min(max(opening, PAUSE_MIN_SECONDS), PAUSE_MAX_SECONDS)
        return claims.rest(self._claim, pause)

    def _begin_some(self, pool: ThreadPoolExecutor) -> bool:
        """Begin requests while there is room; whether any is under way."""
        self._lost = self._lost or not claims.extend(self._claim)
        while not self._lost and len(self._under_way) < settings.PUSH_REQUESTS_AT_ONCE:
            service = self._services.best()
            if service is None or self._out_of_time():
                break
            batch = self._batches.next(service.worker, undisturbed=not self._under_way)
            if batch is None:
                break
            hit("push.leased")
            future = pool.submit(
                process,
                service.endpoint,
                self._config.slug,
                self._config.config,
                batch,
                known_boxes(self._job, self._config, batch),
            )
            self._under_way[future] = _Request(service, batch)
        return bool(self._under_way)

    def _end(self, request: _Request, outcome: Outcome) -> None:
        """Receive what came of a request."""
        hit("push.answered")
        batch = request.batch
        if isinstance(outcome, PipelineResultsResponse):
            take_in(self._job, read_answer(self._job, outcome, batch), worker=request.service.worker)
            return
        logger.info(
            "push.failed",
            job_id=self._job.pk,
            service_id=request.service.row.pk,
            trouble=outcome.trouble.name.lower(),
            images=len(batch),
            error=outcome.text,
        )
        if outcome.trouble is Trouble.AWAY:
            self._services.drop(request.service, outcome.text)
            give_back(batch)
        elif outcome.trouble is Trouble.ANSWERED and len(batch) > 1 and not self._out_of_time():
            middle = len(batch) // 2
            self._batches.put_back(batch[middle:])
            self._batches.put_back(batch[:middle])
        else:
            take_in(self._job, failed_items(outcome, batch), worker=request.service.worker)

    def _say_what_is_missing(self) -> None:
        sentence = lack_of_services(self._job)
        if diagnostics.waits_for(self._job.pk, sentence) and sentence:
            logs.write_one(self._job.pk, "job.waits", f"The job is waiting: {sentence}")


def batch_size(config: TravellingConfig) -> int:
    """Images of one request: as the pipeline's settings say, else `PUSH_BATCH_SIZE`.

    One if an image has a single attempt: nobody is to pay for a neighbour.
    """
    if settings.NATS_MAX_DELIVER == 1:
        return 1
    wanted = config.config.get(SIZE_KEY)
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        return int(settings.PUSH_BATCH_SIZE)
    return min(wanted, SIZE_MAX)
